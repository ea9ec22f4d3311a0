//! The file of the next segment, made before it is needed. So no publisher waits for a disk.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::segment::{Segment, reserve};
use crate::segment_set::SegmentSet;

/// Name of the file. Files that end like this are removed when a tape is opened.
const NAME: &str = "next.new";

/// The file of the next segment, if it is ready.
#[derive(Debug, Default)]
pub(crate) struct Spare(Mutex<Option<File>>);

/// Work for the thread of the spare.
#[derive(Debug)]
pub(crate) enum SpareWork {
    /// The next segment will be needed soon.
    Prepare,
    /// The spare is a segment now, and this was the segment before it.
    Used(Arc<Segment>),
}

impl Spare {
    /// Makes the file, with `room` bytes reserved on the disk, unless it is there.
    fn prepare(&self, folder: &Path, room: u64) -> io::Result<()> {
        if self.slot().is_some() {
            return Ok(());
        }
        let file = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(folder.join(NAME))?;
        let reserved = reserve(&file, room).and_then(|()| file.sync_all());
        if reserved.is_err() {
            remove(folder);
        }
        reserved?;
        *self.slot() = Some(file);
        Ok(())
    }

    /// Takes the file if it is ready, and gives it its name as a segment.
    pub(crate) fn take(&self, folder: &Path, name: &Path) -> Option<File> {
        let file = self.slot().take()?;
        std::fs::rename(folder.join(NAME), name).ok()?;
        Some(file)
    }

    #[cfg(test)]
    pub(crate) fn is_ready(&self) -> bool {
        self.slot().is_some()
    }

    fn slot(&self) -> MutexGuard<'_, Option<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove(folder: &Path) {
    let _ = std::fs::remove_file(folder.join(NAME));
}

/// Does the work of the spare until the tape is closed.
pub(crate) fn run(segments: &SegmentSet, work: &Receiver<SpareWork>) {
    let folder = &segments.folder.path;
    for work in work {
        match work {
            SpareWork::Prepare => {
                let room = segments.options.segment_bytes();
                if let Err(error) = segments.spare.prepare(folder, room) {
                    // The writer tries again when it needs the segment.
                    tracing::debug!(%error, "the next segment cannot be made ahead");
                }
            }
            SpareWork::Used(before) => {
                segments.confirm_folder();
                before.release();
            }
        }
    }
    remove(folder);
}
