//! The state of a source.

use tickcast_core::State;

/// The state of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceState {
    /// A source that may send ticks at any time.
    Live,
    /// A source that has sent no tick for longer than its maximum silence. The next tick makes the source
    /// live again.
    Stale,
    /// A source that was paused. It may continue later.
    Paused,
    /// A source that has delivered everything. The text says what was delivered.
    Ended(String),
    /// A source that failed, with the reason. The source sends no ticks.
    Down(String),
}

impl SourceState {
    /// Returns the state that is sent to the readers of streams.
    pub(crate) const fn as_state(&self) -> State {
        match self {
            Self::Live => State::Live,
            Self::Stale | Self::Paused => State::Stale,
            Self::Ended(_) => State::Gone,
            Self::Down(_) => State::Down,
        }
    }

    /// Returns the name of the state, as in `/v1/status`.
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

    /// Returns the reason for the state, if there is one.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Ended(reason) | Self::Down(reason) => Some(reason),
            Self::Paused => Some("paused"),
            Self::Live | Self::Stale => None,
        }
    }
}
