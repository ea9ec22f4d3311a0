//! The states of sources and symbols, and the reasons why streams end.

use crate::Time;

/// Health of a source or of a symbol, as sent to readers. Default: [`Live`](Self::Live).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// Prices are arriving.
    #[default]
    Live,
    /// No price has arrived for longer than the maximum silence of the source, by default 15 s. Or
    /// the source is paused.
    Stale,
    /// The source has failed; no prices arrive until the source is back.
    Down,
    /// No more prices will arrive.
    Gone,
}

impl State {
    /// Returns the name that readers receive: `live`, `stale`, `down` or `gone`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Stale => "stale",
            Self::Down => "down",
            Self::Gone => "gone",
        }
    }
}

/// Reason why the server closes a stream, sent in [`Notice::Bye`](crate::Notice::Bye).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The server is shutting down.
    Draining,
    /// The reader has fallen behind the start of the tape.
    Lagging,
    /// The server cannot accept another stream.
    Busy,
    /// What the reader was permitted to read, it was permitted until now.
    Expired,
    /// Somebody who knows the name of the stream has deleted it.
    Deleted,
}

impl CloseReason {
    /// Returns the name that readers receive: `draining`, `lagging`, `busy`, `expired` or
    /// `deleted`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Lagging => "lagging",
            Self::Busy => "busy",
            Self::Expired => "expired",
            Self::Deleted => "deleted",
        }
    }
}

/// Status of a source, as sent to readers in [`Notice::Heartbeat`](crate::Notice::Heartbeat) and
/// [`Notice::Status`](crate::Notice::Status).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStatus {
    /// Name of the source.
    pub source: String,
    /// State of the source.
    pub state: State,
    /// Start of this state.
    pub since: Time,
    /// Reason for this state, if there is more to say.
    pub reason: Option<String>,
}
