//! The last ticks in order.

use std::collections::VecDeque;
use std::time::Duration;

use crate::{Frame, Origin, Seq, SymbolId};

/// What one entry costs beyond its frame's bytes: the entry itself and the frame's reference counts.
const ENTRY_OVERHEAD: usize = size_of::<Entry>() + 16;

/// One thing that happened to one symbol.
#[derive(Debug, Clone)]
pub struct Entry {
    /// To which.
    pub symbol: SymbolId,
    /// Whose it is.
    pub origin: Origin,
    /// When it arrived, by the uptime clock.
    pub arrived: Duration,
    /// Its new tick; `None`: it was taken off.
    pub frame: Option<Frame>,
}

/// The last ticks in order: a ring bounded in entries and in bytes. Numbers have no holes.
#[derive(Debug, Clone)]
pub struct Tape {
    entries: VecDeque<Entry>,
    /// The number of the newest entry, or of the last one before the tape starts.
    head: Seq,
    bytes: usize,
    max_entries: usize,
    max_bytes: usize,
}

impl Tape {
    /// An empty tape whose first entry will be the one after `head`.
    #[must_use]
    pub const fn new(head: Seq, max_entries: usize, max_bytes: usize) -> Self {
        Self { entries: VecDeque::new(), head, bytes: 0, max_entries, max_bytes }
    }

    /// The newest entry's number.
    #[must_use]
    pub const fn head(&self) -> Seq {
        self.head
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
    pub fn floor(&self) -> Seq {
        Seq::new(self.head.get() - self.entries.len() as u64)
    }

    /// Whether everything after `from` is still here.
    #[must_use]
    pub fn reaches_back_to(&self, from: Seq) -> bool {
        from >= self.floor()
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
        self.entries.push_back(entry);
        self.head = self.head.next();
        while self.entries.len() > self.max_entries || self.bytes > self.max_bytes {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= weight(&oldest);
        }
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
        let symbol = Market::default().admit(Symbol::new("A").unwrap());
        let mut tape = Tape::new(Seq::ZERO, max_entries, max_bytes);
        for n in 0..pushes {
            let frame = Some(Frame::verbatim("A", &n.to_string()));
            tape.push(Entry { symbol, origin: Origin(0), arrived: Duration::ZERO, frame });
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
    fn bounded_in_bytes() {
        let one = tape(9, usize::MAX, 1).bytes();
        let tape = tape(usize::MAX, 2 * one, 9);
        assert_eq!((tape.len(), tape.bytes()), (2, 2 * one));
        assert_eq!(numbers(&tape, 0), [8, 9]);
    }
}
