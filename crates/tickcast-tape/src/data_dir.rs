//! The data directory: its lock, and its state file with the epoch of the tape.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tickcast_core::{Epoch, Seq};

use crate::error::OpenError;

/// Returns the boot id of the operating system, or an empty string if the system has none.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// Stored state of the last run.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    version: u32,
    epoch: String,
    /// Boot id of the system during this run.
    boot: String,
    /// Sequence number of the last entry, if the tape was closed cleanly.
    closed_at: Option<u64>,
}

/// A data directory that is locked by this process.
#[derive(Debug)]
pub(crate) struct DataDir {
    pub(crate) path: PathBuf,
    /// The directory itself, locked. A lock on a file inside is not enough: the file could be
    /// removed and a new file could be locked.
    folder: File,
    /// The lock file that older versions lock. `None` if the directory is only read and contains no
    /// lock file.
    lock: Option<File>,
}

/// How the last run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastRun {
    /// There was no earlier run.
    Fresh,
    /// The tape was closed cleanly, at this sequence number.
    Closed(Seq),
    /// The process ended without closing the tape. All data that was written is present.
    Killed,
    /// The system crashed, or the reason is not known. The last written data may be missing.
    Crashed,
}

const VERSION: u32 = 2;

/// Creates a directory, and waits until the disk has confirmed its creation.
fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    for parent in path
        .ancestors()
        .skip(1)
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// Checks whether both refer to the same file.
pub(crate) fn same_file(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Locks the directory against other processes, as long as `lock` is open.
fn lock_exclusively(lock: &File, folder: &Path) -> Result<(), OpenError> {
    match lock.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(OpenError::Io {
            path: folder.join("lock"),
            error,
        }),
    }
}

impl DataDir {
    /// Locks the directory, and creates the directory if it does not exist.
    pub(crate) fn take(path: &Path) -> Result<Self, OpenError> {
        make(path).map_err(OpenError::io(path))?;
        let folder = File::open(path).map_err(OpenError::io(path))?;
        lock_exclusively(&folder, path)?;
        let file = path.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&file)
            .map_err(OpenError::io(&file))?;
        lock_exclusively(&lock, path)?;
        let folder = Self {
            path: path.to_owned(),
            folder,
            lock: Some(lock),
        };
        folder.sweep()?;
        Ok(folder)
    }

    /// Locks a directory that contains a tape.
    pub(crate) fn take_tape(path: &Path) -> Result<Self, OpenError> {
        Self::open_read_only(path)?;
        Self::take(path)
    }

    /// Opens a directory that contains a tape and that no other process uses. Nothing is changed or
    /// created.
    pub(crate) fn open_read_only(path: &Path) -> Result<Self, OpenError> {
        let folder = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(OpenError::NoTape(path.to_owned()));
            }
            opened => opened.map_err(OpenError::io(path))?,
        };
        lock_exclusively(&folder, path)?;
        let file = path.join("lock");
        let lock = match File::open(&file) {
            Ok(lock) => Some(lock),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(OpenError::Io { path: file, error }),
        };
        if let Some(lock) = &lock {
            lock_exclusively(lock, path)?;
        }
        let folder = Self {
            path: path.to_owned(),
            folder,
            lock,
        };
        if folder.has_tape()? {
            Ok(folder)
        } else {
            Err(OpenError::NoTape(path.to_owned()))
        }
    }

    /// Checks whether the directory contains any part of a tape.
    fn has_tape(&self) -> Result<bool, OpenError> {
        let parts = self.numbered("ticks")?.len() + self.numbered("market")?.len();
        Ok(parts > 0 || self.path.join("state.json").exists())
    }

    /// Returns the reason if the directory is no longer at its path. A directory at that path now
    /// belongs to another process.
    pub(crate) fn why_lost(&self) -> Option<&'static str> {
        let same = fs::metadata(&self.path)
            .and_then(|there| Ok(same_file(&there, &self.folder.metadata()?)));
        match same {
            Ok(true) => None,
            Ok(false) => Some("the tape's folder was replaced by another folder"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Some("the tape's folder was deleted or moved")
            }
            Err(_) => Some("the tape's folder cannot be reached"),
        }
    }

    /// Returns an error if the path no longer refers to this directory.
    pub(crate) fn ensure_ours(&self) -> io::Result<()> {
        self.why_lost()
            .map_or(Ok(()), |why| Err(io::Error::other(why)))
    }

    /// Removes temporary files that an interrupted run has left.
    fn sweep(&self) -> Result<(), OpenError> {
        let io = || OpenError::io(&self.path);
        for entry in fs::read_dir(&self.path).map_err(io())? {
            let path = entry.map_err(io())?.path();
            if path.extension().is_some_and(|extension| extension == "new") {
                fs::remove_file(&path).map_err(OpenError::io(&path))?;
            }
        }
        Ok(())
    }

    /// Returns the epoch of the last run, and how the run ended.
    pub(crate) fn last_run(&self) -> Result<(Option<Epoch>, LastRun), OpenError> {
        let path = self.path.join("state.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((None, LastRun::Fresh));
            }
            Err(error) => return Err(OpenError::Io { path, error }),
        };
        let damaged = |why| OpenError::Damaged {
            file: path.clone(),
            offset: 0,
            why,
        };
        let state: State = serde_json::from_slice(&text)
            .map_err(|_| damaged("the file contains no valid state"))?;
        if state.version > VERSION {
            return Err(OpenError::Newer(path));
        }
        let epoch = u64::from_str_radix(&state.epoch, 16)
            .map_err(|_| damaged("the epoch is not a hex number"))?;
        let last_run = match state.closed_at {
            Some(seq) => LastRun::Closed(Seq::new(seq)),
            None if !state.boot.is_empty() && state.boot == boot() => LastRun::Killed,
            None => LastRun::Crashed,
        };
        Ok((Some(Epoch::new(epoch)), last_run))
    }

    /// Records that the tape is being written.
    pub(crate) fn begin_run(&self, epoch: Epoch) -> io::Result<()> {
        self.write_state(epoch, boot(), None)
    }

    /// Records that the tape was closed cleanly.
    pub(crate) fn end_run(&self, epoch: Epoch, head: Seq) -> io::Result<()> {
        self.write_state(epoch, boot(), Some(head.get()))
    }

    /// Records that the written data is not reliable, so that the next run begins a new epoch.
    pub(crate) fn invalidate_epoch(&self, epoch: Epoch) -> io::Result<()> {
        self.write_state(epoch, String::new(), None)
            .or_else(|_| self.remove_state())
    }

    /// Removes the state file. Without a state file, the next run also begins a new epoch. Removing
    /// a file needs no free space.
    pub(crate) fn remove_state(&self) -> io::Result<()> {
        self.ensure_ours()?;
        match fs::remove_file(self.path.join("state.json")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.confirm(),
        }
    }

    fn write_state(&self, epoch: Epoch, boot: String, closed_at: Option<u64>) -> io::Result<()> {
        let state = State {
            version: VERSION,
            epoch: epoch.to_string(),
            boot,
            closed_at,
        };
        let text = serde_json::to_vec_pretty(&state)?;
        self.replace("state.json", |file| file.write_all(&text))
    }

    /// Replaces a file atomically: after a crash, either the complete new file or the old file
    /// exists.
    pub(crate) fn replace(
        &self,
        name: &str,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        self.ensure_ours()?;
        let temporary = self.path.join(format!("{name}.new"));
        let result = File::create(&temporary).and_then(|mut file| {
            write(&mut file)?;
            file.sync_all()?;
            fs::rename(&temporary, self.path.join(name))
        });
        if result.is_err() {
            // The incomplete file may occupy the space that is missing.
            let _ = fs::remove_file(&temporary);
        }
        result?;
        self.confirm()
    }

    /// Waits until the disk has confirmed the files in the directory.
    pub(crate) fn confirm(&self) -> io::Result<()> {
        self.folder.sync_all()
    }

    /// Returns the files whose names are a number and `.{kind}`, in order of the numbers.
    pub(crate) fn numbered(&self, kind: &str) -> Result<Vec<(Seq, PathBuf)>, OpenError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(OpenError::io(&self.path))? {
            let path = entry.map_err(OpenError::io(&self.path))?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let number = stem
                .filter(|stem| stem.len() == 20)
                .and_then(|stem| stem.parse().ok());
            if let Some(number) =
                number.filter(|_| path.extension().is_some_and(|extension| extension == kind))
            {
                found.push((Seq::new(number), path));
            }
        }
        found.sort();
        Ok(found)
    }
}

impl Drop for DataDir {
    /// Unlocks the directory at once, also if a copy of the descriptor is still open in a process
    /// that was being started meanwhile.
    fn drop(&mut self) {
        for locked in std::iter::once(&self.folder).chain(&self.lock) {
            let _ = locked.unlock();
        }
    }
}
