//! Errors of opening and of writing a tape.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reason why a tape cannot be opened. Returned by `open`, `check` and `repair` of the crate
/// `tickcast-tape`, and contained in `BuildError::Tape` of `tickcast`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory contains no tape. Contains the path of the directory. Only `check` and
    /// `repair` return this error, because `open` creates a tape.
    #[error("there is no tape in {}", .0.display())]
    NoTape(PathBuf),
    /// Another process uses the tape. Contains the path of the directory.
    #[error("{} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// The content of a file is not what was written. `tickcast tape repair` keeps the data before
    /// the damage.
    #[error(
        "{} is damaged at byte {offset}: {why}. `tickcast tape repair {}` keeps the data before this byte and moves the rest to files that end in `.damaged`",
        .file.display(), .file.parent().unwrap_or(Path::new(".")).display()
    )]
    Damaged {
        /// Path of the damaged file.
        file: PathBuf,
        /// Byte offset of the damage in the file.
        offset: u64,
        /// Description of the damage.
        why: &'static str,
    },
    /// A newer version wrote the file. Contains its path.
    #[error("{} was written by a newer version", .0.display())]
    Newer(PathBuf),
    /// The operating system reported an error.
    #[error("{}: {error}", .path.display())]
    Io {
        /// Path of the file or directory.
        path: PathBuf,
        /// The error.
        error: io::Error,
    },
}

impl OpenError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        |error| Self::Io { path, error }
    }
}

/// Reason why a write failed. Returned by `Hub::wait_durable` of `tickcast`. A failed publish is a
/// `TickError::Storage` instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// There is no space for another segment. Nothing was lost; each write tries again. Contains
    /// the error of the system.
    #[error("the disk is full: {0}")]
    Full(io::Error),
    /// Writing failed. Nothing more is written until a restart. Contains the reason.
    #[error("the tape cannot be written any more: {0}")]
    Broken(Arc<str>),
}

/// Reason why the tape cannot be read from a position. Returned by
/// [`DiskTape::read`](crate::DiskTape::read), [`DiskTape::skip`](crate::DiskTape::skip) and
/// [`DiskTape::check_at`](crate::DiskTape::check_at).
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The tape no longer holds the entries after the position.
    #[error("the tape begins after the requested position")]
    Expired,
    /// The data is not what was written.
    #[error("{} is damaged at byte {offset}: {why}", .file.display())]
    Damaged {
        /// Path of the damaged file.
        file: PathBuf,
        /// Byte offset of the damage in the file.
        offset: u64,
        /// Description of the damage.
        why: &'static str,
    },
    /// The operating system reported an error. Contains the error.
    #[error("the tape cannot be read: {0}")]
    Io(#[from] io::Error),
}
