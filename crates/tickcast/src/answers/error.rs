//! Reasons why an answer is missing or incomplete.

use crate::disk::ReadError;
use crate::workers::Undone;
use tokio::sync::OwnedSemaphorePermit;

/// Delay in seconds before a refused client may try again. Most other answers are complete by then.
pub(crate) const RETRY_AFTER: u32 = 5;

/// A permit for one answer of a kind. The permit is free again after a drop.
pub(crate) type AnswerPermit = OwnedSemaphorePermit;

/// The error for a request that finds no free permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many {0} are in progress; try again in {RETRY_AFTER} seconds")]
pub(crate) struct Busy(pub(super) &'static str);

/// The reason why an answer ends early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cut {
    /// Data of the answer that cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// A damaged tape on disk, which ends before the log does.
    #[error("the tape on disk ends before the newest tick")]
    Missing,
    /// A client that has read nothing for too long.
    #[error("the client did not read a piece of the answer in time")]
    Slow,
    /// Work for the answer that no worker thread did.
    #[error(transparent)]
    Undone(#[from] Undone),
}
