//! The tape: the last ticks in order, in memory.

use std::collections::VecDeque;
use std::time::Duration;

use crate::{Digest, Frame, Position, Seq, SourceId, Symbol, SymbolId};

/// Memory for one entry in addition to the bytes of its frame: the entry itself, and the reference
/// count and the lengths of the frame.
const ENTRY_OVERHEAD: usize = size_of::<Entry>() + 24;

/// One change of one symbol. Returned by [`Tape::after`].
#[derive(Debug, Clone)]
pub struct Entry {
    /// Number of the symbol.
    pub symbol: SymbolId,
    /// Source of the change.
    pub source: SourceId,
    /// Digest of the tape up to and including this entry.
    pub digest: Digest,
    /// Arrival time by the uptime clock, in microseconds.
    arrived_us: u64,
    /// What happened to the symbol.
    pub kind: EntryKind,
}

/// What an entry of the tape records. Field of an [`Entry`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum EntryKind {
    /// The symbol has this new tick. Contains the encoded tick.
    Tick(Frame),
    /// The symbol was removed from the market.
    Removal,
}

impl EntryKind {
    /// Returns the new tick, or `None` if the entry is not a tick.
    #[must_use]
    pub const fn frame(&self) -> Option<&Frame> {
        match self {
            Self::Tick(frame) => Some(frame),
            Self::Removal => None,
        }
    }
}

impl Entry {
    /// Makes the entry that follows a tape with this digest.
    pub(crate) fn after(
        digest: Digest,
        (id, symbol, source): (SymbolId, Symbol, SourceId),
        kind: EntryKind,
        arrived: Duration,
    ) -> Self {
        let digest = digest.with(&symbol, kind.frame().map(Frame::json));
        let arrived_us = u64::try_from(arrived.as_micros()).unwrap_or(u64::MAX);
        Self {
            symbol: id,
            source,
            digest,
            arrived_us,
            kind,
        }
    }

    /// Returns the arrival time by the uptime clock.
    #[must_use]
    pub const fn arrived(&self) -> Duration {
        Duration::from_micros(self.arrived_us)
    }
}

/// The last ticks in order: a ring buffer with a maximum number of entries and of bytes. Sequence
/// numbers have no gaps. Returned by [`Sequencer::tape`](crate::Sequencer::tape).
#[derive(Debug, Clone)]
pub struct Tape {
    entries: VecDeque<Entry>,
    /// Sequence number of the newest entry. If the tape is empty, the sequence number before its
    /// first entry.
    head: Seq,
    /// Digest before the oldest entry, and digest after the newest entry.
    before: Digest,
    digest: Digest,
    bytes: usize,
    max_entries: usize,
    max_bytes: usize,
}

impl Tape {
    /// Makes an empty tape. The first entry follows `head`, and the digest at `head` is `digest`.
    #[must_use]
    pub const fn new((head, digest): (Seq, Digest), max_entries: usize, max_bytes: usize) -> Self {
        let entries = VecDeque::new();
        Self {
            entries,
            head,
            before: digest,
            digest,
            bytes: 0,
            max_entries,
            max_bytes,
        }
    }

    /// Returns the maximum number of bytes, approximately.
    #[must_use]
    pub const fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Returns the digest after the newest entry.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the digest at a position, or `None` if the position is before the oldest entry. At
    /// position 0, all tapes have the same digest.
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

    /// Returns the sequence number of the newest entry.
    #[must_use]
    pub const fn head(&self) -> Seq {
        self.head
    }

    /// Returns the position at `seq`, with its check, or `None` if `seq` is before the oldest
    /// entry.
    #[must_use]
    pub fn position(&self, seq: Seq) -> Option<Position> {
        Some(Position::new(seq, self.digest_at(seq)?.check()))
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Checks whether the tape is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the approximate size in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the sequence number before the oldest entry. The tape holds everything after this
    /// number.
    #[must_use]
    pub fn start(&self) -> Seq {
        Seq::new(self.head.get() - self.entries.len() as u64)
    }

    /// Checks whether the tape holds everything after `from`.
    #[must_use]
    pub fn reaches_back_to(&self, from: Seq) -> bool {
        from >= self.start()
    }

    /// Returns the entries after `from`, oldest first, with their sequence numbers. If the tape
    /// starts later, returns all entries.
    pub fn after(&self, from: Seq) -> impl Iterator<Item = (Seq, &Entry)> {
        let count = self.head.get().saturating_sub(from.get());
        let start = self
            .entries
            .len()
            .saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
        let first = self.head.get() - (self.entries.len() - start) as u64 + 1;
        self.entries
            .range(start..)
            .zip(first..)
            .map(|(entry, seq)| (Seq::new(seq), entry))
    }

    /// Adds an entry. Removes the oldest entries if a maximum is reached.
    pub(crate) fn push(&mut self, entry: Entry) -> Seq {
        self.bytes += weight(&entry);
        self.digest = entry.digest;
        // Entries are removed before the new entry is added. So the ring buffer never exceeds its
        // maximum and does not grow.
        while self.entries.len() >= self.max_entries || self.bytes > self.max_bytes {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= weight(&oldest);
            self.before = oldest.digest;
        }
        self.entries.push_back(entry);
        self.head = self.head.next();
        self.head
    }
}

fn weight(entry: &Entry) -> usize {
    ENTRY_OVERHEAD + entry.kind.frame().map_or(0, |frame| frame.event().len())
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
            let tick = EntryKind::Tick(Frame::verbatim("A", &n.to_string()));
            tape.push(Entry::after(
                tape.digest(),
                (symbol, name, SourceId(0)),
                tick,
                Duration::ZERO,
            ));
        }
        tape
    }

    fn numbers(tape: &Tape, from: u64) -> Vec<u64> {
        tape.after(Seq::new(from))
            .map(|(seq, _)| seq.get())
            .collect()
    }

    #[test]
    fn a_tape_is_bounded_in_entries() {
        let tape = tape(3, usize::MAX, 10);
        assert_eq!(numbers(&tape, 0), [8, 9, 10]);
        assert_eq!(numbers(&tape, 8), [9, 10]);
        assert_eq!(numbers(&tape, 10), [0; 0]);
        assert_eq!(numbers(&tape, 99), [0; 0]);
        assert!(tape.reaches_back_to(Seq::new(7)) && !tape.reaches_back_to(Seq::new(6)));
    }

    #[test]
    fn a_tape_knows_the_digest_at_every_position_it_holds() {
        let (whole, part) = (tape(9, usize::MAX, 9), tape(3, usize::MAX, 9));
        for seq in 0..=9 {
            let (known, seen) = (
                whole.digest_at(Seq::new(seq)),
                part.digest_at(Seq::new(seq)),
            );
            assert_eq!(
                seen,
                if seq == 0 || seq >= 6 { known } else { None },
                "{seq}"
            );
        }
        assert_eq!(whole.digest_at(Seq::new(10)), None);
        assert_eq!(whole.digest_at(Seq::new(9)), Some(whole.digest()));
        assert_ne!(whole.digest_at(Seq::new(8)), Some(whole.digest()));
    }

    /// The tape in memory has a million entries, and every reader runs over them.
    #[test]
    fn an_entry_stays_small() {
        assert_eq!(size_of::<Entry>(), 32);
    }

    #[test]
    fn a_tape_is_bounded_in_bytes() {
        let one = tape(9, usize::MAX, 1).bytes();
        let tape = tape(usize::MAX, 2 * one, 9);
        assert_eq!((tape.len(), tape.bytes()), (2, 2 * one));
        assert_eq!(numbers(&tape, 0), [8, 9]);
    }
}
