//! Shared limits on the memory and the work of requests that are not streams.

mod error;
mod pieces;
mod price_list;
mod snapshot;
mod snapshot_cache;
mod snapshots;

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::body::Body;
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::stats::AnswerStats;
use crate::workers::{Work, Workers};
pub(crate) use error::{AnswerPermit, Busy, Cut, RETRY_AFTER};
pub(crate) use pieces::{PIECE_BYTES, Pull, body};
pub(crate) use price_list::PriceList;
pub(crate) use snapshot::{NoSnapshot, Snapshot};
use snapshot_cache::SnapshotCache;

/// Maximum number of exports at a time. Each export holds a tape position and one piece.
const MAX_EXPORTS: usize = 64;

/// Maximum number of large answers at a time. An answer is large if the answer has more than one
/// piece or needs many pattern comparisons.
const MAX_WIDE_ANSWERS: usize = 64;

/// Maximum size of a short body, in bytes. A short body counts as a part of its connection and
/// needs no permit.
pub(crate) const MAX_SHORT_BODY_BYTES: usize = 4 << 10;

/// Minimum and maximum number of long bodies at a time that are usable only when complete. The
/// number is lower when the memory limit for answers is small, but never below the minimum.
const MAX_LONG_BODIES: (usize, usize) = (8, 64);

/// Maximum number of bodies compressed with zstd at a time, and the decoding window of each body in
/// bytes.
const MAX_ZSTD_WINDOWS: usize = 16;
const ZSTD_WINDOW_BYTES: usize = 8 << 20;

/// The shared limits of answers, in memory and in work.
pub(crate) struct Answers {
    exports: Arc<Semaphore>,
    wide: Arc<Semaphore>,
    long_bodies: Arc<Semaphore>,
    windows: Arc<Semaphore>,
    /// The memory limit for market snapshots and the one for finished text, both in KiB.
    held: Arc<Semaphore>,
    written: Arc<Semaphore>,
    held_kib: usize,
    workers: Arc<Workers>,
    snapshot_cache: Arc<tokio::sync::Mutex<SnapshotCache>>,
    /// The secret of the fingerprints. Each market has its own, so that an answer of another market,
    /// or of an earlier run, never has the same.
    fingerprints: RandomState,
    refused: AtomicU64,
}

/// A finished text that is sent piece by piece.
struct FinishedText {
    text: Bytes,
    _place: AnswerPermit,
}

/// A text that releases its memory permit together with its last byte.
struct HeldText {
    text: Vec<u8>,
    _room: AnswerPermit,
}

impl Answers {
    /// Limits the memory of all answers to `held` bytes: market snapshots and finished text
    /// together. The windows of compressed bodies may use the same amount again.
    pub(crate) fn new(held: usize, workers: Arc<Workers>) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        // Finished text gets one quarter, so that slow clients of finished text do not block market
        // snapshots.
        let written_kib = (held >> 12).clamp(PIECE_BYTES >> 10, Semaphore::MAX_PERMITS);
        let held_kib = ((held / 4 * 3) >> 10).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            exports: places(MAX_EXPORTS),
            wide: places(MAX_WIDE_ANSWERS),
            long_bodies: places((held >> 22).clamp(MAX_LONG_BODIES.0, MAX_LONG_BODIES.1)),
            windows: places((held / ZSTD_WINDOW_BYTES).clamp(1, MAX_ZSTD_WINDOWS)),
            held: places(held_kib),
            written: places(written_kib),
            held_kib,
            workers,
            snapshot_cache: Arc::default(),
            fingerprints: RandomState::new(),
            refused: AtomicU64::new(0),
        }
    }

    /// Returns a permit for an export.
    pub(crate) fn export(&self) -> Result<AnswerPermit, Busy> {
        self.permit(&self.exports, 1, "exports")
    }

    /// Returns a permit for a large answer.
    pub(crate) fn wide(&self) -> Result<AnswerPermit, Busy> {
        self.permit(&self.wide, 1, "large answers")
    }

    /// Returns a permit for a body that is buffered until the body is complete.
    pub(crate) fn long_body(&self) -> Result<AnswerPermit, Busy> {
        self.permit(&self.long_bodies, 1, "long bodies")
    }

    /// Returns a permit for the window of a body that was compressed with zstd.
    pub(crate) fn window(&self) -> Result<AnswerPermit, Busy> {
        self.permit(&self.windows, 1, "bodies compressed with zstd")
    }

    /// Returns a finished body, ready to be sent. A body longer than one piece is sent in pieces
    /// and needs a permit for a large answer. A body that is not short holds a memory permit until
    /// the body is sent.
    ///
    /// # Errors
    /// If no permit or no memory is free.
    pub(crate) fn written(&self, mut text: Vec<u8>) -> Result<Body, Busy> {
        if text.len() <= MAX_SHORT_BODY_BYTES {
            return Ok(text.into());
        }
        text.shrink_to_fit();
        let kib = u32::try_from(text.len().div_ceil(1024)).unwrap_or(u32::MAX);
        let room = self.permit(&self.written, kib, "large answers")?;
        if text.len() <= PIECE_BYTES {
            return Ok(Bytes::from_owner(HeldText { text, _room: room }).into());
        }
        let rest = FinishedText {
            text: Bytes::from_owner(HeldText { text, _room: room }),
            _place: self.wide()?,
        };
        Ok(body(None, rest))
    }

    /// Returns a permit for `bytes` bytes of memory. A larger amount than the total limit takes the
    /// whole limit.
    pub(super) fn reserve(&self, bytes: usize) -> Result<AnswerPermit, Busy> {
        let kib = bytes.div_ceil(1024).min(self.held_kib);
        self.permit(
            &self.held,
            u32::try_from(kib).unwrap_or(u32::MAX),
            "large answers",
        )
    }

    fn permit(
        &self,
        places: &Arc<Semaphore>,
        count: u32,
        what: &'static str,
    ) -> Result<AnswerPermit, Busy> {
        Arc::clone(places)
            .try_acquire_many_owned(count)
            .map_err(|_| {
                self.refused.fetch_add(1, Relaxed);
                Busy(what)
            })
    }

    /// Runs a slow function on a worker thread, in order of arrival and a few at a time.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        what: Work,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Cut> {
        Ok(self.workers.run(what, act).await?)
    }

    /// Returns 64 bits that tell `of` from all else. Nobody can choose two that share them, because
    /// the hash has a secret.
    pub(crate) fn fingerprint(&self, of: impl Hash) -> u64 {
        self.fingerprints.hash_one(of)
    }

    pub(crate) fn stats(&self) -> AnswerStats {
        let taken = |places: &Semaphore, all: usize| (all - places.available_permits()) as u64;
        AnswerStats {
            exports: taken(&self.exports, MAX_EXPORTS),
            wide: taken(&self.wide, MAX_WIDE_ANSWERS),
            refused: self.refused.load(Relaxed),
        }
    }
}

impl Pull for FinishedText {
    async fn pull(mut self) -> Result<(Bytes, Option<Self>), Cut> {
        let piece = self.text.split_to(PIECE_BYTES.min(self.text.len()));
        Ok((piece, Some(self).filter(|rest| !rest.text.is_empty())))
    }
}

impl AsRef<[u8]> for HeldText {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn finished_text_holds_its_memory_permit_until_it_is_sent() {
        let answers = Answers::new(800 << 10, Arc::default());
        let whole = |body: Body| axum::body::to_bytes(body, usize::MAX);
        let (short, one, many) = (
            vec![1; MAX_SHORT_BODY_BYTES],
            vec![2; PIECE_BYTES],
            vec![3; 2 * PIECE_BYTES + 1],
        );
        let held = [
            answers.written(one.clone()).unwrap(),
            answers.written(many.clone()).unwrap(),
        ];
        assert!(answers.written(one.clone()).is_err());
        assert_eq!(
            whole(answers.written(short.clone()).unwrap())
                .await
                .unwrap(),
            short
        );
        let [first, second] = held;
        let (first, second) = (whole(first).await.unwrap(), whole(second).await.unwrap());
        assert_eq!((&first, &second), (&one.into(), &many.into()));
        let all = vec![4; 196 << 10];
        assert!(
            answers.written(all.clone()).is_err(),
            "whoever sends the first has it still"
        );
        drop(first);
        assert!(answers.written(all).is_ok());
        assert_eq!(answers.stats().wide, 0);
    }

    #[test]
    fn market_snapshots_share_a_fixed_memory_limit() {
        let answers = Answers::new(4 << 20, Arc::default());
        let first = answers.reserve((3 << 20) - 4096).unwrap();
        let second = answers.reserve(3000).unwrap();
        assert_eq!(answers.reserve(2000).err(), Some(Busy("large answers")));
        drop((first, second));
        // An amount above the limit is allowed, but only alone.
        let all = answers.reserve(usize::MAX).unwrap();
        assert!(answers.reserve(1).is_err());
        drop(all);
        assert!(answers.reserve(1).is_ok());
        assert_eq!(answers.stats().refused, 2);
    }
}
