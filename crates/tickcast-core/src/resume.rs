//! How a reader wants to be brought forward, and where one who comes back goes on.

use crate::{Epoch, EventId, FilterHash, Position, Seq};

/// What becomes of ticks that a reader has no time for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// One who falls behind is given the newest tick of each symbol that moved meanwhile.
    #[default]
    Latest,
    /// Every tick, in order. One who falls off the tape's end is sent away.
    All,
}

impl Mode {
    /// As it is written in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::All => "all",
        }
    }
}

/// Why a reader cannot go on where it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResumeError {
    /// The tape no longer holds what came after its cursor.
    Expired,
    /// Its cursor is of another life of the tape, or of a copy of it that went on otherwise.
    Epoch,
    /// Its cursor is none, or lies ahead of everything there is.
    Invalid,
}

impl ResumeError {
    /// As readers are told.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Epoch => "epoch",
            Self::Invalid => "invalid",
        }
    }
}

/// Where someone says to have come to, as far as that can be judged without the tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resume {
    /// The place. Whether it is one of this tape its check says.
    pub position: Position,
    /// What the stream was changed to, if it was.
    pub filter: Option<FilterHash>,
}

/// Where someone goes on who says that everything up to `last` was seen, while the log of `epoch` stands at `head`.
///
/// # Errors
/// Where `last` is no cursor, or not one of this epoch. Anyone may send anything.
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
        Ok(EventId { cursor, filter }) => Ok(Resume { position: cursor.position, filter }),
    }
}
