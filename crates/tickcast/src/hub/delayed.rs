//! Delayed markets: each follows the live market behind the clock, for all readers with the same
//! delay. A delayed market is a hub of its own, so everything that exists for a live market exists
//! for it, as of its own head.

mod follower;
mod marks;
mod states;

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::delayed_market::{DelayedMarket, NoMarket};
use super::{Hub, Inner};
use follower::Follower;
use marks::Marks;

impl Hub {
    /// Returns the market that a reader with this delay may read: this hub without a delay,
    /// otherwise the market with the next longer delay.
    pub(crate) fn behind(&self, delay: Duration) -> Result<Self, NoMarket> {
        if delay <= self.0.settings.delay {
            return Ok(self.clone());
        }
        let markets = &self.0.delayed;
        let longest = markets.last().map_or(Duration::ZERO, |market| market.delay);
        let market = markets.iter().find(|market| market.delay >= delay);
        let market = market.ok_or(NoMarket::TooLong(longest))?;
        market.market().ok_or(NoMarket::NotYet(market.delay))
    }

    /// Returns the delay of this market, or `None` if it is live.
    #[cfg(feature = "http")]
    pub(crate) fn delay(&self) -> Option<Duration> {
        Some(self.0.settings.delay).filter(|delay| !delay.is_zero())
    }

    /// Returns this live market, then the delayed markets that have data.
    pub(crate) fn markets(&self) -> impl Iterator<Item = Self> {
        std::iter::once(self.clone()).chain(self.delayed_markets())
    }

    /// Returns the delayed markets that have data.
    pub(crate) fn delayed_markets(&self) -> impl Iterator<Item = Self> {
        self.0.delayed.iter().filter_map(DelayedMarket::market)
    }

    /// Starts the thread that moves the delayed markets. It runs until the hub is dropped.
    pub(super) fn follow_with_delays(&self) {
        if self.0.delayed.is_empty() {
            return;
        }
        self.0.log.remember_sources();
        let live = Arc::downgrade(&self.0);
        let head = self.0.log.head();
        let delays = self.0.delayed.iter().map(|market| market.delay);
        let followers: Vec<_> = delays.map(|delay| Follower::new(delay, head)).collect();
        let thread = std::thread::Builder::new().name("delayed".to_owned());
        if let Err(error) = thread.spawn(move || run(&live, followers)) {
            tracing::error!(%error, "the thread of the delayed markets failed to start; their readers are told to come back later");
        }
    }
}

/// Sets the market that readers get, unless it is the same as before.
fn set(place: &DelayedMarket<Hub>, market: Option<Hub>) {
    let same = match (place.market(), &market) {
        (Some(before), Some(market)) => Arc::ptr_eq(before.inner(), market.inner()),
        (None, None) => true,
        _ => false,
    };
    if !same {
        place.replace(market);
    }
}

fn run(live: &Weak<Inner>, mut followers: Vec<Follower>) {
    let pause = followers
        .iter()
        .map(|own| Marks::interval(own.delay()))
        .min();
    loop {
        let Some(inner) = live.upgrade() else { return };
        let live = Hub(inner);
        // The head comes before the time: what it includes is at least as old as the mark says.
        let head = live.head().1;
        let (now, passed) = (live.0.clock.now(), live.steady_time());
        for (follower, market) in followers.iter_mut().zip(&live.0.delayed) {
            follower.step(&live, (head, now), passed);
            set(market, follower.market());
        }
        drop(live);
        std::thread::sleep(pause.unwrap_or_default());
    }
}
