//! Earliest and latest time of ticks.

use tickcast_core::Time;

/// Earliest and latest time of some ticks, which are not ordered by time. Default: of no ticks; the
/// earliest is after the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) earliest: Time,
    pub(crate) latest: Time,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            earliest: Time::MAX,
            latest: Time::default(),
        }
    }
}

impl Times {
    pub(crate) fn add(&mut self, time: Time) {
        self.join(Self {
            earliest: time,
            latest: time,
        });
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.earliest = self.earliest.min(other.earliest);
        self.latest = self.latest.max(other.latest);
    }

    /// Checks whether a tick may have a time from `earliest` to `latest`.
    pub(crate) fn overlap(self, (earliest, latest): (Time, Time)) -> bool {
        self.earliest <= latest.min(self.latest) && earliest <= self.latest
    }
}
