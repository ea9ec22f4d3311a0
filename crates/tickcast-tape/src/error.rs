//! What can be wrong with a tape, and with writing it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a tape cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is nothing to look at.
    #[error("there is no tape in {}", .0.display())]
    NoTape(PathBuf),
    /// Another process has it.
    #[error("{} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// Something in it is not what was written.
    #[error(
        "{} is damaged at byte {offset}: {why}. `tickcast tape repair {}` keeps what comes before and sets the rest aside",
        .file.display(), .file.parent().unwrap_or(Path::new(".")).display()
    )]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// It was written by a version that knows more.
    #[error("{} was written by a newer version", .0.display())]
    Newer(PathBuf),
    /// The system would not.
    #[error("{}: {error}", .path.display())]
    Io {
        /// What with.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl OpenError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        |error| Self::Io { path, error }
    }
}

/// Why something could not be written.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// There is no room for another segment. Nothing was lost; it is tried anew each time.
    #[error("the disk is full: {0}")]
    Full(io::Error),
    /// Writing failed: nothing more will be written until a restart.
    #[error("the tape cannot be written any more: {0}")]
    Broken(Arc<str>),
}
