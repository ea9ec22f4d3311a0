//! All segments of a tape, and the position up to which the disk has confirmed them.

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
use crate::spare::Spare;
use crate::{Options, Sync};

/// Interval between checks of the directory. A publisher gets an error at most one second after the
/// directory is gone.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// All segments of a tape.
#[derive(Debug)]
pub(crate) struct SegmentSet {
    pub(crate) folder: DataDir,
    pub(crate) epoch: Epoch,
    pub(crate) options: Options,
    /// Oldest first; the last segment is being written.
    segments: RwLock<VecDeque<Arc<Segment>>>,
    pub(crate) spare: Spare,
    /// Sequence number up to which the disk has confirmed everything.
    durable: watch::Sender<Seq>,
    /// Sequence number of the newest snapshot: a restart would start here.
    base: AtomicU64,
    /// Description of an error that cannot be repaired in this run.
    broken: OnceLock<Arc<str>>,
    work: Mutex<Work>,
    wake: Condvar,
}

/// Requests to the sync thread.
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
        Self {
            folder,
            epoch,
            options,
            segments,
            spare: Spare::default(),
            durable,
            base,
            broken,
            work,
            wake,
        }
    }

    pub(crate) fn segments(&self) -> VecDeque<Arc<Segment>> {
        self.segments
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn oldest(&self) -> Option<Arc<Segment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.front().cloned()
    }

    pub(crate) fn newest(&self) -> Option<Arc<Segment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.back().cloned()
    }

    /// Returns the segment that contains the entry `seq`, or the first segment after `seq`.
    pub(crate) fn containing(&self, seq: Seq) -> Option<Arc<Segment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let next = segments.partition_point(|segment| segment.first <= seq);
        segments.get(next.saturating_sub(1)).cloned()
    }

    pub(crate) fn push(&self, segment: Arc<Segment>) {
        self.segments
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(segment);
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.get().is_some()
    }

    /// Returns an error if the tape cannot be written any more.
    pub(crate) fn ensure_writable(&self) -> Result<(), AppendError> {
        self.broken
            .get()
            .map_or(Ok(()), |why| Err(AppendError::Broken(Arc::clone(why))))
    }

    /// Stops all writing after an error. The next run begins a new epoch.
    pub(crate) fn poison(&self, error: &io::Error) {
        if self.broken.set(error.to_string().into()).is_ok() {
            tracing::error!(%error, "the tape on disk cannot be written any more: nothing is published until a restart");
            if let Err(error) = self.folder.invalidate_epoch(self.epoch) {
                tracing::error!(%error, "cannot mark the tape as damaged");
            }
            // Wakes all waiting tasks, so that they check for the error.
            self.durable.send_modify(|_| {});
        }
    }

    /// Checks twice per second, until the tape is closed, whether the directory and the newest
    /// segment still exist.
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

    /// Waits for some time, or until the tape is closed. Returns whether the tape is closed or
    /// broken.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let (work, _) = self
            .wake
            .wait_timeout_while(self.work(), time, |work| !work.closing)
            .unwrap_or_else(PoisonError::into_inner);
        work.closing || self.is_broken()
    }

    /// Returns the reason if written data would be lost.
    fn why_lost(&self) -> Option<&'static str> {
        let newest = self.newest()?;
        let in_place = std::fs::metadata(&newest.path)
            .and_then(|there| Ok(same_file(&there, &newest.file.metadata()?)))
            .unwrap_or(false);
        // A newer segment may have been added since. But the path of a segment never changes, so
        // the check stays correct.
        self.folder
            .why_lost()
            .or_else(|| (!in_place).then_some("the newest segment was deleted or replaced"))
    }

    /// Returns a receiver of the sequence number up to which the disk has confirmed everything.
    pub(crate) fn durable(&self) -> watch::Receiver<Seq> {
        self.durable.subscribe()
    }

    pub(crate) fn durable_now(&self) -> Seq {
        *self.durable.borrow()
    }

    /// Tells the sync thread that there is data to confirm.
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

    /// Ends [`sync_until_closed`](Self::sync_until_closed) and
    /// [`watch_until_closed`](Self::watch_until_closed).
    pub(crate) fn close(&self) {
        self.work().closing = true;
        self.wake.notify_all();
    }

    /// Makes the disk confirm the written data at the configured times, until the tape is closed.
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

    /// Makes the disk confirm all data written so far.
    pub(crate) fn sync(&self) {
        if self.is_broken() {
            return;
        }
        let mut confirmed = self.durable_now();
        for segment in self.segments() {
            // The order of these loads matters: entries that `last` counts must be included in
            // `written`.
            let last = segment.last();
            let written = segment.written();
            // A segment may be sealed, and so confirmed, before the folder is.
            if !segment.listed.load(Ordering::Acquire) {
                self.confirm_folder();
                if self.is_broken() {
                    return;
                }
            }
            if !segment.is_confirmed() {
                if self.confirm(&segment).is_err() {
                    return;
                }
                segment.durable.store(written, Ordering::Relaxed);
            }
            confirmed = confirmed.max(last);
        }
        // Another thread may have confirmed a later position in the meantime.
        self.durable.send_if_modified(|durable| {
            std::mem::replace(durable, confirmed.max(*durable)) < confirmed
        });
    }

    /// Makes the disk confirm what is written to a segment. An error stops the tape at once, because
    /// the system may report a failed write to one thread only, and only once.
    pub(crate) fn confirm(&self, segment: &Segment) -> io::Result<()> {
        let confirmed = segment.file.sync_data();
        if let Err(error) = &confirmed {
            self.poison(error);
        }
        confirmed
    }

    /// Makes the disk confirm which segments there are.
    pub(crate) fn confirm_folder(&self) {
        let segments = self.segments();
        match self.folder.confirm() {
            Ok(()) => segments
                .iter()
                .for_each(|segment| segment.listed.store(true, Ordering::Release)),
            Err(error) => self.poison(&error),
        }
    }

    /// Sets the sequence number at which a restart would start.
    pub(crate) fn begin_at(&self, base: Seq) {
        self.base.store(base.get(), Ordering::SeqCst);
    }

    /// Removes the oldest segments if the retention size or the retention time is exceeded.
    /// Segments that a restart needs stay.
    pub(crate) fn trim(&self) {
        while let Some(old) = self.surplus() {
            let mut segments = self
                .segments
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            // Another call may have removed it meanwhile.
            if segments
                .front()
                .is_none_or(|front| !Arc::ptr_eq(front, &old))
            {
                continue;
            }
            segments.pop_front();
            drop(segments);
            if let Err(error) = std::fs::remove_file(&old.path) {
                tracing::warn!(%error, file = %old.path.display(), "an old segment cannot be deleted");
            }
        }
    }

    /// Returns the oldest segment if retention does not keep it. Waits for the disk without a lock,
    /// because lanes ask where the tape begins.
    fn surplus(&self) -> Option<Arc<Segment>> {
        let segments = self.segments();
        let (oldest, next) = (segments.front()?, segments.get(1)?);
        let base = Seq::new(self.base.load(Ordering::SeqCst));
        // A crash may lose a segment that is not confirmed. The one before it is then needed.
        let next_is_safe =
            next.durable.load(Ordering::Relaxed) > 0 && next.listed.load(Ordering::Acquire);
        if !next_is_safe || oldest.last() > base {
            return None;
        }
        let bytes: u64 = segments.iter().map(|segment| segment.written()).sum();
        let is_kept =
            bytes <= self.options.retention_bytes && age(oldest) <= self.options.retention_time;
        if is_kept || self.is_broken() || self.folder.why_lost().is_some() {
            return None;
        }
        Some(Arc::clone(oldest))
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the time since the last write to a segment, or zero if the system does not report it.
fn age(segment: &Segment) -> Duration {
    let modified = segment
        .file
        .metadata()
        .and_then(|metadata| metadata.modified());
    modified
        .ok()
        .and_then(|modified| SystemTime::now().duration_since(modified).ok())
        .unwrap_or_default()
}
