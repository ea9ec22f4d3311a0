//! The newest ticks of a market as of a position.

use std::ops::Range;

use super::over_tape::{Rendered, over_tape};
use crate::cursor::MAX_EVENT_ID_LEN;
use crate::sse::EventFormat;
use crate::sse::fields::{END, ID};
use crate::{EventId, Frame, Market, Position, Selection, Seq, Symbol, SymbolId, Tape};

/// The newest ticks of a market as of a position, written until the buffer has `end` bytes.
pub(super) struct Newest<'m> {
    pub(super) market: &'m Market,
    pub(super) selection: &'m Selection,
    pub(super) format: NewestFormat,
    pub(super) with_removals: bool,
    pub(super) end: usize,
}

/// The format of the newest ticks as of a position.
pub(super) struct NewestFormat {
    format: EventFormat,
    as_of: Option<Position>,
    ids: Option<Ids>,
}

/// Maximum length of the end of a tick, in bytes.
const MAX_END: usize = ID.len() + MAX_EVENT_ID_LEN + END.len();

/// The ends of the ticks before a position, from the id on. They differ only in the sequence number,
/// so the rest is written once: a stream of a large market begins with very many of them. All bytes
/// are copied, and those behind the end removed, because a copy of a known length needs no call.
struct Ids {
    text: [u8; MAX_END],
    end: usize,
    /// The place of the sequence number in the text.
    digits: Range<usize>,
}

impl NewestFormat {
    /// Makes the format. Without a position, events have no ids.
    pub(super) fn new(format: EventFormat, as_of: Option<Position>) -> Self {
        let earlier = as_of.map(|as_of| as_of.reached(Seq::ZERO));
        Self {
            format,
            as_of,
            ids: format.id(earlier).map(Ids::new),
        }
    }

    /// Appends the tick that is the newest of its symbol since `seq`, or the removal of the symbol.
    /// Returns whether anything was appended.
    #[inline]
    fn entry(
        &mut self,
        seq: Seq,
        frame: Option<&Frame>,
        symbol: impl FnOnce() -> Symbol,
        out: &mut Vec<u8>,
    ) -> bool {
        let is_earlier = self.as_of.is_some_and(|as_of| seq < as_of.seq);
        if let (Some(frame), Some(ids), true) = (frame, &mut self.ids, is_earlier) {
            out.extend_from_slice(frame.without_id());
            ids.write_end(seq, out);
            return true;
        }
        let at = self.as_of.map(|as_of| as_of.reached(seq));
        self.format.entry(at, frame, symbol, out)
    }
}

impl Ids {
    /// Makes the ends that have ids like `id`.
    fn new(id: EventId) -> Self {
        let mut start = ID.to_vec();
        id.write_start(&mut start);
        let mut rest = Vec::new();
        id.write_end(&mut rest);
        rest.extend_from_slice(END);
        let (digits, end) = (start.len()..start.len(), start.len() + rest.len());
        let mut text = [0; MAX_END];
        text[..digits.start].copy_from_slice(&start);
        text[digits.end..end].copy_from_slice(&rest);
        Self { text, end, digits }
    }

    /// Appends the end of a tick with this sequence number.
    #[inline]
    fn write_end(&mut self, seq: Seq, out: &mut Vec<u8>) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(seq.get()).as_bytes();
        if digits.len() != self.digits.len() {
            let end = self.digits.start + digits.len();
            self.text.copy_within(self.digits.end..self.end, end);
            self.end = self.end - self.digits.len() + digits.len();
            self.digits.end = end;
        }
        self.text[self.digits.clone()].copy_from_slice(digits);
        let whole = out.len() + self.end;
        out.extend_from_slice(&self.text);
        out.truncate(whole);
    }
}

impl Newest<'_> {
    /// Renders the symbols whose last change is on the tape between two positions. The tape must
    /// reach back to `from`.
    pub(super) fn write_tape(
        &mut self,
        tape: &Tape,
        (from, until): (Seq, Seq),
        out: &mut Vec<u8>,
    ) -> Rendered<Seq> {
        over_tape(tape, (from, until), out, |run, out| {
            let changes = run.entries().map(|(seq, entry)| (seq, entry.symbol));
            self.write(changes, out)
        })
    }

    /// Renders the newest tick of each selected symbol in `changes`, unless it has changed again
    /// since. Returns the number of appended ticks and removals, and the change after which the end
    /// was reached, if it was.
    pub(super) fn write(
        &mut self,
        changes: impl Iterator<Item = (Seq, SymbolId)>,
        out: &mut Vec<u8>,
    ) -> (usize, Option<Seq>) {
        let mut ticks = 0;
        for (seq, id) in changes {
            let latest = self.market.latest(id);
            let Some(latest) = latest.filter(|latest| latest.place().seq == seq) else {
                continue;
            };
            let frame = Some(latest).filter(|latest| !latest.is_removal());
            if !self.selection.contains(id) || (frame.is_none() && !self.with_removals) {
                continue;
            }
            let market = self.market;
            let symbol = || market.symbol(id);
            ticks += usize::from(self.format.entry(seq, frame, symbol, out));
            if out.len() >= self.end {
                return (ticks, Some(seq));
            }
        }
        (ticks, None)
    }
}
