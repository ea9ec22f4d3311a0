//! Changes of a subscription while its stream is open.

use tickcast_core::{Filter, FilterError, Mode};

use super::change_limit::ChangeTooSoon;
use crate::access::{Denied, Viewer};
use crate::hub::{FilterRefusal, NotPrepared};
use crate::rate::Rate;

/// A change of a stream. A field that is `None` changes nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edit {
    /// The new filter, instead of the old one.
    pub(crate) set: Option<Filter>,
    /// The symbols to add.
    pub(crate) add: Option<Filter>,
    /// The symbols to remove.
    pub(crate) remove: Option<Filter>,
    /// The new rate. `Some(None)` means no rate limit.
    pub(crate) rate: Option<Option<Rate>>,
}

/// The reason why a change is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum EditError {
    /// Too many symbols in the resulting filter.
    #[error("{0}")]
    Add(FilterError),
    /// A symbol that cannot be removed.
    #[error("{0}")]
    Remove(FilterError),
    /// More than the viewer of the stream may read.
    #[error("{0}")]
    Denied(#[from] Denied),
    /// A rate together with `mode=all`.
    #[error("{RATE_NEEDS_LATEST}")]
    Rate,
    /// No capacity in the server for the resulting filter.
    #[error("{0}")]
    Refused(FilterRefusal),
    /// No room among the prepared streams.
    #[error("{0}")]
    NoRoom(NotPrepared),
    /// Too many changes of one stream.
    #[error(transparent)]
    TooSoon(#[from] ChangeTooSoon),
    /// A stream or a market that changed too much after the change was computed.
    #[error("the stream was changed at the same time, or the market grew too fast")]
    Outdated,
}

/// The error text for a rate with `mode=all`.
pub(crate) const RATE_NEEDS_LATEST: &str = "mode=all sends every tick; a rate needs mode=latest";

/// The subscription of a stream after a change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Effective {
    pub(crate) filter: Filter,
    pub(crate) mode: Mode,
    pub(crate) rate: Option<Rate>,
    pub(crate) viewer: Viewer,
}

impl Effective {
    /// Returns the number of names and patterns.
    pub(crate) fn entries(&self) -> usize {
        self.filter.names().len() + self.filter.patterns()
    }
}

impl Edit {
    /// Returns the subscription that results when the change is applied to `to`.
    pub(crate) fn apply(self, to: Effective) -> Result<Effective, EditError> {
        let mut filter = self.set.unwrap_or(to.filter);
        if let Some(remove) = self.remove {
            filter = filter.without(&remove).map_err(EditError::Remove)?;
        }
        if let Some(add) = self.add {
            filter = filter.with(&add).map_err(EditError::Add)?;
        }
        let rate = self.rate.unwrap_or(to.rate);
        if rate.is_some() && to.mode == Mode::All {
            return Err(EditError::Rate);
        }
        Ok(Effective {
            filter: to.viewer.filter(&filter)?,
            rate: to.viewer.rate(to.mode, rate)?,
            mode: to.mode,
            viewer: to.viewer,
        })
    }
}
