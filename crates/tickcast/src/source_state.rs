//! How a source is doing.

use tickcast_core::State;

/// How a source is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceState {
    /// Ticks may come at any time.
    Live,
    /// None has come for longer than it may be silent. The next one makes it live again.
    Stale,
    /// It was told to rest. It may go on later.
    Paused,
    /// It has delivered all it had; what that was.
    Ended(String),
    /// It failed; why. No ticks come.
    Down(String),
}

impl SourceState {
    /// As readers of streams are told.
    pub(crate) const fn as_state(&self) -> State {
        match self {
            Self::Live => State::Live,
            Self::Stale | Self::Paused => State::Stale,
            Self::Ended(_) => State::Gone,
            Self::Down(_) => State::Down,
        }
    }

    /// Its name, as in `/v1/status`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Stale => "stale",
            Self::Paused => "paused",
            Self::Ended(_) => "ended",
            Self::Down(_) => "down",
        }
    }

    /// Why, where there is more to say.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Ended(reason) | Self::Down(reason) => Some(reason),
            Self::Paused => Some("paused"),
            Self::Live | Self::Stale => None,
        }
    }
}
