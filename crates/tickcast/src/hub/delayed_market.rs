//! The place of a delayed market in its hub.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Maximum number of delays of a hub. Each has a market, a tape and lanes of its own.
pub(super) const MAX_DELAYS: usize = 8;

/// Shortest and longest delay.
pub(super) const DELAYS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(86_400);

/// A delay, and the market that is behind by this delay.
pub(super) struct DelayedMarket<M> {
    pub(super) delay: Duration,
    /// The market, once it has data.
    current: Mutex<Option<M>>,
}

/// Reason why there is no market for a viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoMarket {
    /// Contains the longest delay of the hub.
    #[error("your prices are to be delayed by more than {} s, the longest delay of this server", .0.as_secs())]
    TooLong(Duration),
    /// Contains the delay.
    #[error("there are no prices yet that are {} s old", .0.as_secs())]
    NotYet(Duration),
}

impl<M: Clone> DelayedMarket<M> {
    pub(super) const fn new(delay: Duration) -> Self {
        Self {
            delay,
            current: Mutex::new(None),
        }
    }

    /// Returns the market, once it has data.
    pub(super) fn market(&self) -> Option<M> {
        let current = self.current.lock();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the market. Streams of the market before end.
    pub(super) fn replace(&self, market: Option<M>) {
        let current = self.current.lock();
        let before = std::mem::replace(
            &mut *current.unwrap_or_else(PoisonError::into_inner),
            market,
        );
        // The lock is no longer held here: the end of a market takes some time.
        drop(before);
    }
}
