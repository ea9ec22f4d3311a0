//! The writer of the tape.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use tickcast_core::{Digest, KeyProgress, Recorded, Seq, Time};

use crate::block::{BlockBuilder, HEAD, MAX_KEY_RECORD_BYTES, MAX_RECORD_BYTES, Stamp};
use crate::error::AppendError;
use crate::segment::Segment;
use crate::segment_set::SegmentSet;

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
    builder: BlockBuilder,
    /// Receives a message when a segment is complete.
    segment_sealed: Sender<()>,
    /// The sync thread, and the thread that watches the directory.
    threads: Vec<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn new(
        segments: Arc<SegmentSet>,
        segment: Arc<Segment>,
        digest: Digest,
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
        let next = segment.last().next();
        let mut builder = BlockBuilder::default();
        builder.clear();
        Ok(Self {
            segments,
            segment,
            next,
            digest,
            builder,
            segment_sealed,
            threads: vec![syncing, watching],
        })
    }

    /// Reserves space for `entries` entries, so that a full disk cannot stop their write.
    ///
    /// # Errors
    /// If there is no space, or if writing has failed before.
    pub fn make_room(&mut self, entries: usize) -> Result<(), AppendError> {
        self.segments.ensure_writable()?;
        let needed = (HEAD + entries * MAX_RECORD_BYTES + MAX_KEY_RECORD_BYTES) as u64;
        let size = self.segments.options.segment_bytes();
        if self.segment.written() + needed <= self.segment.room() && !self.is_old() {
            return Ok(());
        }
        if self.segment.room() < size {
            // There was no space when the segment was opened.
            return self.segment.reserve(size).map_err(AppendError::Full);
        }
        let start = (self.next, self.digest);
        let fresh =
            Segment::create(&self.segments.folder.path, start, size).map_err(AppendError::Full)?;
        if let Err(error) = self.segment.file.set_len(self.segment.written()) {
            tracing::warn!(%error, "the unused space of a segment cannot be released");
        }
        self.segment = Arc::new(fresh);
        self.segments.push(Arc::clone(&self.segment));
        if let Err(error) = self.segments.folder.confirm() {
            self.segments.poison(&error);
        }
        let _ = self.segment_sealed.send(());
        self.segments.ensure_writable()
    }

    /// Checks whether the segment must end although it has space. Retention can only remove
    /// complete segments.
    fn is_old(&self) -> bool {
        let retention_time = self.segments.options.retention_time;
        self.segment.last() >= self.segment.first
            && self.segment.since.elapsed() > retention_time / SEGMENTS_PER_RETENTION_TIME
    }

    /// Adds an entry to the next block.
    pub fn push(&mut self, recorded: &Recorded<'_>) {
        self.builder.push(recorded);
    }

    /// Adds the progress of a request to the next block.
    pub fn push_key(&mut self, progress: &KeyProgress<'_>) {
        self.builder.push_key(progress);
    }

    /// Writes the added entries, which were accepted at the wall-clock time `now`. `head` is the
    /// sequence number of the last entry, and `digest` is the digest of the tape at `head`. After
    /// the return, the entries survive the end of the process.
    ///
    /// # Errors
    /// If the operating system reports an error. Then nothing more is written.
    pub fn commit(&mut self, (head, digest): (Seq, Digest), now: Time) -> Result<(), AppendError> {
        if self.builder.is_empty() {
            return Ok(());
        }
        let (first, before) = (self.next, std::mem::replace(&mut self.digest, digest));
        let length = self.builder.len() as u64;
        let block = self
            .builder
            .finish(first, self.segments.durable_now(), Stamp { now, before });
        let written = self
            .segment
            .file
            .write_all_at(block, self.segment.written());
        self.builder.clear();
        if let Err(error) = written {
            self.segments.poison(&error);
            return self.segments.ensure_writable();
        }
        self.segment.grow((first, head), length, before);
        self.next = head.next();
        self.segments.note_write();
        Ok(())
    }

    /// Makes the disk confirm everything, and records that the tape was closed cleanly.
    fn close(&mut self) {
        self.segments.close();
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
