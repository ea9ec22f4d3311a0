//! Reading of the tape on disk.

use std::ops::ControlFlow;
use std::sync::Arc;

use tickcast_core::{Check, Digest, Position, Recorded, Seq, Time};

use crate::Sync;
use crate::blocks::{Blocks, untimed};
use crate::error::{AppendError, ReadError};
use crate::segment_set::SegmentSet;
use crate::times::Times;

/// Maximum number of reads of 256 KiB that one call of [`DiskTape::read`] makes.
const MAX_CHUNKS: usize = 4;

/// Maximum number of strides (about 64 KiB each) that one call of [`DiskTape::skip`] scans for the
/// times of their ticks. [`DiskTape::read`] reads about as many bytes per call.
const MAX_SCANNED_STRIDES: usize = 16;

/// Read access to the tape on disk. Field of [`Opened`](crate::Opened). Cheap to clone.
#[derive(Debug, Clone)]
pub struct DiskTape(pub(crate) Arc<SegmentSet>);

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
        self.beginning().map_or(Seq::ZERO, |(start, _)| start)
    }

    /// Returns the position before the oldest entry and the digest of the tape there, or `None` if
    /// the tape is empty.
    #[must_use]
    pub fn beginning(&self) -> Option<(Seq, Digest)> {
        let oldest = self.0.oldest()?;
        Some((Seq::new(oldest.first.get() - 1), oldest.before()))
    }

    /// Returns the sequence number of the newest entry.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.0.newest().map_or(Seq::ZERO, |segment| segment.last())
    }

    /// Returns the number of segments of which a part was found to be damaged since the tape was
    /// opened.
    #[must_use]
    pub fn damaged_segments(&self) -> usize {
        let segments = self.0.segments();
        segments
            .iter()
            .filter(|segment| segment.is_damaged())
            .count()
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
        let (mut blocks, mut buffer) = (Blocks::find(&segment, target.next()), Vec::new());
        loop {
            let flow = blocks.read_chunk(&mut buffer, |block, _, digest| {
                for (seq, Recorded { symbol, json, .. }) in block.records() {
                    if seq > target {
                        return ControlFlow::Break(());
                    }
                    *digest = digest.with(&symbol, json);
                }
                ControlFlow::Continue(())
            })?;
            if flow != ControlFlow::Continue(true) {
                return Ok(blocks.digest);
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
        let mut blocks = Blocks::find(&segment, from.next());
        for _ in 0..MAX_CHUNKS {
            let flow = blocks.read_chunk(&mut buffer, |block, _, digest| {
                let stamp = block.stamp.map(|stamp| stamp.now);
                for (seq, recorded) in block.records() {
                    *digest = digest.with(&recorded.symbol, recorded.json);
                    if seq > from {
                        reached = seq;
                        each(Position::new(seq, digest.check()), recorded, stamp)?;
                    }
                }
                ControlFlow::Continue(())
            });
            match flow {
                // The entries so far are valid. The next call returns the error.
                Err(_) if reached > from => break,
                Err(error) => return Err(error),
                Ok(ControlFlow::Break(())) => break,
                Ok(ControlFlow::Continue(true)) => {}
                Ok(ControlFlow::Continue(false)) => {
                    let next = self
                        .0
                        .containing(reached.next())
                        .filter(|next| next.first > segment.first && next.first == reached.next());
                    let Some(next) = next else { break };
                    segment = next;
                    blocks = Blocks::find(&segment, reached.next());
                }
            }
        }
        Ok(reached)
    }

    /// Skips entries after `from` that contain no tick with a time in `range`, both ends included.
    /// The footers say the times of the ticks of sealed segments, so nothing of these is read. In the
    /// other segments, the times of a stride are read at the first request and then stored.
    ///
    /// # Errors
    /// If the tape no longer holds the entries, or cannot be read.
    pub fn skip(&self, from: Seq, range: (Time, Time)) -> Result<Skipped, ReadError> {
        let (mut at, mut scanned) = (from, 0);
        while let Some(segment) = self
            .0
            .containing(at.next())
            .filter(|segment| at < segment.last())
        {
            if segment.first > at.next() {
                return Err(ReadError::Expired);
            }
            let within = |times: Times| times.overlap(range);
            if segment.sealed_times().is_some_and(|times| !within(times)) {
                at = segment.last();
                continue;
            }
            let mut part = segment.part(at.next());
            let times = match part.times() {
                Some(times) => times,
                None if scanned == MAX_SCANNED_STRIDES => return Ok(Skipped::SoFar(at)),
                None => {
                    scanned += 1;
                    let more = untimed(&segment, &part)?;
                    segment.note_times(&part, more);
                    part.stride.times.join(more);
                    part.stride.times
                }
            };
            if within(times) {
                break;
            }
            at = part.last;
        }
        Ok(Skipped::To(at))
    }
}
