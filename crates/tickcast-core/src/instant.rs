//! Time. Every time is an argument: the core reads no clock.

mod text;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use text::TimeTextError;

/// Number of milliseconds in a UTC day.
const DAY_MS: i64 = 86_400_000;

/// The last millisecond of the year 9999.
const MAX_MS: i64 = 253_402_300_799_999;

/// Time at which a tick happened: milliseconds since 1970-01-01 UTC, from 0 to the end of the year
/// 9999.
///
/// Make one with [`from_millis`](Self::from_millis), `parse`, or from a [`SystemTime`]. Default:
/// the start of 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(i64);

/// A number that is not a valid [`Time`]. Contains the number, in ms since 1970. Valid are 0 to
/// 253,402,300,799,999, the end of the year 9999. Returned by [`Time::from_millis`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("time {0} is outside 0 ..= {MAX_MS} ms since 1970")]
#[non_exhaustive]
pub struct TimeError(pub i64);

impl Time {
    /// The latest valid time: 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(MAX_MS);

    /// Makes a time from milliseconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// If the time is before 1970 or after the year 9999.
    pub const fn from_millis(ms: i64) -> Result<Self, TimeError> {
        if ms < 0 || ms > MAX_MS {
            Err(TimeError(ms))
        } else {
            Ok(Self(ms))
        }
    }

    /// Returns this time plus `later`, at most the end of the year 9999.
    #[must_use]
    pub fn saturating_add(self, later: Duration) -> Self {
        let ms = i64::try_from(later.as_millis()).unwrap_or(MAX_MS);
        Self(self.0.saturating_add(ms).min(MAX_MS))
    }

    /// Returns this time minus `earlier`, at least the start of 1970.
    #[must_use]
    pub fn saturating_sub(self, earlier: Duration) -> Self {
        let ms = i64::try_from(earlier.as_millis()).unwrap_or(MAX_MS);
        Self(self.0.saturating_sub(ms).max(0))
    }

    /// Checks whether this time is more than `max` after `now`.
    #[must_use]
    pub fn is_ahead_of(self, now: Self, max: Duration) -> bool {
        self > now.saturating_add(max)
    }

    /// Returns the duration from `earlier` to this time, or zero if this time is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Returns milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns the number of the UTC day of this time, counted from 1970-01-01.
    #[must_use]
    pub const fn utc_day(self) -> i64 {
        self.0 / DAY_MS
    }
}

/// Times before 1970 become the start of 1970. Times after the year 9999 become the end of 9999.
impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Self {
        Self(0).saturating_add(time.duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

/// The same moment on two clocks: the wall clock and the uptime clock.
///
/// The core reads no clock, so the caller passes the time, for example to
/// [`Sequencer::accept`](crate::Sequencer::accept). A program makes the value from
/// [`SystemTime::now()`](SystemTime::now) and from the time since its start. Default: the start of
/// 1970 and an uptime of zero, for tests.
///
/// ```
/// # use std::time::{Instant, SystemTime};
/// # use tickcast_core::Now;
/// let start = Instant::now();
/// let now = Now { wall: SystemTime::now().into(), uptime: start.elapsed() };
/// # assert!(now.wall.as_millis() > 0);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Now {
    /// Wall-clock time. A tick without a `time` gets this time. The wall clock may jump.
    pub wall: Time,
    /// Time since the program started. Must not decrease from call to call: ages and delays are
    /// measured with it.
    pub uptime: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_a_utc_day() {
        let midnight = Time::from_millis(20_000 * DAY_MS).unwrap();
        assert_eq!(midnight.utc_day(), 20_000);
        assert_eq!(
            Time::from_millis(20_000 * DAY_MS - 1).unwrap().utc_day(),
            19_999
        );
    }

    #[test]
    fn years_outside_1970_to_9999_are_rejected() {
        assert_eq!(Time::from_millis(-1), Err(TimeError(-1)));
        assert!(Time::from_millis(MAX_MS + 1).is_err());
        assert_eq!(
            Time::default().saturating_add(Duration::MAX),
            Time::from_millis(MAX_MS).unwrap()
        );
    }
}
