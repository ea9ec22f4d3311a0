//! The tape: the last ticks in order, in memory.

mod entry;
mod ring;
mod writer;

use std::sync::Arc;

use crate::{Digest, Position, Seq};
pub use entry::{Entry, EntryKind};
use ring::{Chunk, Ring};
pub(crate) use writer::TapeWriter;

/// The last ticks in order, up to a position. Sequence numbers have no gaps. The number of entries
/// and their bytes have a maximum. Returned by [`Sequencer::tape`](crate::Sequencer::tape) and by
/// [`Replica::tape`](crate::Replica::tape).
///
/// A tape is itself a cursor: all tapes of a log share the entries, and each ends at a position of
/// its own. No lock is taken to read, so entries may leave the tape meanwhile, oldest first.
#[derive(Debug, Clone)]
pub struct Tape {
    ring: Arc<Ring>,
    /// Sequence number of the newest entry. If the tape is empty, the sequence number before its
    /// first entry.
    head: Seq,
    /// Digest after the newest entry.
    digest: Digest,
}

/// Some entries of a tape in a row. They stay in memory as long as the run exists, so do not keep
/// it. Returned by [`Tape::run`].
#[derive(Debug)]
pub struct Run {
    chunk: Arc<Chunk>,
    start: usize,
    end: usize,
}

impl Run {
    /// Returns the entries, oldest first, with their sequence numbers.
    pub fn entries(&self) -> impl Iterator<Item = (Seq, &Entry)> {
        let first = self.chunk.base + self.start as u64 + 1;
        self.chunk.entries[self.start..self.end]
            .iter()
            .zip(first..)
            .map_while(|(entry, seq)| Some((Seq::new(seq), entry.get()?)))
    }

    /// Returns the sequence number of the last entry.
    #[must_use]
    pub fn end(&self) -> Seq {
        Seq::new(self.chunk.base + self.end as u64)
    }
}

impl Tape {
    /// Returns the maximum number of entries.
    #[must_use]
    pub fn max_entries(&self) -> u64 {
        self.ring.max_entries as u64
    }

    /// Returns the maximum number of bytes, approximately.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        self.ring.max_bytes
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
        if seq == self.head {
            return Some(self.digest);
        }
        if seq > self.head || seq < self.start() {
            return None;
        }
        if seq == self.ring.origin.0 {
            return Some(self.ring.origin.1);
        }
        // The chunk that ends here may have left the tape, but not the chunk that begins here.
        let (base, index) = self.ring.locate(seq);
        let chunk = self.ring.chunk(base)?;
        match index.checked_sub(1) {
            None => Some(chunk.before),
            Some(index) => Some(chunk.entries[index].get()?.digest),
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
        let len = self.head.get().saturating_sub(self.start().get());
        // A tape has at most 2^28 entries.
        len as usize
    }

    /// Checks whether the tape is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the sequence number before the oldest entry. The tape holds everything after this
    /// number.
    #[must_use]
    pub fn start(&self) -> Seq {
        self.ring.start()
    }

    /// Returns a position from which a new reader can read. It is the [`start`](Self::start), or, if
    /// entries have already left the tape, a 64th of the tape later, so that the next entries do not
    /// leave the tape before the reader has them.
    #[must_use]
    pub fn readable_start(&self) -> Seq {
        let start = self.start();
        let margin = match start > self.ring.origin.0 {
            true => self.len() as u64 / 64,
            false => 0,
        };
        Seq::new(start.get() + margin)
    }

    /// Checks whether the tape holds everything after `from`. Entries may leave the tape right
    /// after this call.
    #[must_use]
    pub fn reaches_back_to(&self, from: Seq) -> bool {
        from >= self.start()
    }

    /// Returns the first entries after `from`, or `None` if there are none, or if they have left the
    /// tape. The next run begins at the [`end`](Run::end) of this one.
    #[must_use]
    pub fn run(&self, from: Seq) -> Option<Run> {
        self.run_between(from, self.head)
    }

    /// Returns the first entries after `from` that readers may see, also those after the
    /// [`head`](Self::head) of this tape. `None` as for [`run`](Self::run).
    #[must_use]
    pub fn visible_run(&self, from: Seq) -> Option<Run> {
        self.run_between(from, self.visible())
    }

    /// Returns the first entries after `from` and up to `until`, which readers may see.
    #[inline]
    pub(crate) fn run_between(&self, from: Seq, until: Seq) -> Option<Run> {
        if from >= until || !self.reaches_back_to(from) {
            return None;
        }
        let (base, start) = self.ring.locate(from);
        let chunk = self.ring.chunk(base)?;
        let whole = chunk.entries.len();
        let end = usize::try_from(until.get() - base).map_or(whole, |end| end.min(whole));
        // Entries are written in order, so all of the run are there if the last one is.
        chunk.entries[end - 1].get()?;
        Some(Run { chunk, start, end })
    }

    /// Returns all entries after `from`, or `None` if some of them have left the tape.
    #[must_use]
    pub fn runs(&self, from: Seq) -> Option<Vec<Run>> {
        let (mut at, mut runs) = (from, Vec::new());
        while at < self.head {
            let run = self.run(at)?;
            at = run.end();
            runs.push(run);
        }
        Some(runs)
    }

    /// Returns the position of the newest entry of the log that readers may see. It may be after
    /// the [`head`](Self::head) of this tape.
    #[must_use]
    pub fn visible(&self) -> Seq {
        self.ring.visible()
    }

    /// Returns the tape up to position 0, before all entries.
    pub(crate) fn at_zero(&self) -> Self {
        Self {
            ring: Arc::clone(&self.ring),
            head: Seq::ZERO,
            digest: Digest::START,
        }
    }

    /// Moves the head past the next entry.
    pub(crate) fn advance_by(&mut self, entry: &Entry) {
        (self.head, self.digest) = (self.head.next(), entry.digest);
    }

    /// Moves the head to the end of a run.
    pub(crate) fn advance_past(&mut self, run: &Run) {
        if let Some(last) = run.chunk.entries[run.end - 1].get() {
            (self.head, self.digest) = (run.end(), last.digest);
        }
    }
}

#[cfg(test)]
mod tests;
