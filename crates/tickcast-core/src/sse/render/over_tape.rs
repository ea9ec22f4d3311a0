//! Renders the entries of a tape.

use crate::{Run, Seq, Tape};

/// Result of a render call. `P` is the type of the position: a [`Seq`], or a [`SymbolId`](crate::SymbolId) for
/// [`snapshot_by_name`](super::snapshot_by_name).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rendered<P> {
    /// Number of appended ticks and removals.
    pub ticks: usize,
    /// Position of the reader after the appended bytes; the next call starts here. `None` if a
    /// [`snapshot_by_name`](super::snapshot_by_name) is complete.
    pub reached: P,
}

/// Renders the entries between two positions, run by run. `write` returns the number of appended
/// ticks and removals, and the entry after which it stopped, if it did. If entries leave the tape
/// meanwhile, the call stops before them.
pub(super) fn over_tape(
    tape: &Tape,
    (from, until): (Seq, Seq),
    out: &mut Vec<u8>,
    mut write: impl FnMut(&Run, &mut Vec<u8>) -> (usize, Option<Seq>),
) -> Rendered<Seq> {
    let mut rendered = Rendered {
        ticks: 0,
        reached: from,
    };
    while let Some(run) = tape.run_between(rendered.reached, until) {
        let (ticks, stopped) = write(&run, out);
        rendered.ticks += ticks;
        rendered.reached = stopped.unwrap_or(run.end());
        if stopped.is_some() {
            break;
        }
    }
    rendered
}
