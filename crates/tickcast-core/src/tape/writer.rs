//! The writer of a tape.

use std::collections::VecDeque;
use std::sync::Arc;

use super::ring::{Chunk, Ring};
use super::{Entry, Tape};
use crate::{Digest, Seq};

/// The only writer of a tape. Readers see its entries when it [shows](Self::show) them.
#[derive(Debug)]
pub(crate) struct TapeWriter {
    /// The tape up to the newest entry, which readers may not see yet.
    tape: Tape,
    /// The chunks of the tape, the oldest first.
    chunks: VecDeque<Arc<Chunk>>,
    bytes: usize,
}

impl TapeWriter {
    /// Makes an empty tape. The first entry follows `head`, and the digest at `head` is `digest`.
    pub(crate) fn new((head, digest): (Seq, Digest), max_entries: usize, max_bytes: usize) -> Self {
        let ring = Arc::new(Ring::new((head, digest), max_entries, max_bytes));
        Self {
            tape: Tape { ring, head, digest },
            chunks: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Returns the tape up to the newest entry.
    pub(crate) const fn tape(&self) -> &Tape {
        &self.tape
    }

    /// Returns the approximate size in bytes.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds an entry. Removes the oldest entries if a maximum is reached.
    pub(crate) fn push(&mut self, entry: Entry) -> Seq {
        let weight = entry.weight();
        self.make_room(weight);
        let Tape { ring, head, digest } = &mut self.tape;
        let (base, index) = ring.locate(*head);
        let open = match self.chunks.back() {
            Some(chunk) if chunk.base == base => chunk,
            _ => self
                .chunks
                .push_back_mut(ring.put(ring.new_chunk(base, *digest))),
        };
        *digest = entry.digest;
        let _ = open.entries[index].set(entry);
        self.bytes += weight;
        *head = head.next();
        *head
    }

    /// Lets readers see all entries. Returns whether there were new ones.
    pub(crate) fn show(&self) -> bool {
        self.tape.ring.show(self.tape.head)
    }

    /// Lets readers see the entries up to `head`.
    pub(crate) fn show_until(&self, head: Seq) {
        self.tape.ring.show(head);
    }

    /// Removes the newest entries, which readers have not seen, back to the head of `shown`.
    pub(crate) fn cut(&mut self, shown: &Tape) {
        let ring = &self.tape.ring;
        let (base, index) = ring.locate(shown.head);
        let start = ring.start();
        while let Some(chunk) = self.chunks.pop_back_if(|chunk| chunk.base >= base) {
            let kept = if chunk.base == base { index } else { 0 };
            // The entries before the start no longer count.
            let gone = usize::try_from(start.get().saturating_sub(chunk.base)).unwrap_or(kept);
            let taken_back = chunk.entries.iter().skip(kept.max(gone));
            let weights = taken_back.filter_map(|entry| entry.get().map(Entry::weight));
            self.bytes -= weights.sum::<usize>();
            if kept > 0 {
                self.chunks.push_back(ring.put(chunk.first(kept)));
                break;
            }
            ring.remove(chunk.base);
        }
        ring.set_start(start.min(shown.head));
        (self.tape.head, self.tape.digest) = (shown.head, shown.digest);
    }

    /// Removes the oldest entries until there is room for one more entry of this size.
    fn make_room(&mut self, weight: usize) {
        let ring = &self.tape.ring;
        let mut start = ring.start();
        while self.tape.head > start
            && (self.tape.head.get() - start.get() >= ring.max_entries as u64
                || self.bytes + weight > ring.max_bytes)
        {
            let Some(oldest) = self.chunks.front() else {
                break;
            };
            let (_, index) = ring.locate(start);
            self.bytes -= oldest.entries[index].get().map_or(0, Entry::weight);
            start = start.next();
            ring.set_start(start);
            if ring.locate(start).0 != oldest.base {
                ring.remove(oldest.base);
                self.chunks.pop_front();
            }
        }
    }
}
