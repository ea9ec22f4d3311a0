//! Why there is no answer, or not all of it.

use tickcast_tape::ReadError;
use tokio::sync::OwnedSemaphorePermit;

/// After how many seconds whoever is turned away may try again: by then the answers to others are mostly done.
pub(crate) const RETRY_AFTER: u32 = 5;

/// A place among the answers of its kind, free again when it is dropped.
pub(crate) type AnswerPermit = OwnedSemaphorePermit;

/// There is no place for another answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many {0} are under way; try again in {RETRY_AFTER} seconds")]
pub(crate) struct Busy(pub(super) &'static str);

/// Why an answer ends early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cut {
    /// What it is about cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// The tape on disk is broken, and ends before the log does.
    #[error("the tape on disk ends before the newest tick")]
    Missing,
    /// Whoever asked has taken nothing for too long.
    #[error("a piece of the answer was not taken in time")]
    Slow,
    /// There was nobody to do the work for it.
    #[error("the work for it could not be done")]
    Undone,
}
