//! Rendering: computes what must still be sent to a reader at a cursor. Rendering is pure: the same
//! position and filter give the same bytes.
//!
//! There are four functions. Each function appends encoded frames to a buffer, and stops when the
//! appended bytes reach a limit. Each function returns the position where it stopped.
//!
//! - [`all_ticks`]: every tick, in order;
//! - [`conflated`]: conflation: only the newest tick of each symbol that has changed;
//! - [`initial_by_seq`]: the same for a reader that has received nothing yet, and so needs no
//!   removals;
//! - [`snapshot_by_name`]: the newest tick of each symbol, in order of the names.

mod newest;
mod over_tape;
#[cfg(test)]
mod properties;
mod update_order;

use super::EventFormat;
use crate::{Entry, Market, Position, Selection, Seq, SymbolId, Tape};

use newest::{Newest, NewestFormat};
pub use over_tape::Rendered;
use over_tape::over_tape;
pub use update_order::UpdateOrder;

/// A market, its tape and, if known, the [order](UpdateOrder) in which the symbols last changed.
/// Without this order, a call may look at every selected symbol.
pub type LogView<'a> = (&'a Market, &'a Tape, Option<&'a UpdateOrder>);

/// Renders each selected tick after `from` and up to `until`, in order. The tape must [reach
/// back](Tape::reaches_back_to) to `from`. If entries leave the tape meanwhile, the position where
/// the call stops is before them.
pub fn all_ticks(
    (market, tape): (&Market, &Tape),
    selection: &Selection,
    (from, until): (Seq, Seq),
    format: EventFormat,
    max_bytes: usize,
    out: &mut Vec<u8>,
) -> Rendered<Seq> {
    let (end, until) = (out.len().saturating_add(max_bytes), until.min(tape.head()));
    over_tape(tape, (from, until), out, |run, out| {
        match selection.listed() {
            None => entries_in_order(run.entries(), market, format, end, out),
            Some(ids) => {
                let listed = run.entries();
                let listed = listed.filter(|(_, entry)| ids.contains(entry.symbol));
                entries_in_order(listed, market, format, end, out)
            }
        }
    })
}

/// Renders entries until the buffer has `end` bytes. Returns the number of appended ticks and
/// removals, and the entry after which the buffer had so many bytes, if it had.
fn entries_in_order<'t>(
    entries: impl Iterator<Item = (Seq, &'t Entry)>,
    market: &Market,
    format: EventFormat,
    end: usize,
    out: &mut Vec<u8>,
) -> (usize, Option<Seq>) {
    let mut ticks = 0;
    for (seq, entry) in entries {
        let at = Some(Position::new(seq, entry.digest.check()));
        let symbol = || market.symbol(entry.symbol);
        ticks += usize::from(format.entry(at, entry.frame(), symbol, out));
        if out.len() >= end {
            return (ticks, Some(seq));
        }
    }
    (ticks, None)
}

/// Renders the newest tick of each selected symbol that last changed after `from` and up to
/// `until`, in the order of these changes. Removals are included. No history is needed.
pub fn conflated(
    log: LogView<'_>,
    selection: &Selection,
    range: (Seq, Seq),
    format: EventFormat,
    max_bytes: usize,
    out: &mut Vec<u8>,
) -> Rendered<Seq> {
    updated(log, selection, range, (format, true), max_bytes, out)
}

/// Renders the newest tick of each selected symbol that last changed after `from` and up to
/// `until`, in the order of these changes. Symbols that changed after `until` must be rendered by a
/// later call.
pub fn initial_by_seq(
    log: LogView<'_>,
    selection: &Selection,
    range: (Seq, Seq),
    format: EventFormat,
    max_bytes: usize,
    out: &mut Vec<u8>,
) -> Rendered<Seq> {
    updated(log, selection, range, (format, false), max_bytes, out)
}

/// Renders the symbols that last changed between two positions. Each id also contains the position
/// as of which its tick is the newest. A tape that is restored to before that position may continue
/// with other ticks. Without that position, a reader that stopped halfway could not detect this.
fn updated(
    (market, tape, order): LogView<'_>,
    selection: &Selection,
    (from, until): (Seq, Seq),
    (format, with_removals): (EventFormat, bool),
    max_bytes: usize,
    out: &mut Vec<u8>,
) -> Rendered<Seq> {
    let until = until.min(market.head());
    let end = out.len().saturating_add(max_bytes);
    let format = NewestFormat::new(format, tape.position(until));
    let mut newest = Newest {
        market,
        selection,
        format,
        with_removals,
        end,
    };
    // The shortest way to what has changed: over the tape, over the symbols in order of their
    // changes and then over the tape, or over the selected symbols.
    let few = until.get().saturating_sub(from.get()) <= selection.len() as u64;
    let on_tape = tape.reaches_back_to(from) && (few || selection.is_wide());
    let order = order.filter(|order| !on_tape && order.fits(tape));
    let (ticks, stopped) = match order {
        _ if from >= until => (0, None),
        _ if on_tape => return newest.write_tape(tape, (from, until), out),
        Some(order) => {
            let changes = order.between((from, until)).iter().copied();
            let (ticks, stopped) = newest.write(changes, out);
            let reached = from.max(order.as_of());
            if stopped.is_none() && reached < until {
                let mut rendered = newest.write_tape(tape, (reached, until), out);
                rendered.ticks += ticks;
                return rendered;
            }
            (ticks, stopped)
        }
        None => {
            let most = max_bytes / MIN_EVENT_BYTES + 1;
            let (sorted, last) = first_updated(market, selection, (from, until), most);
            let (ticks, stopped) = newest.write(sorted.into_iter(), out);
            (ticks, stopped.or(last))
        }
    };
    Rendered {
        ticks,
        reached: stopped.unwrap_or(until.max(from)),
    }
}

/// Returns the first `count` symbols that last changed after `from` and up to `until`, in the order
/// of these changes. If there are more, also returns the sequence number of the last returned
/// symbol.
fn first_updated(
    market: &Market,
    selection: &Selection,
    (from, until): (Seq, Seq),
    count: usize,
) -> (Vec<(Seq, SymbolId)>, Option<Seq>) {
    let mut changed = Vec::new();
    // The iterator is a chain. `for_each` runs one loop for each part of it.
    selection.ids().for_each(|id| {
        let seq = market.last_seq(id);
        if seq > from && seq <= until {
            changed.push((seq, id));
        }
    });
    let whole = changed.len() <= count;
    if !whole {
        changed.select_nth_unstable(count);
        changed.truncate(count);
    }
    changed.sort_unstable();
    let last = changed.last().map(|(seq, _)| *seq).filter(|_| !whole);
    (changed, last)
}

/// Lower bound of the size of a tick event, in bytes.
const MIN_EVENT_BYTES: usize = 64;

/// Renders the newest tick of each selected symbol, in order of the names, starting after `after`.
/// Symbols that changed after `at`, the position where the snapshot began, must be rendered by a
/// later call. Returns the last written symbol, or `None` at the end.
pub fn snapshot_by_name(
    market: &Market,
    selection: &Selection,
    at: Seq,
    after: Option<SymbolId>,
    format: EventFormat,
    max_bytes: usize,
    out: &mut Vec<u8>,
) -> Rendered<Option<SymbolId>> {
    let (start, mut ticks) = (out.len(), 0);
    for id in selection.in_order(market, after.map(|id| market.symbol(id))) {
        let position = market.last_position(id);
        let Some(frame) = market.newest(id).filter(|_| position.seq <= at) else {
            continue;
        };
        format.tick(Some(position), frame, out);
        ticks += 1;
        if out.len() - start >= max_bytes {
            return Rendered {
                ticks,
                reached: Some(id),
            };
        }
    }
    Rendered {
        ticks,
        reached: None,
    }
}
