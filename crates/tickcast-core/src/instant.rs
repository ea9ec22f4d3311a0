//! Time, always handed in from outside.

mod text;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use text::TimeTextError;

/// Milliseconds in a UTC day.
const DAY_MS: i64 = 86_400_000;

/// The last millisecond of the year 9999.
const MAX_MS: i64 = 253_402_300_799_999;

/// When a tick happened: milliseconds since 1970-01-01 UTC, from 0 up to the end of the year 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(i64);

/// A number that is no [`Time`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("time {0} is outside 0 ..= {MAX_MS} ms since 1970")]
pub struct TimeError(pub i64);

impl Time {
    /// The latest there is.
    pub const MAX: Self = Self(MAX_MS);

    /// Milliseconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// Where it lies before 1970 or after the year 9999.
    pub const fn from_millis(ms: i64) -> Result<Self, TimeError> {
        if ms < 0 || ms > MAX_MS { Err(TimeError(ms)) } else { Ok(Self(ms)) }
    }

    /// `later` after this one, at most the end of the year 9999.
    #[must_use]
    pub fn saturating_add(self, later: Duration) -> Self {
        let ms = i64::try_from(later.as_millis()).unwrap_or(MAX_MS);
        Self(self.0.saturating_add(ms).min(MAX_MS))
    }

    /// `earlier` before this one, at least 1970.
    #[must_use]
    pub fn saturating_sub(self, earlier: Duration) -> Self {
        let ms = i64::try_from(earlier.as_millis()).unwrap_or(MAX_MS);
        Self(self.0.saturating_sub(ms).max(0))
    }

    /// Whether it lies more than `most` after `now`.
    #[must_use]
    pub fn is_ahead_of(self, now: Self, most: Duration) -> bool {
        self > now.saturating_add(most)
    }

    /// How long after `earlier` it is; zero where it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Which UTC day it falls on, counted from 1970-01-01.
    #[must_use]
    pub const fn utc_day(self) -> i64 {
        self.0 / DAY_MS
    }
}

/// What lies before 1970 counts as 1970, what lies after the year 9999 as its end.
impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Self {
        Self(0).saturating_add(time.duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

/// One moment on the two clocks that matter: the calendar's, and one that only ever goes forward.
#[derive(Debug, Clone, Copy, Default)]
pub struct Now {
    /// The calendar: what a tick without a `time` is stamped with. It may jump.
    pub wall: Time,
    /// Since the program started: what ages and delays are measured with.
    pub uptime: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_a_utc_day() {
        let midnight = Time::from_millis(20_000 * DAY_MS).unwrap();
        assert_eq!(midnight.utc_day(), 20_000);
        assert_eq!(Time::from_millis(20_000 * DAY_MS - 1).unwrap().utc_day(), 19_999);
    }

    #[test]
    fn years_outside_1970_to_9999_are_refused() {
        assert_eq!(Time::from_millis(-1), Err(TimeError(-1)));
        assert!(Time::from_millis(MAX_MS + 1).is_err());
        assert_eq!(Time::default().saturating_add(Duration::MAX), Time::from_millis(MAX_MS).unwrap());
    }
}
