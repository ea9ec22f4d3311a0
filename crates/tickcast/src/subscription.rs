//! A filter, a pace and a place to start from.

mod edit;
mod stream_id;

use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use tickcast_core::render::EventFormat;
use tickcast_core::{Epoch, Filter, Mode, Position, Resume, ResumeError, Seq, resume};

use crate::hub::Prepared;
pub(crate) use edit::{CHANGES_PER_SECOND, Edit, EditError, Effective, RATE_NEEDS_LATEST};
pub(crate) use stream_id::StreamId;

/// The slowest and the fastest pace, in updates a second of each symbol.
pub(crate) const RATES: std::ops::RangeInclusive<f64> = 0.1..=100.0;

/// At most so many updates a second of each symbol; the newest value wins, and the last one always arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(Duration);

/// A number that is no [`Rate`].
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} updates a second is outside {min} ..= {max}", min = RATES.start(), max = RATES.end())]
pub struct RateError(pub f64);

impl Rate {
    /// `updates` a second, 0.1 to 100.
    ///
    /// # Errors
    /// Where it is outside that range, or no number.
    pub fn per_second(updates: f64) -> Result<Self, RateError> {
        if RATES.contains(&updates) {
            Ok(Self(Duration::from_secs_f64(1.0 / updates)))
        } else {
            Err(RateError(updates))
        }
    }

    /// The time between two updates.
    #[must_use]
    pub const fn interval(self) -> Duration {
        self.0
    }

    /// Updates a second.
    #[must_use]
    pub fn rate(self) -> f64 {
        1.0 / self.0.as_secs_f64()
    }
}

/// Seconds of quiet after which a stream is sent a sign that it is open: at least, since clients that are in more of a hurry have
/// a fault, and at most, since proxies give up what is silent for longer.
pub(crate) const HEARTBEATS: std::ops::RangeInclusive<u8> = 3..=60;

/// How long a stream may be quiet before it is sent a sign that it is open. A byte: each stream may have its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heartbeat(NonZeroU8);

impl Heartbeat {
    /// Every `seconds`, where that is within [`HEARTBEATS`].
    pub(crate) fn seconds(seconds: u8) -> Option<Self> {
        NonZeroU8::new(seconds).filter(|seconds| HEARTBEATS.contains(&seconds.get())).map(Self)
    }

    /// The same as a time.
    pub(crate) fn interval(self) -> Duration {
        Duration::from_secs(self.0.get().into())
    }
}

/// What a reader asks for: which symbols, how often, from where.
///
/// ```
/// use tickcast::{Filter, Rate, Subscription};
/// let wanted = Subscription::to(Filter::parse(["AAPL", "BTC*"]).unwrap())
///     .max_rate(Rate::per_second(2.0).unwrap())
///     .without_snapshot();
/// ```
#[derive(Debug, Clone)]
pub struct Subscription {
    pub(crate) filter: Filter,
    /// The filter made ready for the lanes; without it, each lane does that by itself.
    pub(crate) prepared: Option<Arc<Prepared>>,
    pub(crate) rate: Option<Rate>,
    pub(crate) start: Start,
    /// Where the log stood when this was asked for: a lane has to have got there before it takes the reader in.
    pub(crate) asked_at: Seq,
    pub(crate) format: EventFormat,
    /// A simple stream's own; `None`: that of its lane.
    pub(crate) heartbeat: Option<Heartbeat>,
    pub(crate) session: Option<Box<SessionOptions>>,
}

/// What a resumable stream is asked for beyond a simple one.
#[derive(Debug, Clone)]
pub(crate) struct SessionOptions {
    pub(crate) id: StreamId,
    pub(crate) mode: Mode,
    /// After how long without an event it is sent a heartbeat.
    pub(crate) heartbeat: Duration,
    /// The cursor that its reader came with.
    pub(crate) last: Option<Box<str>>,
    /// Why it cannot go on there.
    pub(crate) broken: Option<ResumeError>,
    /// Its cursor, where only the disk can say whether it is of this tape.
    pub(crate) unverified: Option<Position>,
}

/// Where a reader starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// With the newest tick of every wanted symbol.
    Snapshot,
    /// With what comes after this place.
    After(Seq),
    /// The same, where the cursor is one of this tape. A stream that was changed has to be of the same filter as the one that
    /// this is asked for.
    Resume(Resume),
    /// With the oldest tick of the tape.
    Oldest,
}

/// The place of someone who wants what comes from now on; [`Subscription::at`] turns it into a real one.
const FROM_NOW_ON: Start = Start::After(Seq::new(u64::MAX));

/// Everything, newest ticks first: the subscription of someone who names no symbols.
impl Default for Subscription {
    fn default() -> Self {
        Self::to(Filter::all())
    }
}

impl Subscription {
    /// To the symbols `filter` wants: their newest ticks first, then every tick.
    #[must_use]
    pub const fn to(filter: Filter) -> Self {
        Self {
            filter,
            prepared: None,
            rate: None,
            start: Start::Snapshot,
            asked_at: Seq::ZERO,
            format: EventFormat::Simple,
            heartbeat: None,
            session: None,
        }
    }

    /// At most so often.
    #[must_use]
    pub const fn max_rate(mut self, rate: Rate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// Only what is published from now on.
    #[must_use]
    pub const fn without_snapshot(mut self) -> Self {
        self.start = FROM_NOW_ON;
        self
    }

    /// With a comment after so long without an event.
    pub(crate) const fn heartbeat(mut self, heartbeat: Option<Heartbeat>) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// As a resumable stream of the log that stands at `head`: its reader goes on from the cursor it came with, if it has one
    /// that is good here.
    pub(crate) fn resumable(mut self, mut session: SessionOptions, (epoch, head): (Epoch, Seq)) -> Self {
        self.format = EventFormat::Resumable(epoch, None);
        match session.last.as_deref().map(|last| resume(last, epoch, head)) {
            None => {}
            Some(Ok(from)) => self.start = Start::Resume(from),
            Some(Err(broken)) => {
                session.broken = Some(broken);
                self.start = Start::Snapshot;
            }
        }
        self.session = Some(Box::new(session));
        self
    }

    /// Only what the tape holds, from its oldest tick on.
    pub(crate) const fn oldest_first(mut self) -> Self {
        self.start = Start::Oldest;
        self
    }

    /// Made while the log stands at `head`.
    pub(crate) fn at(mut self, head: Seq) -> Self {
        self.asked_at = head;
        if self.start == FROM_NOW_ON {
            self.start = Start::After(head);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paces() {
        assert_eq!(Rate::per_second(2.0).unwrap().interval(), Duration::from_millis(500));
        assert!(Rate::per_second(0.1).is_ok() && Rate::per_second(100.0).is_ok());
        for bad in [0.0, 0.09, 100.1, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Rate::per_second(bad).is_err(), "{bad}");
        }
        assert_eq!(RateError(0.0).to_string(), "0 updates a second is outside 0.1 ..= 100");
    }
}
