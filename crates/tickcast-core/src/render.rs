//! What a reader standing at a cursor has yet to be sent. Pure: the same place and filter give the same bytes.
//!
//! Four ways to catch up, each appending finished frames to a buffer and stopping, at a place it returns, once that holds
//! more than asked for:
//!
//! - [`all_ticks`]: each tick, in order;
//! - [`conflated`]: of each symbol that moved, its newest tick only;
//! - [`initial_by_seq`]: the same for one who has seen nothing yet, and so need not hear what is gone;
//! - [`snapshot_by_name`]: of each symbol, its newest tick, in order of their names.

mod moves;
#[cfg(test)]
mod properties;

use crate::{
    Cursor, Entry, Epoch, EventId, FilterHash, Frame, Market, Notice, Position, Selection, Seq, Symbol,
    SymbolId, Tape,
};

pub use moves::UpdateOrder;

/// A market, its tape and, where that is known, the order in which its symbols moved: without it each symbol that is wanted is looked
/// at for each piece.
pub type LogView<'a> = (&'a Market, &'a Tape, Option<&'a UpdateOrder>);

/// How events are marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventFormat {
    /// The simple stream: the id is the symbol.
    Simple,
    /// The resumable stream: the id is the cursor, and the mark of the filter where the stream was changed.
    Resumable(Epoch, Option<FilterHash>),
}

impl EventFormat {
    /// What events that end at a place are marked with, where that is a cursor.
    #[must_use]
    pub fn id(self, at: Option<Position>) -> Option<EventId> {
        match self {
            Self::Simple => None,
            Self::Resumable(epoch, filter) => {
                at.map(|position| EventId { cursor: Cursor { epoch, position }, filter })
            }
        }
    }

    /// Appends one tick. Where nobody knows any more what the tape looked like at its place it has no id: its reader's cursor stays
    /// as it is.
    pub fn tick(self, at: Option<Position>, frame: &Frame, out: &mut Vec<u8>) {
        if self == Self::Simple {
            return out.extend_from_slice(frame.event());
        }
        out.extend_from_slice(frame.without_id());
        if let Some(id) = self.id(at) {
            out.extend_from_slice(b"\nid: ");
            id.write(out);
        }
        out.extend_from_slice(b"\n\n");
    }

    /// Appends that `symbol` was taken off, where readers are told so; says whether they are.
    pub fn gone(self, at: Option<Position>, symbol: Symbol, out: &mut Vec<u8>) -> bool {
        let told = self != Self::Simple;
        if told {
            Notice::Gone(symbol).write(self.id(at), out);
        }
        told
    }

    /// Appends what happened to `symbol`; says whether there is anything to be said.
    pub fn entry(
        self,
        at: Option<Position>,
        symbol: Symbol,
        frame: Option<&Frame>,
        out: &mut Vec<u8>,
    ) -> bool {
        match frame {
            Some(frame) => self.tick(at, frame, out),
            None => return self.gone(at, symbol, out),
        }
        true
    }
}

/// What a call has appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rendered<P> {
    /// How many ticks.
    pub ticks: usize,
    /// Where the reader stands now; a [`snapshot_by_name`] that is complete has no place left.
    pub reached: P,
}

/// Each wanted tick after `from` and not after `until`, in order. The tape has to [reach back](Tape::reaches_back_to) to
/// `from`.
pub fn all_ticks(
    (market, tape): (&Market, &Tape),
    selection: &Selection,
    (from, until): (Seq, Seq),
    dialect: EventFormat,
    most: usize,
    out: &mut Vec<u8>,
) -> Rendered<Seq> {
    let (start, mut ticks) = (out.len(), 0);
    let wanted = |entry: &Entry| selection.contains(entry.symbol);
    for (seq, entry) in
        tape.after(from).take_while(|(seq, _)| *seq <= until).filter(|(_, entry)| wanted(entry))
    {
        let at = Some(Position::new(seq, entry.digest.check()));
        ticks += usize::from(dialect.entry(at, market.symbol(entry.symbol), entry.frame.as_ref(), out));
        if out.len() - start >= most {
            return Rendered { ticks, reached: seq };
        }
    }
    Rendered { ticks, reached: until.min(tape.head()).max(from) }
}

/// The newest tick of each wanted symbol that moved after `from` and not after `until`, in the order in which they moved, and
/// those that were taken off. Needs no history.
pub fn conflated(
    log: LogView<'_>,
    selection: &Selection,
    places: (Seq, Seq),
    dialect: EventFormat,
    most: usize,
    out: &mut Vec<u8>,
) -> Rendered<Seq> {
    updated(log, selection, places, (dialect, true), most, out)
}

/// The newest tick of each wanted symbol that moved not after `until`, in the order in which they moved, beginning after
/// `from`. Symbols that moved later are left to what follows it.
pub fn initial_by_seq(
    log: LogView<'_>,
    selection: &Selection,
    places: (Seq, Seq),
    dialect: EventFormat,
    most: usize,
    out: &mut Vec<u8>,
) -> Rendered<Seq> {
    updated(log, selection, places, (dialect, false), most, out)
}

/// Of what moved between two places. Each event says as of which place it is the newest: a tape that was put back to before that
/// has others, and a reader who stopped on the way could not know.
fn updated(
    (market, tape, moves): LogView<'_>,
    selection: &Selection,
    (from, until): (Seq, Seq),
    (dialect, gone_too): (EventFormat, bool),
    most: usize,
    out: &mut Vec<u8>,
) -> Rendered<Seq> {
    let (start, mut ticks) = (out.len(), 0);
    let as_of = tape.position(until.min(market.head()));
    let (in_order, few, last) = match moves.filter(|_| UpdateOrder::suits(selection, market)) {
        Some(moves) => (Some(moves.between(market, (from, until))), Vec::new(), None),
        None => {
            let (few, last) = first_updated(market, selection, (from, until), most / MIN_EVENT_BYTES + 1);
            (None, few, last)
        }
    };
    let wanted = in_order.into_iter().flatten().filter(|(_, id)| selection.contains(*id));
    for (seq, id) in wanted.chain(few) {
        let frame = market.newest(id);
        if frame.is_none() && !gone_too {
            continue;
        }
        let at = as_of.map(|as_of| as_of.reached(seq));
        ticks += usize::from(dialect.entry(at, market.symbol(id), frame, out));
        if out.len() - start >= most {
            return Rendered { ticks, reached: seq };
        }
    }
    Rendered { ticks, reached: last.unwrap_or(until.min(market.head()).max(from)) }
}

/// The first so many symbols that last moved after `from` and not after `until`, in that order; and the last one's place, if there are
/// more.
fn first_updated(
    market: &Market,
    selection: &Selection,
    (from, until): (Seq, Seq),
    count: usize,
) -> (Vec<(Seq, SymbolId)>, Option<Seq>) {
    let moved = selection.ids().map(|id| (market.last_seq(id), id));
    let mut moved: Vec<_> = moved.filter(|(seq, _)| *seq > from && *seq <= until).collect();
    let whole = moved.len() <= count;
    if !whole {
        moved.select_nth_unstable(count);
        moved.truncate(count);
    }
    moved.sort_unstable();
    let last = moved.last().map(|(seq, _)| *seq).filter(|_| !whole);
    (moved, last)
}

/// Fewer bytes than any tick takes.
const MIN_EVENT_BYTES: usize = 64;

/// The newest tick of each wanted symbol, in order of their names, beginning after `after`. Symbols that moved after `at`,
/// the place where the snapshot began, are left to what follows it. Reaches the last symbol written, `None` at the end.
pub fn snapshot_by_name(
    market: &Market,
    selection: &Selection,
    at: Seq,
    after: Option<SymbolId>,
    dialect: EventFormat,
    most: usize,
    out: &mut Vec<u8>,
) -> Rendered<Option<SymbolId>> {
    let (start, mut ticks) = (out.len(), 0);
    for (_, id) in selection.in_order(market, after.map(|id| market.symbol(id))) {
        let moved = market.last_position(id);
        let Some(frame) = market.newest(id).filter(|_| moved.seq <= at) else { continue };
        dialect.tick(Some(moved), frame, out);
        ticks += 1;
        if out.len() - start >= most {
            return Rendered { ticks, reached: Some(id) };
        }
    }
    Rendered { ticks, reached: None }
}
