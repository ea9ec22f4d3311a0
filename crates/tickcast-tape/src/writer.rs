//! The writer of the tape.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use tickcast_core::{Digest, Seq};

use crate::batch::Batch;
use crate::error::AppendError;
use crate::seal_thread::{self, Backlog, Complete};
use crate::segment::{self, Segment};
use crate::segment_set::SegmentSet;
use crate::spare_thread::{self, SpareWork};

/// A segment accepts entries for at most the retention time divided by this number.
const SEGMENTS_PER_RETENTION_TIME: u32 = 16;

/// The only writer of a tape. Field of [`Opened`](crate::Opened). The owner of the writer assigns
/// the sequence numbers. Dropping the writer closes the tape.
#[derive(Debug)]
pub struct Writer {
    segments: Arc<SegmentSet>,
    segment: Arc<Segment>,
    next: Seq,
    /// Digest of the tape before the next entry.
    digest: Digest,
    /// Receives a message when a segment is complete.
    segment_sealed: Sender<()>,
    /// The work of the spare. `None` when the tape is closed.
    spare_work: Option<Sender<SpareWork>>,
    /// The complete segments to be sealed. `None` when the tape is closed.
    seals: Option<Sender<Complete>>,
    /// Whether the spare was asked for.
    spare_asked: bool,
    /// The sync thread, the thread that watches the directory, the thread of the spare, and the
    /// thread that seals segments.
    threads: Vec<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn new(
        segments: Arc<SegmentSet>,
        (segment, digest): (Arc<Segment>, Digest),
        backlog: Backlog,
        segment_sealed: Sender<()>,
    ) -> io::Result<Self> {
        let syncer = Arc::clone(&segments);
        let syncing = std::thread::Builder::new()
            .name("tape".to_owned())
            .spawn(move || syncer.sync_until_closed())?;
        let watcher = Arc::clone(&segments);
        let watching = std::thread::Builder::new()
            .name("tape-watch".to_owned())
            .spawn(move || watcher.watch_until_closed())?;
        let spares = Arc::clone(&segments);
        let (spare_work, work) = channel();
        let preparing = std::thread::Builder::new()
            .name("tape-next".to_owned())
            .spawn(move || spare_thread::run(&spares, &work))?;
        let sealer = Arc::clone(&segments);
        let (seals, complete) = channel();
        let sealing = std::thread::Builder::new()
            .name("tape-seal".to_owned())
            .spawn(move || seal_thread::run(&sealer, backlog, &complete))?;
        let next = segment.last().next();
        Ok(Self {
            segments,
            segment,
            next,
            digest,
            segment_sealed,
            spare_work: Some(spare_work),
            seals: Some(seals),
            spare_asked: false,
            threads: vec![syncing, watching, preparing, sealing],
        })
    }

    /// Reserves space for two batches, so that a full disk cannot stop their write: one that is
    /// written, and one that grows meanwhile. The writer may begin a new segment, and wait for the
    /// disk.
    ///
    /// # Errors
    /// If there is no space, or if writing has failed before.
    pub fn make_room(&mut self) -> Result<(), AppendError> {
        self.segments.ensure_writable()?;
        let needed = 2 * Batch::MAX_BYTES as u64;
        let size = self.segments.options.segment_bytes();
        let written = self.segment.written();
        let usable = self.segment.room().saturating_sub(needed);
        if !self.spare_asked && (written > usable / 2 || self.is_old(2)) {
            self.spare_asked = true;
            self.send_spare_work(SpareWork::Prepare);
        }
        if written + needed <= self.segment.room() && !self.is_old(1) {
            return Ok(());
        }
        if self.segment.room() < size {
            // There was no space when the segment was opened.
            self.segment.reserve(size).map_err(AppendError::Full)?;
            if written + needed <= self.segment.room() {
                return Ok(());
            }
        }
        if self.segment.last() < self.segment.first {
            // The name of a segment is that of its first entry. This one has keys of requests alone, so
            // the next one would have the same name.
            return self
                .segment
                .reserve(self.segment.room() + size)
                .map_err(AppendError::Full);
        }
        let (start, folder) = ((self.next, self.digest), &self.segments.folder.path);
        let path = segment::path(folder, self.next);
        let spare = self.segments.spare.take(folder, &path);
        let spare = spare.and_then(|file| Segment::of_spare((file, path), start, size));
        let is_spare = spare.is_some();
        let fresh = match spare {
            Some(fresh) => fresh,
            None => Segment::create(folder, start, size).map_err(AppendError::Full)?,
        };
        let before = std::mem::replace(&mut self.segment, Arc::new(fresh));
        self.segments.push(Arc::clone(&self.segment));
        self.spare_asked = false;
        if is_spare {
            self.send_spare_work(SpareWork::Used);
        } else {
            self.segments.confirm_folder();
        }
        let _ = self
            .seals
            .as_ref()
            .map(|seals| seals.send((before, self.digest)));
        let _ = self.segment_sealed.send(());
        self.segments.ensure_writable()
    }

    fn send_spare_work(&self, work: SpareWork) {
        // The thread ends only when the tape is closed.
        let _ = self.spare_work.as_ref().map(|spare| spare.send(work));
    }

    /// Checks whether the segment must end although it has space, or a part of the time before that
    /// is over. Retention can only remove complete segments.
    fn is_old(&self, part: u32) -> bool {
        let retention_time = self.segments.options.retention_time;
        self.segment.last() >= self.segment.first
            && self.segment.since.elapsed() > retention_time / (SEGMENTS_PER_RETENTION_TIME * part)
    }

    /// Writes a batch and empties it. `digest` is the digest of the tape after its last entry. After
    /// the return, the entries survive the end of the process.
    ///
    /// # Errors
    /// [`AppendError::Full`] if the disk has no space although it was reserved, which some file
    /// systems do not keep. Nothing was written then. [`AppendError::Broken`] after another error of
    /// the operating system. Then nothing more is written.
    pub fn commit(&mut self, batch: &mut Batch, digest: Digest) -> Result<(), AppendError> {
        let bytes = batch.finish(self.segments.durable_now());
        let written = self.write(bytes);
        if written.is_ok() {
            for block in batch.blocks() {
                let entries = (block.first, block.last());
                let before = block.stamp.before;
                self.segment.grow(entries, block.len(), (before, None));
                self.next = block.last().next();
            }
            self.digest = digest;
            self.segments.note_write();
        }
        batch.clear();
        written
    }

    fn write(&self, bytes: &[u8]) -> Result<(), AppendError> {
        self.segments.ensure_writable()?;
        let at = self.segment.written();
        let Err(error) = self.segment.file.write_all_at(bytes, at) else {
            return Ok(());
        };
        // A part may have been written. No publisher is told that it was, and no later write may
        // leave its end behind.
        let removed = self.segment.release_after(at);
        if error.kind() == io::ErrorKind::StorageFull && removed.is_ok() {
            return Err(AppendError::Full(error));
        }
        self.segments.poison(&error);
        self.segments.ensure_writable()
    }

    /// Makes the disk confirm everything, and records that the tape was closed cleanly.
    fn close(&mut self) {
        self.segments.close();
        (self.spare_work, self.seals) = (None, None);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the tape has panicked");
            }
        }
        self.segments.sync();
        if self.segments.is_broken() {
            return;
        }
        if let Err(error) = self
            .segments
            .folder
            .end_run(self.segments.epoch, self.segment.last())
        {
            tracing::warn!(%error, "cannot record that the tape was closed cleanly");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}
