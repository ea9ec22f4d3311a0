//! A connection, as its feed sees it.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::connection::{DIAL_TIMEOUT, LineId};
use crate::{ExchangeProtocol, FeedPrice};

/// So long prices have to flow before all is well again. A connection that stands is no sign of health.
const STEADY_AFTER: Duration = Duration::from_secs(30);

/// How long two connections overlap when one takes over, from the first price of the new one on: its last subscription has to be
/// served, and what the old one has still on the way has to arrive.
const TAKEOVER_OVERLAP: Duration = Duration::from_secs(5);

/// A connection says itself how its dialling ended; one that says nothing has fallen over, and is given up so much later.
const FIRST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection, from here.
pub(super) struct ConnectionState {
    pub(super) id: LineId,
    pub(super) conversation: Box<dyn ExchangeProtocol>,
    pub(super) outbox: mpsc::UnboundedSender<String>,
    /// When it may be dialled.
    pub(super) turn: Instant,
    pub(super) opened: Option<Instant>,
    /// When anything came last.
    pub(super) pulse: Instant,
    /// When a price came first, unless none has come for too long since; and when one came last.
    pub(super) first_price: Option<Instant>,
    pub(super) last_price: Instant,
    /// The exchange said over it that it is closed, and nothing new has come over it since.
    pub(super) halted: bool,
    /// When another is to take over.
    pub(super) relieve_at: Option<Instant>,
    /// Another is to take over, as soon as it can; until then it is kept for its prices.
    pub(super) leaving: bool,
    /// It is to take over: its prices wait until the other one has given all of its own.
    pub(super) held: Vec<FeedPrice>,
    pub(super) _task: AbortOnDropHandle<()>,
}

/// What a connection is allowed.
#[derive(Clone, Copy)]
pub(super) struct Timeouts {
    /// How long nothing at all may come.
    pub(super) heartbeat: Duration,
    /// How long no price may come.
    pub(super) price: Duration,
}

/// What is to be done about a connection, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deadline {
    /// It never said how its dialling ended.
    Unsaid,
    /// Nothing at all has come.
    Quiet,
    /// It is to take over.
    TakeOver,
    /// No price has come.
    Silent,
    /// It is old: another is to take over.
    Relieve,
}

impl ConnectionState {
    /// Whether it brings prices.
    pub(super) const fn has_prices(&self) -> bool {
        self.first_price.is_some()
    }

    /// Whether prices have come over it for long enough.
    pub(super) fn is_steady(&self) -> bool {
        self.first_price.is_some_and(|first| self.last_price - first >= STEADY_AFTER)
    }

    /// What is due next, and when.
    pub(super) fn due(&self, patience: Timeouts) -> Option<(Instant, Deadline)> {
        if self.opened.is_none() {
            return Some((self.turn + DIAL_TIMEOUT + FIRST_MESSAGE_TIMEOUT, Deadline::Unsaid));
        }
        // Whoever is only kept until another has come is not expected to bring any.
        let silent = (self.has_prices() || !self.leaving).then(|| self.last_price + patience.price);
        let take_over =
            self.first_price.filter(|_| !self.held.is_empty()).map(|first| first + TAKEOVER_OVERLAP);
        let silent = silent.filter(|_| take_over.is_none());
        let relieve = self.relieve_at.filter(|_| !self.leaving);
        let dues = [
            (Some(self.pulse + patience.heartbeat), Deadline::Quiet),
            (take_over, Deadline::TakeOver),
            (silent, Deadline::Silent),
            (relieve, Deadline::Relieve),
        ];
        dues.into_iter().filter_map(|(at, due)| Some((at?, due))).min()
    }
}
