//! What requests for something else than a stream may hold and do, all of them together.

mod error;
mod pieces;
mod snapshot;
mod snapshots;
mod workers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::body::Body;
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::stats::AnswerStats;
pub(crate) use error::{AnswerPermit, Busy, Cut, RETRY_AFTER};
pub(crate) use pieces::{Pull, body};
use snapshot::SnapshotCache;
pub(crate) use snapshot::{NoSnapshot, Snapshot};
use workers::Workers;

/// About how long a piece of an answer is: whoever takes nothing holds one of them, in whatever writes to the socket.
pub(crate) const PIECE_BYTES: usize = 64 << 10;

/// Most exports at a time. Each holds a place on the tape and a piece.
const MAX_EXPORTS: usize = 64;

/// Most wide answers at a time: those of more than a piece, and those for which much has to be compared.
const MAX_WIDE_ANSWERS: usize = 64;

/// A body that is no longer than this counts as a part of its connection.
pub(crate) const MAX_SHORT_BODY_BYTES: usize = 4 << 10;

/// Most longer bodies at a time that are of use only whole; fewer, but not fewer than the first number, where answers may hold little.
const MAX_LONG_BODIES: (usize, usize) = (8, 64);

/// Most bodies compressed by zstd at a time, and the window that each may need.
const MAX_ZSTD_WINDOWS: usize = 16;
const ZSTD_WINDOW_BYTES: usize = 8 << 20;

/// Bounds what answers hold and do.
pub(crate) struct Answers {
    exports: Arc<Semaphore>,
    wide: Arc<Semaphore>,
    long_bodies: Arc<Semaphore>,
    windows: Arc<Semaphore>,
    /// Room for the market as it stood, in KiB, and for what is written already.
    held: Arc<Semaphore>,
    written: Arc<Semaphore>,
    held_kib: usize,
    workers: Workers,
    snapshot_cache: tokio::sync::Mutex<SnapshotCache>,
    refused: AtomicU64,
}

/// What is written already, and given out piece by piece.
struct FinishedText(Bytes);

/// A text that gives its room back with its last byte.
struct HeldText {
    text: Vec<u8>,
    _room: AnswerPermit,
}

impl Answers {
    /// Lets answers hold so many bytes between them, of the market as it stood and of what is written already, and the windows of
    /// compressed bodies as many.
    pub(crate) fn new(held: usize) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        // One quarter for what is written: whoever does not take it keeps nobody from the market.
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
            workers: Workers::default(),
            snapshot_cache: tokio::sync::Mutex::default(),
            refused: AtomicU64::new(0),
        }
    }

    /// A place for an export.
    pub(crate) fn export(&self) -> Result<AnswerPermit, Busy> {
        self.permit(&self.exports, 1, "exports")
    }

    /// A place for a wide answer.
    pub(crate) fn wide(&self) -> Result<AnswerPermit, Busy> {
        self.permit(&self.wide, 1, "large answers")
    }

    /// A place for a body that is kept until it is whole.
    pub(crate) fn long_body(&self) -> Result<AnswerPermit, Busy> {
        self.permit(&self.long_bodies, 1, "long bodies")
    }

    /// Room for the window of a body that was compressed by zstd.
    pub(crate) fn window(&self) -> Result<AnswerPermit, Busy> {
        self.permit(&self.windows, 1, "bodies compressed by zstd")
    }

    /// Returns a body that is written already, and ready to be sent. A long one is sent in pieces and takes a place; one that is not
    /// short holds room until it is sent.
    ///
    /// # Errors
    /// There is no place, or no room.
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
        Ok(body(None, FinishedText(Bytes::from_owner(HeldText { text, _room: room })), self.wide()?))
    }

    /// Room for so many bytes. One that alone is more than there is may be held alone.
    pub(super) fn reserve(&self, bytes: usize) -> Result<AnswerPermit, Busy> {
        let kib = bytes.div_ceil(1024).min(self.held_kib);
        self.permit(&self.held, u32::try_from(kib).unwrap_or(u32::MAX), "large answers")
    }

    fn permit(&self, places: &Arc<Semaphore>, count: u32, what: &'static str) -> Result<AnswerPermit, Busy> {
        Arc::clone(places).try_acquire_many_owned(count).map_err(|_| {
            self.refused.fetch_add(1, Relaxed);
            Busy(what)
        })
    }

    /// Does what takes its time on a thread that may, a few at a time and each in its turn.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Cut> {
        self.workers.run(act).await
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
        let piece = self.0.split_to(PIECE_BYTES.min(self.0.len()));
        Ok((piece, Some(self).filter(|rest| !rest.0.is_empty())))
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
    async fn what_is_written_holds_room_until_it_is_sent() {
        let answers = Answers::new(800 << 10);
        let whole = |body: Body| axum::body::to_bytes(body, usize::MAX);
        let (short, one, many) =
            (vec![1; MAX_SHORT_BODY_BYTES], vec![2; PIECE_BYTES], vec![3; 2 * PIECE_BYTES + 1]);
        let held = [answers.written(one.clone()).unwrap(), answers.written(many.clone()).unwrap()];
        assert!(answers.written(one.clone()).is_err());
        assert_eq!(whole(answers.written(short.clone()).unwrap()).await.unwrap(), short);
        let [first, second] = held;
        let (first, second) = (whole(first).await.unwrap(), whole(second).await.unwrap());
        assert_eq!((&first, &second), (&one.into(), &many.into()));
        let all = vec![4; 196 << 10];
        assert!(answers.written(all.clone()).is_err(), "whoever sends the first has it still");
        drop(first);
        assert!(answers.written(all).is_ok());
        assert_eq!(answers.stats().wide, 0);
    }

    #[test]
    fn the_market_as_it_stood_is_held_so_often_and_no_more() {
        let answers = Answers::new(4 << 20);
        let first = answers.reserve((3 << 20) - 4096).unwrap();
        let second = answers.reserve(3000).unwrap();
        assert_eq!(answers.reserve(2000).err(), Some(Busy("large answers")));
        drop((first, second));
        // One that alone is more may be held, but alone.
        let all = answers.reserve(usize::MAX).unwrap();
        assert!(answers.reserve(1).is_err());
        drop(all);
        assert!(answers.reserve(1).is_ok());
        assert_eq!(answers.stats().refused, 2);
    }
}
