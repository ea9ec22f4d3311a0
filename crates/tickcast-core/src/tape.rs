//! The last ticks in order.

use std::collections::VecDeque;
use std::time::Duration;

use crate::{Digest, Frame, Position, Seq, SourceId, Symbol, SymbolId};

/// What one entry costs beyond its frame's bytes: the entry itself and the frame's reference counts.
const ENTRY_OVERHEAD: usize = size_of::<Entry>() + 16;

/// One thing that happened to one symbol.
#[derive(Debug, Clone)]
pub struct Entry {
    /// To which.
    pub symbol: SymbolId,
    /// Whose it is.
    pub source: SourceId,
    /// What the tape looks like with it.
    pub digest: Digest,
    /// When it arrived, by the uptime clock, in microseconds.
    arrived_us: u64,
    /// Its new tick; `None`: it was taken off.
    pub frame: Option<Frame>,
}

impl Entry {
    /// The entry that follows a tape of `digest`.
    pub(crate) fn after(
        digest: Digest,
        (id, symbol, origin): (SymbolId, Symbol, SourceId),
        frame: Option<Frame>,
        arrived: Duration,
    ) -> Self {
        let digest = digest.with(&symbol, frame.as_ref().map(Frame::json));
        let arrived_us = u64::try_from(arrived.as_micros()).unwrap_or(u64::MAX);
        Self { symbol: id, source: origin, digest, arrived_us, frame }
    }

    /// When it arrived, by the uptime clock.
    #[must_use]
    pub const fn arrived(&self) -> Duration {
        Duration::from_micros(self.arrived_us)
    }
}

/// The last ticks in order: a ring bounded in entries and in bytes. Numbers have no holes.
#[derive(Debug, Clone)]
pub struct Tape {
    entries: VecDeque<Entry>,
    /// The number of the newest entry, or of the last one before the tape starts.
    head: Seq,
    /// What the tape looked like before its oldest entry, and with its newest.
    before: Digest,
    digest: Digest,
    bytes: usize,
    max_entries: usize,
    max_bytes: usize,
}

impl Tape {
    /// An empty tape whose first entry will be the one after `head`, where it looked like `digest`.
    #[must_use]
    pub const fn new((head, digest): (Seq, Digest), max_entries: usize, max_bytes: usize) -> Self {
        let entries = VecDeque::new();
        Self { entries, head, before: digest, digest, bytes: 0, max_entries, max_bytes }
    }

    /// How many bytes it keeps at most, roughly.
    #[must_use]
    pub const fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// What it looks like with its newest entry.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// What it looked like at a place; `None` where that is before its oldest entry. At the very beginning every tape looks
    /// alike.
    #[must_use]
    pub fn digest_at(&self, seq: Seq) -> Option<Digest> {
        if seq == Seq::ZERO {
            return Some(Digest::START);
        }
        match seq.get().checked_sub(self.start().get())? {
            0 => Some(self.before),
            nth => Some(self.entries.get(usize::try_from(nth).ok()? - 1)?.digest),
        }
    }

    /// The newest entry's number.
    #[must_use]
    pub const fn head(&self) -> Seq {
        self.head
    }

    /// A place on it as a position; `None` where that is before its oldest entry.
    #[must_use]
    pub fn position(&self, seq: Seq) -> Option<Position> {
        Some(Position::new(seq, self.digest_at(seq)?.check()))
    }

    /// How many entries it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Roughly what it occupies, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The place before its oldest entry: everything after it is still here.
    #[must_use]
    pub fn start(&self) -> Seq {
        Seq::new(self.head.get() - self.entries.len() as u64)
    }

    /// Whether everything after `from` is still here.
    #[must_use]
    pub fn reaches_back_to(&self, from: Seq) -> bool {
        from >= self.start()
    }

    /// The entries after `from`, oldest first, with their numbers. Where the tape starts later, from its start.
    pub fn after(&self, from: Seq) -> impl Iterator<Item = (Seq, &Entry)> {
        let wanted = self.head.get().saturating_sub(from.get());
        let start = self.entries.len().saturating_sub(usize::try_from(wanted).unwrap_or(usize::MAX));
        let first = self.head.get() - (self.entries.len() - start) as u64 + 1;
        self.entries.range(start..).zip(first..).map(|(entry, seq)| (Seq::new(seq), entry))
    }

    /// Adds one; the oldest ones leave where a bound is reached.
    pub(crate) fn push(&mut self, entry: Entry) -> Seq {
        self.bytes += weight(&entry);
        self.digest = entry.digest;
        // First out, then in: the ring never holds more than it may, and so never grows beyond.
        while self.entries.len() >= self.max_entries || self.bytes > self.max_bytes {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= weight(&oldest);
            self.before = oldest.digest;
        }
        self.entries.push_back(entry);
        self.head = self.head.next();
        self.head
    }
}

fn weight(entry: &Entry) -> usize {
    ENTRY_OVERHEAD + entry.frame.as_ref().map_or(0, |frame| frame.event().len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Market, Symbol};

    fn tape(max_entries: usize, max_bytes: usize, pushes: u64) -> Tape {
        let name = Symbol::new("A").unwrap();
        let symbol = Market::default().add_symbol(name);
        let mut tape = Tape::new((Seq::ZERO, Digest::START), max_entries, max_bytes);
        for n in 0..pushes {
            let frame = Some(Frame::verbatim("A", &n.to_string()));
            tape.push(Entry::after(tape.digest(), (symbol, name, SourceId(0)), frame, Duration::ZERO));
        }
        tape
    }

    fn numbers(tape: &Tape, from: u64) -> Vec<u64> {
        tape.after(Seq::new(from)).map(|(seq, _)| seq.get()).collect()
    }

    #[test]
    fn bounded_in_entries() {
        let tape = tape(3, usize::MAX, 10);
        assert_eq!(numbers(&tape, 0), [8, 9, 10]);
        assert_eq!(numbers(&tape, 8), [9, 10]);
        assert_eq!(numbers(&tape, 10), [0; 0]);
        assert_eq!(numbers(&tape, 99), [0; 0]);
        assert!(tape.reaches_back_to(Seq::new(7)) && !tape.reaches_back_to(Seq::new(6)));
    }

    #[test]
    fn what_it_looked_like_anywhere() {
        let (whole, part) = (tape(9, usize::MAX, 9), tape(3, usize::MAX, 9));
        for place in 0..=9 {
            let (known, seen) = (whole.digest_at(Seq::new(place)), part.digest_at(Seq::new(place)));
            assert_eq!(seen, if place == 0 || place >= 6 { known } else { None }, "{place}");
        }
        assert_eq!(whole.digest_at(Seq::new(10)), None);
        assert_eq!(whole.digest_at(Seq::new(9)), Some(whole.digest()));
        assert_ne!(whole.digest_at(Seq::new(8)), Some(whole.digest()));
    }

    #[test]
    fn bounded_in_bytes() {
        let one = tape(9, usize::MAX, 1).bytes();
        let tape = tape(usize::MAX, 2 * one, 9);
        assert_eq!((tape.len(), tape.bytes()), (2, 2 * one));
        assert_eq!(numbers(&tape, 0), [8, 9]);
    }
}
