//! Changes to a subscription while its stream is open.

use tickcast_core::{Filter, FilterError, Mode};

use super::Rate;
use crate::hub::FilterRefusal;

/// How often a stream may be changed within a second: more than anyone can click.
pub(crate) const CHANGES_PER_SECOND: u32 = 10;

/// What is to be changed of a stream. What is not mentioned stays.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edit {
    /// The symbols from now on.
    pub(crate) set: Option<Filter>,
    /// Symbols in addition to those.
    pub(crate) add: Option<Filter>,
    /// Symbols no longer wanted.
    pub(crate) remove: Option<Filter>,
    /// The pace from now on; `Some(None)`: none.
    pub(crate) rate: Option<Option<Rate>>,
}

/// What is wrong with a change.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum EditError {
    /// Too many symbols in the end.
    #[error("{0}")]
    Add(FilterError),
    /// A symbol that cannot be taken out.
    #[error("{0}")]
    Remove(FilterError),
    /// A pace, and every tick.
    #[error("{RATE_NEEDS_LATEST}")]
    Rate,
    /// The server has no room for what follows.
    #[error("{0}")]
    Refused(FilterRefusal),
    /// Too many changes of one stream.
    #[error("a stream may be changed {CHANGES_PER_SECOND} times a second")]
    TooOften,
    /// It is not what it was when this was worked out.
    #[error("it was changed meanwhile, or the market grew too fast")]
    Outdated,
}

/// Why `mode=all` has no pace.
pub(crate) const RATE_NEEDS_LATEST: &str = "mode=all is every tick; a rate needs mode=latest";

/// What a stream is subscribed to after a change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Effective {
    pub(crate) filter: Filter,
    pub(crate) mode: Mode,
    pub(crate) rate: Option<Rate>,
}

impl Edit {
    /// The subscription that follows from this one.
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
        Ok(Effective { filter, mode: to.mode, rate })
    }
}
