//! The folder: its lock, and the file that says which life of the tape it holds.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tickcast_core::{Epoch, Seq};

use crate::error::OpenError;

/// Whatever identifies the run of the operating system; empty where it does not say.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// What is known of the last run.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    version: u32,
    epoch: String,
    /// The run of the system it was written in.
    boot: String,
    /// Where the tape ended, if it was closed in order.
    closed_at: Option<u64>,
}

/// A folder that nobody else has.
#[derive(Debug)]
pub(crate) struct DataDir {
    pub(crate) path: PathBuf,
    /// The folder itself, locked: a file in it could be removed, and another one be locked in its place.
    folder: File,
    /// What older versions lock. `None`: it is only looked at, and no server has opened it where it is now.
    _lock: Option<File>,
}

/// How the last run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastRun {
    /// There was none.
    Fresh,
    /// In order, at this place.
    Closed(Seq),
    /// Its process ended; all it wrote is there.
    Killed,
    /// The system ended, or nobody knows: the last of what was written may be missing.
    Crashed,
}

const VERSION: u32 = 2;

/// Makes a folder, and makes the disk confirm that it is there.
fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    for parent in path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// Whether two files are one.
pub(crate) fn same_file(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Keeps the folder from everyone else, as long as `lock` is open.
fn lock_exclusively(lock: &File, folder: &Path) -> Result<(), OpenError> {
    match lock.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(OpenError::Io { path: folder.join("lock"), error }),
    }
}

impl DataDir {
    /// Takes the folder, making it where there is none.
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
        let folder = Self { path: path.to_owned(), folder, _lock: Some(lock) };
        folder.sweep()?;
        Ok(folder)
    }

    /// Takes a folder that holds a tape.
    pub(crate) fn take_tape(path: &Path) -> Result<Self, OpenError> {
        Self::open_read_only(path)?;
        Self::take(path)
    }

    /// A folder that holds a tape and that nobody is using, to be read: nothing in it is changed, and none is made.
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
        let folder = Self { path: path.to_owned(), folder, _lock: lock };
        if folder.has_tape()? { Ok(folder) } else { Err(OpenError::NoTape(path.to_owned())) }
    }

    /// Whether anything of a tape is there.
    fn has_tape(&self) -> Result<bool, OpenError> {
        let parts = self.numbered("ticks")?.len() + self.numbered("market")?.len();
        Ok(parts > 0 || self.path.join("state.json").exists())
    }

    /// Why the folder is not where it was any more. What is there now, if anything, is somebody else's.
    pub(crate) fn why_lost(&self) -> Option<&'static str> {
        let same = fs::metadata(&self.path).and_then(|there| Ok(same_file(&there, &self.folder.metadata()?)));
        match same {
            Ok(true) => None,
            Ok(false) => Some("another folder has taken its place"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some("its folder was deleted or moved"),
            Err(_) => Some("its folder cannot be reached"),
        }
    }

    /// Refuses to write into a folder that is not this one any more.
    fn is_ours(&self) -> io::Result<()> {
        self.why_lost().map_or(Ok(()), |why| Err(io::Error::other(why)))
    }

    /// Drops what was being written when a run was cut off.
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

    /// The epoch of the last run, and how that ended.
    pub(crate) fn last_run(&self) -> Result<(Option<Epoch>, LastRun), OpenError> {
        let path = self.path.join("state.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((None, LastRun::Fresh)),
            Err(error) => return Err(OpenError::Io { path, error }),
        };
        let damaged = |why| OpenError::Damaged { file: path.clone(), offset: 0, why };
        let state: State = serde_json::from_slice(&text).map_err(|_| damaged("it is no state"))?;
        if state.version > VERSION {
            return Err(OpenError::Newer(path));
        }
        let epoch =
            u64::from_str_radix(&state.epoch, 16).map_err(|_| damaged("its epoch is no hex number"))?;
        let ending = match state.closed_at {
            Some(seq) => LastRun::Closed(Seq::new(seq)),
            None if !state.boot.is_empty() && state.boot == boot() => LastRun::Killed,
            None => LastRun::Crashed,
        };
        Ok((Some(Epoch::new(epoch)), ending))
    }

    /// From now on the tape is being written.
    pub(crate) fn begin_run(&self, epoch: Epoch) -> io::Result<()> {
        self.write_state(epoch, boot(), None)
    }

    /// It was closed in order.
    pub(crate) fn end_run(&self, epoch: Epoch, head: Seq) -> io::Result<()> {
        self.write_state(epoch, boot(), Some(head.get()))
    }

    /// What was written cannot be relied on: the next run will have an epoch of its own.
    pub(crate) fn invalidate_epoch(&self, epoch: Epoch) -> io::Result<()> {
        self.write_state(epoch, String::new(), None).or_else(|_| self.remove_state())
    }

    /// Without a state the next run begins an epoch, too; and there need be no room to remove it.
    pub(crate) fn remove_state(&self) -> io::Result<()> {
        self.is_ours()?;
        match fs::remove_file(self.path.join("state.json")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.confirm(),
        }
    }

    fn write_state(&self, epoch: Epoch, boot: String, closed_at: Option<u64>) -> io::Result<()> {
        let state = State { version: VERSION, epoch: epoch.to_string(), boot, closed_at };
        let text = serde_json::to_vec_pretty(&state)?;
        self.replace("state.json", |file| file.write_all(&text))
    }

    /// Writes a file so that it is there whole, or the old one is.
    pub(crate) fn replace(
        &self,
        name: &str,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        self.is_ours()?;
        let fresh = self.path.join(format!("{name}.new"));
        let made = File::create(&fresh).and_then(|mut file| {
            write(&mut file)?;
            file.sync_all()?;
            fs::rename(&fresh, self.path.join(name))
        });
        if made.is_err() {
            // What there is of it takes room that may be what is missing.
            let _ = fs::remove_file(&fresh);
        }
        made?;
        self.confirm()
    }

    /// Makes the disk confirm which files there are.
    pub(crate) fn confirm(&self) -> io::Result<()> {
        self.folder.sync_all()
    }

    /// The files whose names are a number and `.{kind}`, in order.
    pub(crate) fn numbered(&self, kind: &str) -> Result<Vec<(Seq, PathBuf)>, OpenError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(OpenError::io(&self.path))? {
            let path = entry.map_err(OpenError::io(&self.path))?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let number = stem.filter(|stem| stem.len() == 20).and_then(|stem| stem.parse().ok());
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
