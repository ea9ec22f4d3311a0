//! What a reader standing at a cursor has yet to be sent. Pure: the same place and filter give the same bytes.
//!
//! Three ways to catch up, each appending finished frames to a buffer and stopping, at a place it returns, once that holds
//! more than asked for:
//!
//! - [`every`]: each tick, in order;
//! - [`newest`]: of each symbol that moved, its newest tick only;
//! - [`snapshot`]: of each symbol, its newest tick, in order of their names.

#[cfg(test)]
mod properties;

use crate::{Epoch, Frame, Market, Selection, Seq, Symbol, Tape};

/// How events are marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// The simple stream: the id is the symbol.
    Simple,
    /// The resumable stream: the id is the cursor.
    Resumable(Epoch),
}

impl Dialect {
    /// Appends one tick.
    pub fn tick(self, seq: Seq, frame: &Frame, out: &mut Vec<u8>) {
        match self {
            Self::Simple => out.extend_from_slice(frame.event()),
            Self::Resumable(epoch) => {
                out.extend_from_slice(frame.without_id());
                out.extend_from_slice(format!("\nid: {epoch}-{}\n\n", seq.get()).as_bytes());
            }
        }
    }
}

/// What a call has appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rendered<P> {
    /// How many ticks.
    pub ticks: usize,
    /// Where the reader stands now; a [`snapshot`] that is complete has no place left.
    pub reached: P,
}

/// Each wanted tick after `from`, in order. The tape has to [reach back](Tape::reaches_back_to) to `from`.
pub fn every(
    tape: &Tape,
    selection: &Selection,
    from: Seq,
    dialect: Dialect,
    most: usize,
    out: &mut Vec<u8>,
) -> Rendered<Seq> {
    let (start, mut ticks) = (out.len(), 0);
    for (seq, entry) in tape.after(from) {
        let Some(frame) = entry.frame.as_ref().filter(|_| selection.contains(entry.symbol)) else { continue };
        dialect.tick(seq, frame, out);
        ticks += 1;
        if out.len() - start >= most {
            return Rendered { ticks, reached: seq };
        }
    }
    Rendered { ticks, reached: tape.head().max(from) }
}

/// The newest tick of each wanted symbol that moved after `from` and not after `until`, in the order in which they moved.
/// Needs no history.
pub fn newest(
    market: &Market,
    selection: &Selection,
    (from, until): (Seq, Seq),
    dialect: Dialect,
    most: usize,
    out: &mut Vec<u8>,
) -> Rendered<Seq> {
    let (start, mut ticks) = (out.len(), 0);
    let mut moved: Vec<_> = selection
        .ids()
        .iter()
        .map(|id| (market.moved(*id), *id))
        .filter(|(m, _)| *m > from && *m <= until)
        .collect();
    moved.sort_unstable();
    for (seq, id) in moved {
        let Some(frame) = market.newest(id) else { continue };
        dialect.tick(seq, frame, out);
        ticks += 1;
        if out.len() - start >= most {
            return Rendered { ticks, reached: seq };
        }
    }
    Rendered { ticks, reached: until.min(market.head()).max(from) }
}

/// The newest tick of each wanted symbol, in order of their names, beginning after `after`. Symbols that moved after `at`,
/// the place where the snapshot began, are left to what follows it. Reaches the last name written, `None` at the end.
pub fn snapshot(
    market: &Market,
    selection: &Selection,
    at: Seq,
    after: Option<Symbol>,
    dialect: Dialect,
    most: usize,
    out: &mut Vec<u8>,
) -> Rendered<Option<Symbol>> {
    let (start, mut ticks) = (out.len(), 0);
    for (symbol, id) in selection.in_order(market, after) {
        let moved = market.moved(id);
        let Some(frame) = market.newest(id).filter(|_| moved <= at) else { continue };
        dialect.tick(moved, frame, out);
        ticks += 1;
        if out.len() - start >= most {
            return Rendered { ticks, reached: Some(symbol) };
        }
    }
    Rendered { ticks, reached: None }
}
