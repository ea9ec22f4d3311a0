//! Reading of the blocks of one segment.

use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use tickcast_core::{Digest, Seq};

use crate::block::{Block, NoBlock};
use crate::error::ReadError;
use crate::index::Part;
use crate::segment::Segment;
use crate::times::Times;

/// Number of bytes per read, larger than a usual block.
const READ_CHUNK_BYTES: usize = 256 << 10;

/// A position between two blocks of a segment, and the state of the tape there. Each block that is
/// read must continue this state, so that no missing entry goes unnoticed.
pub(crate) struct Blocks<'s> {
    segment: &'s Segment,
    /// Where the next block begins in the file.
    at: u64,
    /// Sequence number of the last entry before the next block, and the digest of the tape there.
    pub(crate) seq: Seq,
    pub(crate) digest: Digest,
}

impl<'s> Blocks<'s> {
    /// Returns a position at or before the block with the entry `seq`.
    pub(crate) fn find(segment: &'s Segment, seq: Seq) -> Self {
        let start = segment.find(seq);
        Self {
            segment,
            at: start.offset,
            seq: Seq::new(start.first.get() - 1),
            digest: start.before,
        }
    }

    /// Calls `each` with as many blocks as a chunk holds, at least one, with their first and last
    /// byte in the file, and with the digest of the tape before them, which `each` must advance.
    /// Returns whether there were blocks.
    ///
    /// # Errors
    /// If a block is damaged, or is not the block that was written there.
    pub(crate) fn read_chunk(
        &mut self,
        buffer: &mut Vec<u8>,
        mut each: impl FnMut(&Block<'_>, (u64, u64), &mut Digest) -> ControlFlow<()>,
    ) -> Result<ControlFlow<(), bool>, ReadError> {
        let start = self.at;
        let left = self.segment.written().saturating_sub(start);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        if left == 0 {
            self.check_end()?;
            return Ok(ControlFlow::Continue(false));
        }
        let mut wanted = READ_CHUNK_BYTES.min(left);
        while self.at == start {
            buffer.resize(wanted, 0);
            read_at(self.segment, buffer, start)?;
            let mut rest = buffer.as_slice();
            while !rest.is_empty() {
                let (block, length) = match Block::read(rest) {
                    Ok(read) => read,
                    // The chunk ends within a block.
                    Err(NoBlock::Short(_)) if self.at > start => break,
                    Err(NoBlock::Short(needed)) if wanted < needed && needed <= left => {
                        wanted = needed;
                        break;
                    }
                    Err(error) => return Err(self.damaged(why(error))),
                };
                self.check_continues(&block)?;
                let end = self.at + length as u64;
                let flow = each(&block, (self.at, end), &mut self.digest);
                (self.at, self.seq) = (end, block.last());
                if flow.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                rest = &rest[length..];
            }
        }
        Ok(ControlFlow::Continue(true))
    }

    fn check_continues(&self, block: &Block<'_>) -> Result<(), ReadError> {
        if block.first != self.seq.next() {
            return Err(self.damaged("a block before this block is missing"));
        }
        let continues = |before: Digest| before == self.digest;
        match block.stamp {
            Some(stamp) if !continues(stamp.before) => {
                Err(self.damaged("the block does not continue the data before the block"))
            }
            _ => Ok(()),
        }
    }

    /// Checks that a sealed segment ends here as its footer says.
    fn check_end(&self) -> Result<(), ReadError> {
        match self.segment.sealed_end() {
            Some(end) if end != (self.seq, self.digest) => {
                Err(self.damaged("the segment does not end as its footer says"))
            }
            _ => Ok(()),
        }
    }

    fn damaged(&self, why: &'static str) -> ReadError {
        damaged(self.segment, self.at, why)
    }
}

/// Returns the earliest and the latest time of the ticks of a stride that are not known.
pub(crate) fn untimed(segment: &Segment, part: &Part) -> Result<Times, ReadError> {
    let start = part.stride.timed_to;
    let mut bytes = vec![0; usize::try_from(part.end.saturating_sub(start)).unwrap_or_default()];
    read_at(segment, &mut bytes, start)?;
    let (mut rest, mut times) = (bytes.as_slice(), Times::default());
    while !rest.is_empty() {
        let (block, length) = Block::read(rest)
            .map_err(|error| damaged(segment, part.end - rest.len() as u64, why(error)))?;
        times.join(block.times());
        rest = &rest[length..];
    }
    Ok(times)
}

/// Returns what is wrong where a block was written and none can be read.
const fn why(error: NoBlock) -> &'static str {
    match error {
        NoBlock::Damaged(why) => why,
        NoBlock::End | NoBlock::Short(_) => "a block is missing",
    }
}

fn damaged(segment: &Segment, offset: u64, why: &'static str) -> ReadError {
    let file = segment.path.clone();
    noted(segment, ReadError::Damaged { file, offset, why })
}

/// Reads bytes of a segment, all of which were written.
fn read_at(segment: &Segment, bytes: &mut [u8], offset: u64) -> Result<(), ReadError> {
    let read = segment.file.read_exact_at(bytes, offset);
    read.map_err(|error| noted(segment, error.into()))
}

/// Notes that a part of a segment cannot be read. Returns the error.
fn noted(segment: &Segment, error: ReadError) -> ReadError {
    segment.note_damage(&error);
    error
}
