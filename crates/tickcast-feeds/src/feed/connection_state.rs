//! The state of a connection, as seen by the feed.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::connection::{DIAL_TIMEOUT, LineId};
use crate::{ExchangeProtocol, FeedPrice};

/// Minimum time with prices until a connection is healthy. An open connection alone is no sign of
/// health.
const STEADY_AFTER: Duration = Duration::from_secs(30);

/// Overlap of two connections during a takeover, from the first price of the new connection. In
/// this time the new connection subscribes to the last symbols, and the last messages of the old
/// connection arrive.
const TAKEOVER_OVERLAP: Duration = Duration::from_secs(5);

/// Extra time after the dial timeout. A connection task reports how the dial ended. If the task
/// reports nothing, the task has failed, and the feed closes the connection.
const FIRST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// The state of a connection, as seen by the feed.
pub(super) struct ConnectionState {
    pub(super) id: LineId,
    pub(super) conversation: Box<dyn ExchangeProtocol>,
    pub(super) outbox: mpsc::UnboundedSender<String>,
    /// Earliest time to dial.
    pub(super) turn: Instant,
    pub(super) opened: Option<Instant>,
    /// The time of the last message of any kind.
    pub(super) pulse: Instant,
    /// The time of the first price, or `None` after a price timeout; and the time of the last
    /// price.
    pub(super) first_price: Option<Instant>,
    pub(super) last_price: Instant,
    /// Whether the exchange said over this connection that the exchange is closed, and no new price
    /// arrived since then.
    pub(super) halted: bool,
    /// The time at which another connection must take over.
    pub(super) relieve_at: Option<Instant>,
    /// Whether another connection must take over as soon as possible. Until then this connection
    /// stays open for its prices.
    pub(super) leaving: bool,
    /// Prices that wait for the takeover. The old connection sends all of its own prices first.
    pub(super) held: Vec<FeedPrice>,
    pub(super) _task: AbortOnDropHandle<()>,
}

/// The timeouts of a connection.
#[derive(Clone, Copy)]
pub(super) struct Timeouts {
    /// Maximum time without any message.
    pub(super) heartbeat: Duration,
    /// Maximum time without a price.
    pub(super) price: Duration,
}

/// The action for a connection at a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deadline {
    /// The connection task did not report how the dial ended.
    Unsaid,
    /// No message arrived.
    Quiet,
    /// The connection takes over.
    TakeOver,
    /// No price arrived.
    Silent,
    /// The connection is old, and another connection must take over.
    Relieve,
}

impl ConnectionState {
    /// Returns whether the connection brings prices.
    pub(super) const fn has_prices(&self) -> bool {
        self.first_price.is_some()
    }

    /// Returns whether prices have come over the connection for long enough.
    pub(super) fn is_steady(&self) -> bool {
        self.first_price
            .is_some_and(|first| self.last_price - first >= STEADY_AFTER)
    }

    /// Returns the next deadline and its time.
    pub(super) fn due(&self, patience: Timeouts) -> Option<(Instant, Deadline)> {
        if self.opened.is_none() {
            return Some((
                self.turn + DIAL_TIMEOUT + FIRST_MESSAGE_TIMEOUT,
                Deadline::Unsaid,
            ));
        }
        // A connection that is kept only until its replacement is ready does not need to bring
        // prices.
        let silent = (self.has_prices() || !self.leaving).then(|| self.last_price + patience.price);
        let take_over = self
            .first_price
            .filter(|_| !self.held.is_empty())
            .map(|first| first + TAKEOVER_OVERLAP);
        let silent = silent.filter(|_| take_over.is_none());
        let relieve = self.relieve_at.filter(|_| !self.leaving);
        let dues = [
            (Some(self.pulse + patience.heartbeat), Deadline::Quiet),
            (take_over, Deadline::TakeOver),
            (silent, Deadline::Silent),
            (relieve, Deadline::Relieve),
        ];
        dues.into_iter()
            .filter_map(|(at, due)| Some((at?, due)))
            .min()
    }
}
