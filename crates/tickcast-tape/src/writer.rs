//! Where the tape goes on.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use tickcast_core::{Recorded, Seq};

use crate::block::{Draft, HEAD, LONGEST_RECORD};
use crate::error::AppendError;
use crate::segment::Segment;
use crate::shelf::Shelf;

/// Writes the tape, entry after entry: there is one, and whoever has it gives out the places. Dropping it closes the tape.
#[derive(Debug)]
pub struct Writer {
    shelf: Arc<Shelf>,
    segment: Arc<Segment>,
    next: Seq,
    draft: Draft,
    /// Told when a segment is complete.
    rolls: Sender<()>,
    syncing: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn new(shelf: Arc<Shelf>, segment: Arc<Segment>, rolls: Sender<()>) -> io::Result<Self> {
        let syncer = Arc::clone(&shelf);
        let syncing =
            std::thread::Builder::new().name("tape".to_owned()).spawn(move || syncer.sync_until_closed())?;
        let next = segment.last().next();
        let mut draft = Draft::default();
        draft.clear();
        Ok(Self { shelf, segment, next, draft, rolls, syncing: Some(syncing) })
    }

    /// Sees to it that so many entries can be written, whatever happens to the disk.
    ///
    /// # Errors
    /// Where there is no room for them, or writing has failed before.
    pub fn make_room(&mut self, entries: usize) -> Result<(), AppendError> {
        if self.shelf.is_broken() {
            return Err(AppendError::Broken);
        }
        let needed = (HEAD + entries * LONGEST_RECORD) as u64;
        let size = self.shelf.options.segment_bytes();
        if self.segment.written() + needed <= self.segment.room() {
            return Ok(());
        }
        if self.segment.room() < size {
            // It found no room when it was opened.
            return self.segment.reserve(size).map_err(AppendError::Full);
        }
        let fresh = Segment::create(&self.shelf.folder.path, self.next, size).map_err(AppendError::Full)?;
        if let Err(error) = self.segment.file.set_len(self.segment.written()) {
            tracing::warn!(%error, "a part of the tape keeps the room it does not need");
        }
        self.segment = Arc::new(fresh);
        self.shelf.push(Arc::clone(&self.segment));
        if let Err(error) = self.shelf.folder.confirm() {
            self.shelf.break_down(&error);
            return Err(AppendError::Broken);
        }
        let _ = self.rolls.send(());
        Ok(())
    }

    /// Adds an entry to what will be written next.
    pub fn push(&mut self, recorded: &Recorded<'_>) {
        self.draft.push(recorded);
    }

    /// Writes what was added since the last time; `head` is the place of its last entry. Once this returns it outlives the
    /// process.
    ///
    /// # Errors
    /// Where the system will not. Nothing more is written then.
    pub fn commit(&mut self, head: Seq) -> Result<(), AppendError> {
        if self.draft.is_empty() {
            return Ok(());
        }
        let first = self.next;
        let length = self.draft.len() as u64;
        let block = self.draft.seal(first, self.shelf.durable_now());
        let written = self.segment.file.write_all_at(block, self.segment.written());
        self.draft.clear();
        if let Err(error) = written {
            self.shelf.break_down(&error);
            return Err(AppendError::Broken);
        }
        self.segment.grow((first, head), length);
        self.next = head.next();
        self.shelf.wrote();
        Ok(())
    }

    /// Makes the disk confirm everything, and notes that the tape was closed in order.
    fn close(&mut self) {
        self.shelf.close();
        if self.syncing.take().is_some_and(|syncing| syncing.join().is_err()) {
            tracing::error!("the one who syncs has panicked");
        }
        self.shelf.sync();
        if self.shelf.is_broken() {
            return;
        }
        if let Err(error) = self.shelf.folder.end_run(self.shelf.epoch, self.segment.last()) {
            tracing::warn!(%error, "that the tape was closed in order cannot be noted");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}
