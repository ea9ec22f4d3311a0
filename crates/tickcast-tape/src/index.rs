//! The index of a segment: where its blocks are, and the times of their ticks. The index of the
//! open segment grows with it. The index of a sealed segment is in its footer.

use tickcast_core::{Digest, Seq};

use crate::times::Times;

/// Where the first block of a segment begins: after the header.
pub(crate) const FIRST_BLOCK: u64 = 24;

/// Minimum distance between the starts of two strides, in bytes.
const STRIDE: u64 = 64 << 10;

/// Index of the blocks of a segment, by strides. Default: of no blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Index {
    strides: Vec<Stride>,
}

/// Some blocks in a row, about 64 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stride {
    /// Sequence number of the first entry.
    pub(crate) first: Seq,
    /// Where the first block begins in the file.
    pub(crate) offset: u64,
    /// Digest of the tape before the first block.
    pub(crate) before: Digest,
    /// Times of the ticks before the byte `timed_to`.
    pub(crate) times: Times,
    pub(crate) timed_to: u64,
}

impl Stride {
    /// The start of a stride.
    pub(crate) fn new(first: Seq, offset: u64, before: Digest) -> Self {
        Self {
            first,
            offset,
            before,
            times: Times::default(),
            timed_to: offset,
        }
    }
}

/// A stride and its current end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) stride: Stride,
    pub(crate) end: u64,
    /// Sequence number of the last entry.
    pub(crate) last: Seq,
}

impl Part {
    /// Returns the times of the ticks, if all are known.
    pub(crate) fn times(&self) -> Option<Times> {
        (self.stride.timed_to >= self.end).then_some(self.stride.times)
    }
}

impl Index {
    pub(crate) const fn of(strides: Vec<Stride>) -> Self {
        Self { strides }
    }

    pub(crate) fn strides(&self) -> &[Stride] {
        &self.strides
    }

    /// Adds the block at a byte of the file. `first` is the sequence number of its first entry, and
    /// `before` the digest of the tape before it.
    pub(crate) fn add(&mut self, first: Seq, offset: u64, before: Digest) {
        let is_near = |stride: &Stride| offset - stride.offset < STRIDE;
        if !self.strides.last().is_some_and(is_near) {
            self.strides.push(Stride::new(first, offset, before));
        }
    }

    /// Sets the times of the newest block, from byte `from` to byte `to`.
    pub(crate) fn add_times(&mut self, times: Times, (from, to): (u64, u64)) {
        if let Some(newest) = self.strides.last_mut()
            && newest.timed_to == from
        {
            newest.times.join(times);
            newest.timed_to = to;
        }
    }

    /// Returns the stride that contains the entry `seq`, if there is one. The segment ends with the
    /// entry `last` at byte `end`.
    pub(crate) fn part(&self, seq: Seq, end: (Seq, u64)) -> Option<Part> {
        let next = self.strides.partition_point(|stride| stride.first <= seq);
        self.part_at(next.checked_sub(1)?, end)
    }

    /// Returns the first stride with ticks whose times are not known.
    pub(crate) fn untimed(&self, end: (Seq, u64)) -> Option<Part> {
        let parts = (0..self.strides.len()).filter_map(|at| self.part_at(at, end));
        parts.into_iter().find(|part| part.times().is_none())
    }

    fn part_at(&self, at: usize, end: (Seq, u64)) -> Option<Part> {
        let stride = *self.strides.get(at)?;
        let next = self.strides.get(at + 1);
        let (last, end) = next.map_or(end, |next| (Seq::new(next.first.get() - 1), next.offset));
        Some(Part { stride, end, last })
    }

    /// Stores the times of the ticks of a stride that were not known.
    pub(crate) fn note_times(&mut self, part: &Part, times: Times) {
        let place = |stride: &Stride| stride.offset;
        if let Ok(at) = self
            .strides
            .binary_search_by_key(&part.stride.offset, place)
        {
            let stride = &mut self.strides[at];
            // Another thread may have read a longer part meanwhile.
            stride.times.join(times);
            stride.timed_to = stride.timed_to.max(part.end);
        }
    }

    /// Returns the known times of all ticks.
    pub(crate) fn times(&self) -> Times {
        let mut times = Times::default();
        self.strides
            .iter()
            .for_each(|stride| times.join(stride.times));
        times
    }
}
