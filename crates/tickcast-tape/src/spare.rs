//! The file of the next segment, made before it is needed. So no publisher waits for a disk.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::data_dir::DataDir;
use crate::segment::reserve;

/// Name of the file. Files that end like this are removed when a tape is opened.
const NAME: &str = "next.new";

/// The file of the next segment, if it is ready.
#[derive(Debug, Default)]
pub(crate) struct Spare(Mutex<Option<File>>);

impl Spare {
    /// Makes the file, with `room` bytes reserved on the disk, unless it is there.
    pub(crate) fn prepare(&self, data_dir: &DataDir, room: u64) -> io::Result<()> {
        if self.slot().is_some() {
            return Ok(());
        }
        data_dir.ensure_ours()?;
        let folder = &data_dir.path;
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

    /// Removes the file, unless another server has the folder by now.
    pub(crate) fn discard(&self, data_dir: &DataDir) {
        if self.slot().take().is_some() && data_dir.ensure_ours().is_ok() {
            remove(&data_dir.path);
        }
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
