//! How a reader wants to be brought forward, and where one who comes back goes on.

use crate::{Cursor, Seq};

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
pub enum Break {
    /// The tape no longer holds what came after its cursor.
    Expired,
    /// Its cursor is of another life of the tape.
    Epoch,
    /// Its cursor is none, or lies ahead of everything there is.
    Invalid,
}

impl Break {
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

/// Where someone goes on who says that everything up to `last` was seen, while the log stands at `head`. With
/// [`Mode::All`] the tape has to [reach back](crate::Tape::reaches_back_to) to that place, else it has [expired](Break::Expired);
/// with [`Mode::Latest`] no history is needed.
///
/// # Errors
/// Where `last` is no cursor, or not one of this tape. Anyone may send anything.
///
/// ```
/// use tickcast_core::{Break, Seq, resume};
/// let head = "000000000abc-42".parse().unwrap();
/// assert_eq!(resume("000000000abc-40", head), Ok(Seq::new(40)));
/// assert_eq!(resume("000000000abc-43", head), Err(Break::Invalid));
/// assert_eq!(resume("000000000def-40", head), Err(Break::Epoch));
/// assert_eq!(resume("AAPL", head), Err(Break::Invalid));
/// ```
pub fn resume(last: &str, head: Cursor) -> Result<Seq, Break> {
    match last.parse::<Cursor>() {
        Err(_) => Err(Break::Invalid),
        Ok(cursor) if cursor.epoch != head.epoch => Err(Break::Epoch),
        Ok(cursor) if cursor.seq > head.seq => Err(Break::Invalid),
        Ok(cursor) => Ok(cursor.seq),
    }
}
