//! All files of a tape, and how far the disk has confirmed them.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tickcast_core::{Epoch, Seq};
use tokio::sync::watch;

use crate::data_dir::{DataDir, same_file};
use crate::error::AppendError;
use crate::segment::Segment;
use crate::{Options, Sync};

/// How often the folder is looked at: who publishes hears within a second that it is gone.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// All files of a tape.
#[derive(Debug)]
pub(crate) struct SegmentSet {
    pub(crate) folder: DataDir,
    pub(crate) epoch: Epoch,
    pub(crate) options: Options,
    /// Oldest first; the last one is being written.
    segments: RwLock<VecDeque<Arc<Segment>>>,
    /// Up to where the disk has confirmed everything.
    durable: watch::Sender<Seq>,
    /// Where a restart would begin: the place of the newest snapshot.
    base: AtomicU64,
    /// Something failed that cannot be made good.
    broken: OnceLock<Arc<str>>,
    work: Mutex<Work>,
    wake: Condvar,
}

/// What the one who syncs is told.
#[derive(Debug, Default)]
struct Work {
    written: bool,
    closing: bool,
}

impl SegmentSet {
    pub(crate) fn new(
        (folder, base): (DataDir, Seq),
        epoch: Epoch,
        options: Options,
        (segments, durable): (VecDeque<Arc<Segment>>, Seq),
    ) -> Self {
        let durable = watch::Sender::new(durable);
        let (broken, work, wake) = (OnceLock::new(), Mutex::default(), Condvar::new());
        let base = AtomicU64::new(base.get());
        let segments = RwLock::new(segments);
        Self { folder, epoch, options, segments, durable, base, broken, work, wake }
    }

    pub(crate) fn segments(&self) -> VecDeque<Arc<Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The segment that holds the entry `seq`, or the first one after it.
    pub(crate) fn containing(&self, seq: Seq) -> Option<Arc<Segment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let behind = segments.partition_point(|segment| segment.first <= seq);
        segments.get(behind.saturating_sub(1)).cloned()
    }

    pub(crate) fn push(&self, segment: Arc<Segment>) {
        self.segments.write().unwrap_or_else(PoisonError::into_inner).push_back(segment);
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.get().is_some()
    }

    /// Whether more can be written.
    pub(crate) fn ensure_writable(&self) -> Result<(), AppendError> {
        self.broken.get().map_or(Ok(()), |why| Err(AppendError::Broken(Arc::clone(why))))
    }

    /// Nothing more will be written, and the next run has an epoch of its own.
    pub(crate) fn poison(&self, error: &io::Error) {
        if self.broken.set(error.to_string().into()).is_ok() {
            tracing::error!(%error, "the tape on disk cannot be written any more: nothing is published until a restart");
            if let Err(error) = self.folder.invalidate_epoch(self.epoch) {
                tracing::error!(%error, "cannot mark the tape as damaged");
            }
            // Whoever waits is to look again.
            self.durable.send_modify(|_| {});
        }
    }

    /// Looks, twice a second until the tape is closed, whether its folder, and the file that is written, are still there.
    pub(crate) fn watch_until_closed(&self) {
        let mut work = self.work();
        while !work.closing {
            drop(work);
            if let Some(why) = self.why_lost() {
                return self.poison(&io::Error::other(why));
            }
            let (waited, _) = self
                .wake
                .wait_timeout_while(self.work(), WATCH_INTERVAL, |work| !work.closing)
                .unwrap_or_else(PoisonError::into_inner);
            work = waited;
        }
    }

    /// Why what is written would be lost.
    fn why_lost(&self) -> Option<&'static str> {
        let newest = self.segments().back().cloned()?;
        let in_place = std::fs::metadata(&newest.path)
            .and_then(|there| Ok(same_file(&there, &newest.file.metadata()?)))
            .unwrap_or(false);
        // A new segment may have come meanwhile, but an old one is not renamed.
        self.folder.why_lost().or_else(|| (!in_place).then_some("its newest file was deleted or replaced"))
    }

    /// Up to where the disk has confirmed everything.
    pub(crate) fn durable(&self) -> watch::Receiver<Seq> {
        self.durable.subscribe()
    }

    pub(crate) fn durable_now(&self) -> Seq {
        *self.durable.borrow()
    }

    /// There is something to confirm.
    pub(crate) fn note_write(&self) {
        if self.options.sync == Sync::Never {
            return;
        }
        let mut work = self.work();
        if !work.written {
            work.written = true;
            drop(work);
            self.wake.notify_all();
        }
    }

    /// Ends [`sync_until_closed`](Self::sync_until_closed).
    pub(crate) fn close(&self) {
        self.work().closing = true;
        self.wake.notify_all();
    }

    /// Makes the disk confirm what is written, as often as is asked for, until the tape is closed.
    pub(crate) fn sync_until_closed(&self) {
        loop {
            let mut work = self.work();
            while !work.written && !work.closing {
                work = self.wake.wait(work).unwrap_or_else(PoisonError::into_inner);
            }
            if work.closing {
                return;
            }
            if let Sync::Interval(interval) = self.options.sync {
                let (waited, _) = self
                    .wake
                    .wait_timeout_while(work, interval, |work| !work.closing)
                    .unwrap_or_else(PoisonError::into_inner);
                work = waited;
            }
            work.written = false;
            drop(work);
            self.sync();
        }
    }

    /// Makes the disk confirm what is written by now.
    pub(crate) fn sync(&self) {
        if self.is_broken() {
            return;
        }
        let mut confirmed = self.durable_now();
        for segment in self.segments() {
            // In this order: what is counted as there has been written.
            let last = segment.last();
            let written = segment.written();
            if segment.durable.load(Ordering::Relaxed) < written {
                if let Err(error) = segment.file.sync_data() {
                    return self.poison(&error);
                }
                segment.durable.store(written, Ordering::Relaxed);
            }
            confirmed = confirmed.max(last);
        }
        // Someone else may have got further meanwhile.
        self.durable
            .send_if_modified(|durable| std::mem::replace(durable, confirmed.max(*durable)) < confirmed);
    }

    /// A restart would begin here.
    pub(crate) fn begin_at(&self, base: Seq) {
        self.base.store(base.get(), Ordering::SeqCst);
    }

    /// Drops the oldest files where there are too many bytes or they are too old; never one that a restart would need.
    pub(crate) fn trim(&self) {
        let base = Seq::new(self.base.load(Ordering::SeqCst));
        loop {
            let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
            let bytes: u64 = segments.iter().map(|segment| segment.written()).sum();
            let Some(oldest) = segments.front().filter(|oldest| segments.len() > 1 && oldest.last() <= base)
            else {
                return;
            };
            if bytes <= self.options.retention_bytes && age(oldest) <= self.options.retention_time {
                return;
            }
            if self.is_broken() || self.folder.why_lost().is_some() {
                return;
            }
            let path = oldest.path.clone();
            segments.pop_front();
            drop(segments);
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(%error, file = %path.display(), "an old part of the tape cannot be removed");
            }
        }
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long ago a segment was last written to; none where the system will not say.
fn age(segment: &Segment) -> Duration {
    let modified = segment.file.metadata().and_then(|metadata| metadata.modified());
    modified.ok().and_then(|modified| SystemTime::now().duration_since(modified).ok()).unwrap_or_default()
}
