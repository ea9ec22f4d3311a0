//! The state of a source.

use tickcast_core::State;

/// The state of a source or of one of its symbols. Pass it to
/// [`Publisher::set_state`](crate::Publisher::set_state). Readers receive `live`, `stale`, `gone`
/// or `down`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceState {
    /// A source that may send ticks at any time. Readers receive `live`.
    Live,
    /// A source that has sent no tick for longer than its maximum silence, by default 15 s. The hub
    /// sets this state itself. The next tick makes the source live again. Readers receive `stale`.
    Stale,
    /// A source that was paused. It may continue later. Readers receive `stale`.
    Paused,
    /// A source that has delivered everything. Contains what was delivered. Readers receive `gone`.
    Ended(String),
    /// A source that failed. Contains the reason. The source sends no ticks. Readers receive
    /// `down`.
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

    /// Returns the name of the state, as in `/v1/status`: `live`, `stale`, `paused`, `ended` or
    /// `down`.
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

    /// Returns the reason for the state: the text of `Ended` and `Down`, and `paused` for `Paused`.
    /// `None` for `Live` and `Stale`.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Ended(reason) | Self::Down(reason) => Some(reason),
            Self::Paused => Some("paused"),
            Self::Live | Self::Stale => None,
        }
    }
}
