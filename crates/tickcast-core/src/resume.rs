//! Delivery modes of a stream, and the position at which a returning reader continues.

use crate::{Epoch, EventId, FilterHash, Position, Seq};

/// What a reader of a resumable stream receives if it is a slow consumer. Pass it to
/// `tickcast_client::PriceStreamBuilder::mode`. Default: [`Latest`](Self::Latest).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// Conflation: a reader that falls behind receives the newest tick of each symbol that has
    /// changed.
    #[default]
    Latest,
    /// Every tick, in order. If the tape no longer holds the next tick of a reader, the server
    /// closes the stream. `Limits::tape_ticks` and `Limits::tape_bytes` set how far a reader may
    /// fall behind.
    All,
}

impl Mode {
    /// Returns the name of the mode as used in a URL: `latest` or `all`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::All => "all",
        }
    }
}

/// Reason why a reader cannot continue at its cursor. Returned by [`resume`], and sent to the
/// reader as the event `reset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResumeError {
    /// The tape no longer holds the ticks after the cursor.
    Expired,
    /// The cursor is from another epoch, or from a copy of the tape that continued differently.
    Epoch,
    /// The text is not a cursor, or the cursor is ahead of the newest tick.
    Invalid,
}

impl ResumeError {
    /// Returns the name that readers receive: `expired`, `epoch` or `invalid`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Epoch => "epoch",
            Self::Invalid => "invalid",
        }
    }
}

/// The position that a returning reader claims to have reached, as far as it can be checked without
/// the tape. Returned by [`resume`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resume {
    /// The claimed position. The check in the position shows whether the position belongs to this
    /// tape.
    pub position: Position,
    /// Hash of the filter that the stream was changed to, if the stream was changed.
    pub filter: Option<FilterHash>,
}

/// Returns the position at which a reader continues after it received everything up to `last`.
/// `epoch` and `head` are the epoch and the head of the log.
///
/// # Errors
/// If `last` is not a cursor, is from another epoch, or is ahead of `head`. A client can send any
/// text.
///
/// ```
/// use tickcast_core::{ResumeError, Epoch, Seq, resume};
/// let (epoch, head) = (Epoch::new(0xabc), Seq::new(42));
/// assert_eq!(resume("000000000abc-40.x7Q_", epoch, head).unwrap().position.seq, Seq::new(40));
/// assert_eq!(resume("000000000abc-43.x7Q_", epoch, head), Err(ResumeError::Invalid));
/// assert_eq!(resume("000000000def-40.x7Q_", epoch, head), Err(ResumeError::Epoch));
/// assert_eq!(resume("AAPL", epoch, head), Err(ResumeError::Invalid));
/// ```
pub fn resume(last: &str, epoch: Epoch, head: Seq) -> Result<Resume, ResumeError> {
    match last.parse::<EventId>() {
        Err(_) => Err(ResumeError::Invalid),
        Ok(id) if id.cursor.epoch != epoch => Err(ResumeError::Epoch),
        Ok(id) if id.cursor.position.as_of > head => Err(ResumeError::Invalid),
        Ok(EventId { cursor, filter }) => Ok(Resume {
            position: cursor.position,
            filter,
        }),
    }
}
