//! Delayed markets: each follows the live market behind the clock, for all readers with the same
//! delay. A delayed market is a hub of its own, so everything that exists for a live market exists
//! for it, as of its own head.

mod follower;
mod mark_file;
mod marks;
mod snapshots;
mod states;

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tickcast_core::Time;

use super::delayed_market::{DelayedMarket, NoMarket};
use super::{Hub, Inner};
use follower::Follower;
use mark_file::MarkFile;
use marks::{Mark, Marks};

/// Longest time between two looks whether something has become old enough.
const MAX_PAUSE: Duration = Duration::from_millis(250);

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

    /// Checks whether some readers may read delayed prices.
    #[cfg(feature = "http")]
    pub(crate) fn has_delays(&self) -> bool {
        !self.0.delayed.is_empty()
    }

    /// Returns this live market, then the delayed markets that have data.
    pub(crate) fn markets(&self) -> impl Iterator<Item = Self> {
        std::iter::once(self.clone()).chain(self.delayed_markets())
    }

    /// Returns the delayed markets that have data.
    pub(crate) fn delayed_markets(&self) -> impl Iterator<Item = Self> {
        self.0.delayed.iter().filter_map(DelayedMarket::market)
    }

    /// Starts the thread that moves the delayed markets. It runs until the hub is closed or dropped.
    pub(super) fn follow_with_delays(&self) {
        if self.0.delayed.is_empty() {
            if let Some(folder) = self.0.settings.folder() {
                MarkFile::remove(folder);
            }
            return;
        }
        self.0.log.remember_sources();
        let live = Arc::downgrade(&self.0);
        let (started, file) = self.open_marks();
        let origin = (self.0.log.head(), started);
        let marks = || file.iter().flat_map(MarkFile::marks);
        let delays = self.0.delayed.iter().map(|market| market.delay);
        let followers: Vec<_> = delays
            .map(|delay| Follower::new(delay, origin, marks()))
            .collect();
        let thread = std::thread::Builder::new().name("delayed".to_owned());
        let (stop, stopped) = mpsc::channel();
        let _ = self.0.stop_delayed.set(stop);
        if let Err(error) = thread.spawn(move || run(&live, followers, (started, file), &stopped)) {
            tracing::error!(%error, "the thread of the delayed markets failed to start; their readers are told to come back later");
        }
    }

    /// Stops the delayed markets, after each has written what a restart needs. They move no more.
    pub(super) fn close_delayed(&self) {
        let Some(stop) = self.0.stop_delayed.get() else {
            return;
        };
        let (done, finished) = mpsc::channel();
        // A thread that has ended has dropped the channel, and the wait ends at once.
        if stop.send(done).is_ok() {
            let _ = finished.recv();
        }
    }

    /// Opens the marks on disk, if the tape is there. Returns them with the time of their clock at the
    /// start of this hub.
    fn open_marks(&self) -> (Duration, Option<MarkFile>) {
        let unknown = (Duration::ZERO, None);
        let (Some(folder), Some((clock, time))) =
            (self.0.settings.folder(), mark_file::shared_clock())
        else {
            return unknown;
        };
        let (Some(first), Some(last)) = (self.0.delayed.first(), self.0.delayed.last()) else {
            return unknown;
        };
        let now = self.0.clock.now();
        let head = Mark::new(self.0.log.head(), time, now.wall);
        let delays = (first.delay, last.delay);
        let file = MarkFile::load(folder, (&clock, self.0.epoch), delays, head);
        (time.saturating_sub(now.uptime), Some(file))
    }

    /// Sets up to when this market has all that was accepted, by the wall clock.
    fn set_complete_until(&self, wall: Time) {
        self.0.complete_until.store(wall.as_millis(), Relaxed);
    }

    /// Returns the time by which candles are closed: everything up to it is there.
    #[cfg(feature = "http")]
    pub(crate) fn complete_until(&self) -> Time {
        let wall = self.now().wall;
        let complete = Time::from_millis(self.0.complete_until.load(Relaxed));
        complete.map_or(wall, |complete| complete.min(wall))
    }
}

/// Sets the market that readers get, unless it is the same as before. If the streams of the live
/// market have ended, those of a new market end as well.
fn set(live: &Hub, place: &DelayedMarket<Hub>, market: Option<Hub>) {
    let same = match (place.market(), &market) {
        (Some(before), Some(market)) => Arc::ptr_eq(before.inner(), market.inner()),
        (None, None) => true,
        _ => false,
    };
    if !same {
        place.replace(market.clone());
        if let Some(market) = market.filter(|_| live.0.finished.load(SeqCst)) {
            market.end_when_caught_up();
        }
    }
}

fn run(
    hub: &Weak<Inner>,
    mut followers: Vec<Follower>,
    (started, mut file): (Duration, Option<MarkFile>),
    stopped: &Receiver<Sender<()>>,
) {
    let pause = followers
        .iter()
        .map(|own| Marks::interval(own.delay()).min(MAX_PAUSE))
        .min();
    loop {
        let Some(inner) = hub.upgrade() else { return };
        let live = Hub(inner);
        // The head comes before the time: what it includes is at least as old as the mark says.
        let head = live.head().1;
        let (now, passed) = (live.0.clock.now(), live.steady_time());
        if let Some(file) = &mut file {
            file.note(Mark::new(head, started + now.uptime, now.wall));
        }
        let mut more = false;
        for (follower, market) in followers.iter_mut().zip(&live.0.delayed) {
            more |= follower.step(&live, (head, now), passed);
            set(&live, market, follower.market());
        }
        let stop = match more {
            true => stopped.try_recv().ok(),
            false => {
                drop(live);
                // If the hub is dropped, the wait ends, and the next turn finds no hub.
                stopped.recv_timeout(pause.unwrap_or_default()).ok()
            }
        };
        if let Some(done) = stop {
            if let (Some(file), Some(inner)) = (&mut file, hub.upgrade()) {
                let live = Hub(inner);
                let (head, now) = (live.head().1, live.0.clock.now());
                file.close(Mark::new(head, started + now.uptime, now.wall));
            }
            for follower in &mut followers {
                follower.close(now.uptime);
            }
            let _ = done.send(());
            return;
        }
    }
}
