//! The ring of chunks: what one writer and many readers of a tape share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;

use super::Entry;
use super::entry::ENTRY_OVERHEAD;
use crate::{Digest, Seq};

/// Maximum number of entries of a chunk. Readers look for a chunk once in so many entries, and a
/// chunk without readers is freed at once.
const MAX_CHUNK: usize = 256;

/// A tape has at least so many chunks, so that the oldest chunk, of which a part may no longer be
/// read, is a small part of its memory.
const MIN_CHUNKS: usize = 64;

/// An entry seldom takes more memory, in bytes.
const LARGE_ENTRY: usize = 1024;

/// Maximum number of entries of a tape, whatever its limits: 2^28, which takes 8 MiB for the places
/// of the chunks.
const MAX_ENTRIES: usize = 1 << 28;

/// Some entries in a row. Each is written once, before the head of the tape moves past it.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Number of entries before the chunk, from position 0 on.
    pub(super) base: u64,
    /// Digest before the first entry.
    pub(super) before: Digest,
    pub(super) entries: Box<[OnceLock<Entry>]>,
}

impl Chunk {
    /// Returns a copy with the first `kept` entries only.
    pub(super) fn first(&self, kept: usize) -> Self {
        let mut entries = self.entries.clone();
        entries[kept..]
            .iter_mut()
            .for_each(|entry| _ = entry.take());
        Self { entries, ..*self }
    }
}

/// The chunks of a tape, each in its place, and how far readers may read. Readers take no lock.
#[derive(Debug)]
pub(super) struct Ring {
    /// Each chunk has one place. The place is empty when the chunk has left the tape.
    places: Box<[ArcSwapOption<Chunk>]>,
    /// Number of entries of a chunk: two to the power of this number.
    shift: u32,
    /// The position before the first entry that was ever written, with the digest there.
    pub(super) origin: (Seq, Digest),
    /// The position before the oldest entry that is still on the tape.
    start: AtomicU64,
    /// The position of the newest entry that readers may see.
    visible: AtomicU64,
    pub(super) max_entries: usize,
    pub(super) max_bytes: usize,
}

impl Ring {
    pub(super) fn new(origin: (Seq, Digest), max_entries: usize, max_bytes: usize) -> Self {
        let max_entries = max_entries
            .min(max_bytes / ENTRY_OVERHEAD)
            .clamp(1, MAX_ENTRIES);
        let chunk = max_entries.min(max_bytes / LARGE_ENTRY) / MIN_CHUNKS;
        let chunk = chunk.clamp(1, MAX_CHUNK);
        let shift = chunk.ilog2();
        // The oldest chunk and the newest one may have only a part of the entries.
        let places = (max_entries >> shift) + 2;
        let start = origin.0.get();
        Self {
            places: (0..places).map(|_| ArcSwapOption::empty()).collect(),
            shift,
            origin,
            start: AtomicU64::new(start),
            visible: AtomicU64::new(start),
            max_entries,
            max_bytes,
        }
    }

    /// Returns where the entry after `from` lies: the number of entries before its chunk, and its
    /// index there.
    pub(super) const fn locate(&self, from: Seq) -> (u64, usize) {
        let index = from.get() & ((1 << self.shift) - 1);
        (from.get() - index, index as usize)
    }

    fn place(&self, base: u64) -> &ArcSwapOption<Chunk> {
        let number = base >> self.shift;
        &self.places[(number % self.places.len() as u64) as usize]
    }

    /// Returns a chunk, unless it has left the tape.
    pub(super) fn chunk(&self, base: u64) -> Option<Arc<Chunk>> {
        let chunk = self.place(base).load_full();
        chunk.filter(|chunk| chunk.base == base)
    }

    /// Makes an empty chunk.
    pub(super) fn new_chunk(&self, base: u64, before: Digest) -> Chunk {
        let entries = (0..1_usize << self.shift).map(|_| OnceLock::new());
        Chunk {
            base,
            before,
            entries: entries.collect(),
        }
    }

    /// Puts a chunk into its place.
    pub(super) fn put(&self, chunk: Chunk) -> Arc<Chunk> {
        let chunk = Arc::new(chunk);
        self.place(chunk.base).store(Some(Arc::clone(&chunk)));
        chunk
    }

    /// Removes a chunk from its place. Who reads it has a reference of its own.
    pub(super) fn remove(&self, base: u64) {
        self.place(base).store(None);
    }

    pub(super) fn start(&self) -> Seq {
        Seq::new(self.start.load(Ordering::Acquire))
    }

    pub(super) fn set_start(&self, start: Seq) {
        self.start.store(start.get(), Ordering::Release);
    }

    /// Returns the position up to which readers may read. The order of all accesses to it and to
    /// the signal that a reader waits is one order, so that no reader misses the last entry.
    pub(super) fn visible(&self) -> Seq {
        Seq::new(self.visible.load(Ordering::SeqCst))
    }

    /// Lets readers read up to `head`. Returns whether this is further than before.
    pub(super) fn show(&self, head: Seq) -> bool {
        self.visible.swap(head.get(), Ordering::SeqCst) != head.get()
    }
}
