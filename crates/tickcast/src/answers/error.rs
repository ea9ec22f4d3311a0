//! Reasons why an answer is missing or incomplete.

use tickcast_tape::ReadError;
use tokio::sync::OwnedSemaphorePermit;

/// Delay in seconds before a refused client may try again. Most other answers are complete by then.
pub(crate) const RETRY_AFTER: u32 = 5;

/// A permit for one answer of a kind. Dropping the permit frees the permit.
pub(crate) type AnswerPermit = OwnedSemaphorePermit;

/// No permit is free for another answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many {0} are under way; try again in {RETRY_AFTER} seconds")]
pub(crate) struct Busy(pub(super) &'static str);

/// The reason why an answer ends early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cut {
    /// The data of the answer cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// The tape on disk is damaged and ends before the log does.
    #[error("the tape on disk ends before the newest tick")]
    Missing,
    /// The client has not read anything for too long.
    #[error("a piece of the answer was not taken in time")]
    Slow,
    /// No worker thread did the work for the answer.
    #[error("the work for it could not be done")]
    Undone,
}
