//! Reading of the tape on disk.

use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use tickcast_core::{Check, Digest, Position, Recorded, Seq, TickView, Time};

use crate::Sync;
use crate::block::{Block, NoBlock};
use crate::error::AppendError;
use crate::segment::{Part, Segment};
use crate::segment_set::SegmentSet;

/// Number of bytes per read, larger than a usual block. A call of [`DiskTape::read`] makes at most
/// [`MAX_CHUNKS`] reads.
const READ_CHUNK_BYTES: usize = 256 << 10;
const MAX_CHUNKS: usize = 4;

/// Maximum number of strides (about 64 KiB each) that one call of [`DiskTape::skip`] scans for the
/// times of their ticks. [`DiskTape::read`] reads about as many bytes per call.
const MAX_SCANNED_STRIDES: usize = 16;

/// Read access to the tape on disk. Field of [`Opened`](crate::Opened). Cheap to clone.
#[derive(Debug, Clone)]
pub struct DiskTape(pub(crate) Arc<SegmentSet>);

/// Reason why the tape cannot be read from a position. Returned by [`DiskTape::read`],
/// [`DiskTape::skip`] and [`DiskTape::check_at`].
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The tape no longer holds the entries after the position.
    #[error("the tape begins after the requested position")]
    Expired,
    /// The data is not what was written.
    #[error("{} is damaged at byte {offset}: {why}", .file.display())]
    Damaged {
        /// Path of the damaged file.
        file: PathBuf,
        /// Byte offset of the damage in the file.
        offset: u64,
        /// Description of the damage.
        why: &'static str,
    },
    /// The operating system reported an error. Contains the error.
    #[error("the tape cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// Result of [`DiskTape::skip`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// The entries after this sequence number must be read: the next stride may contain a tick in
    /// the range, or the tape ends here. Contains the sequence number.
    To(Seq),
    /// The call reached its limit. The caller must call again with the contained sequence number.
    SoFar(Seq),
}

impl DiskTape {
    /// Returns the sequence number before the oldest entry.
    #[must_use]
    pub fn start(&self) -> Seq {
        let oldest = self
            .0
            .segments()
            .front()
            .map_or(0, |segment| segment.first.get() - 1);
        Seq::new(oldest)
    }

    /// Returns the position before the oldest entry and the digest of the tape there, or `None` if
    /// the tape is empty.
    #[must_use]
    pub fn beginning(&self) -> Option<(Seq, Digest)> {
        let segments = self.0.segments();
        let oldest = segments.front()?;
        Some((Seq::new(oldest.first.get() - 1), oldest.start().before))
    }

    /// Returns the sequence number of the newest entry.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.0
            .segments()
            .back()
            .map_or(Seq::ZERO, |segment| segment.last())
    }

    /// Waits until everything up to `seq` is as safe as configured. With [`Sync::Always`], waits
    /// until the disk has confirmed `seq`. Otherwise, returns at once.
    ///
    /// # Errors
    /// If writing has failed.
    pub async fn wait_durable(&self, seq: Seq) -> Result<(), AppendError> {
        if self.0.options.sync == Sync::Always {
            // The wait cannot fail: the sender lives as long as `self`.
            let _ = self
                .0
                .durable()
                .wait_for(|durable| *durable >= seq || self.0.is_broken())
                .await;
        }
        self.0.ensure_writable()
    }

    /// Checks whether the tape can be written.
    ///
    /// # Errors
    /// If writing has failed.
    pub fn check_writable(&self) -> Result<(), AppendError> {
        self.0.ensure_writable()
    }

    /// Returns the number of bytes of all segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0
            .segments()
            .iter()
            .map(|segment| segment.written())
            .sum()
    }

    /// Removes segments beyond the retention limits. Segments that a restart would need, those
    /// after the newest snapshot, stay.
    pub fn trim(&self) {
        self.0.trim();
    }

    pub(crate) const fn segment_set(&self) -> &Arc<SegmentSet> {
        &self.0
    }

    /// Returns the check of the tape at a position. The tape must hold everything after this
    /// position.
    ///
    /// # Errors
    /// If the tape does not hold everything after the position, or cannot be read.
    pub fn check_at(&self, target: Seq) -> Result<Check, ReadError> {
        self.digest_at(target).map(Digest::check)
    }

    /// Returns the digest of the tape at a position, like [`check_at`](Self::check_at).
    pub(crate) fn digest_at(&self, target: Seq) -> Result<Digest, ReadError> {
        let Some(segment) = self
            .0
            .containing(target.next())
            .filter(|segment| segment.first <= target.next())
        else {
            return Err(ReadError::Expired);
        };
        let start = segment.find(target.next());
        let (mut digest, mut buffer, mut at) = (start.before, Vec::new(), start.offset);
        loop {
            let seen = blocks(&segment, at, &mut buffer, |block| {
                for (seq, Recorded { symbol, json, .. }) in block.records() {
                    if seq > target {
                        return ControlFlow::Break(());
                    }
                    digest = digest.with(&symbol, json);
                }
                ControlFlow::Continue(())
            })?;
            match seen {
                ControlFlow::Continue(length) if length > 0 => at += length,
                _ => return Ok(digest),
            }
        }
    }

    /// Reads like [`read_stamped`](Self::read_stamped), without the times.
    ///
    /// # Errors
    /// If the tape no longer holds the entries, or cannot be read.
    pub fn read(
        &self,
        from: Seq,
        mut each: impl FnMut(Position, Recorded<'_>) -> ControlFlow<()>,
    ) -> Result<Seq, ReadError> {
        self.read_stamped(from, |at, recorded, _| each(at, recorded))
    }

    /// Calls `each` with the entries after `from`, in order, and with the wall clock when each was
    /// accepted, if the tape has it. Stops if `each` breaks, if there are
    /// no more entries, or after at most about 1 MiB. Returns the sequence number of the last entry
    /// passed to `each`.
    ///
    /// # Errors
    /// If the tape no longer holds the entries, or cannot be read.
    pub fn read_stamped(
        &self,
        from: Seq,
        mut each: impl FnMut(Position, Recorded<'_>, Option<Time>) -> ControlFlow<()>,
    ) -> Result<Seq, ReadError> {
        let (mut reached, mut buffer) = (from, Vec::new());
        let Some(mut segment) = self.0.containing(from.next()) else {
            return Ok(from);
        };
        if segment.first > from.next() {
            return Err(ReadError::Expired);
        }
        let start = segment.find(from.next());
        let (mut at, mut digest) = (start.offset, start.before);
        for _ in 0..MAX_CHUNKS {
            let seen = blocks(&segment, at, &mut buffer, |block| {
                let stamp = block.stamp.map(|stamp| stamp.now);
                for (seq, recorded) in block.records() {
                    digest = digest.with(&recorded.symbol, recorded.json);
                    if seq > from {
                        reached = seq;
                        each(Position::new(seq, digest.check()), recorded, stamp)?;
                    }
                }
                ControlFlow::Continue(())
            });
            match seen {
                // The entries so far are valid. The next call returns the error.
                Err(_) if reached > from => break,
                Err(error) => return Err(error),
                Ok(ControlFlow::Break(())) => break,
                Ok(ControlFlow::Continue(0)) => {
                    let next = self
                        .0
                        .containing(reached.next())
                        .filter(|next| next.first > segment.first && next.first == reached.next());
                    let Some(next) = next else { break };
                    (at, digest) = (next.start().offset, next.start().before);
                    segment = next;
                }
                Ok(ControlFlow::Continue(length)) => at += length,
            }
        }
        Ok(reached)
    }

    /// Skips entries after `from` that contain no tick with a time in `range`, both ends included.
    /// The ticks of a stride are not ordered by time. The range of times of a stride is computed at
    /// the first request and then stored, so that skipped entries are not read again.
    ///
    /// # Errors
    /// If the tape no longer holds the entries, or cannot be read.
    pub fn skip(&self, from: Seq, (earliest, latest): (Time, Time)) -> Result<Skipped, ReadError> {
        let (mut at, mut scanned) = (from, 0);
        while let Some(segment) = self
            .0
            .containing(at.next())
            .filter(|segment| at < segment.last())
        {
            if segment.first > at.next() {
                return Err(ReadError::Expired);
            }
            let part = segment.part(at.next());
            let times = match part.times {
                Some(times) => times,
                None if scanned == MAX_SCANNED_STRIDES => return Ok(Skipped::SoFar(at)),
                None => {
                    scanned += 1;
                    let times = times(&segment, &part)?;
                    segment.note_times(&part, times);
                    times
                }
            };
            if times.is_some_and(|(first, last)| first <= latest && last >= earliest) {
                break;
            }
            at = part.last;
        }
        Ok(Skipped::To(at))
    }
}

/// Returns the earliest and the latest time of the ticks of a stride, or `None` if the stride holds
/// no ticks.
fn times(segment: &Segment, part: &Part) -> Result<Option<(Time, Time)>, ReadError> {
    let mut bytes = vec![0; usize::try_from(part.end - part.offset).unwrap_or_default()];
    segment.file.read_exact_at(&mut bytes, part.offset)?;
    let (mut rest, mut times) = (bytes.as_slice(), None);
    while !rest.is_empty() {
        let (block, length) = Block::read(rest).map_err(|error| {
            let why = if let NoBlock::Damaged(why) = error {
                why
            } else {
                "a block is missing"
            };
            damaged(segment, part.end - rest.len() as u64, why)
        })?;
        let ticks = block
            .records()
            .filter_map(|(_, recorded)| TickView::read(recorded.json?));
        times = ticks.fold(times, |times, TickView { time, .. }| {
            let (first, last) = times.unwrap_or((time, time));
            Some((first.min(time), last.max(time)))
        });
        rest = &rest[length..];
    }
    Ok(times)
}

/// Calls `each` with the blocks of a segment from byte `at` on: as many blocks as a chunk holds, at
/// least one. Returns the number of bytes of these blocks.
fn blocks(
    segment: &Segment,
    at: u64,
    buffer: &mut Vec<u8>,
    mut each: impl FnMut(Block<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<(), u64>, ReadError> {
    let left = usize::try_from(segment.written().saturating_sub(at)).unwrap_or(usize::MAX);
    let (mut wanted, mut offset) = (READ_CHUNK_BYTES.min(left), 0);
    loop {
        buffer.resize(wanted, 0);
        segment.file.read_exact_at(buffer, at)?;
        while offset < left {
            match Block::read(&buffer[offset..]) {
                Ok((block, length)) => {
                    offset += length;
                    if each(block).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Err(NoBlock::Short(_)) if offset > 0 => break,
                Err(NoBlock::Short(needed)) if wanted < needed && needed <= left => {
                    wanted = needed;
                    break;
                }
                Err(NoBlock::Damaged(why)) => {
                    return Err(damaged(segment, at + offset as u64, why));
                }
                Err(_) if offset == buffer.len() => break,
                Err(_) => return Err(damaged(segment, at + offset as u64, "a block is missing")),
            }
        }
        if offset > 0 || left == 0 {
            return Ok(ControlFlow::Continue(offset as u64));
        }
    }
}

fn damaged(segment: &Segment, offset: u64, why: &'static str) -> ReadError {
    ReadError::Damaged {
        file: segment.path.clone(),
        offset,
        why,
    }
}
