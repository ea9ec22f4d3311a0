//! A maximum number of updates per second.

use std::time::Duration;

/// The minimum and maximum rate, in updates per second and symbol.
pub(crate) const RATES: std::ops::RangeInclusive<f64> = 0.1..=100.0;

/// A maximum number of updates per second for each symbol, 0.1 to 100. Of the ticks between two
/// updates, only the newest is sent (conflation), and the last tick always arrives. Pass it to
/// [`Subscription::max_rate`](crate::Subscription::max_rate).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(Duration);

/// The error for a number that is not a valid [`Rate`]: it is outside of 0.1 to 100, or not a
/// number. Contains the number. Returned by [`Rate::per_second`].
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} updates per second is outside {min} ..= {max}", min = RATES.start(), max = RATES.end())]
pub struct RateError(pub f64);

impl Rate {
    /// Returns a rate of `updates` per second and symbol, 0.1 to 100.
    ///
    /// # Errors
    /// If `updates` is outside of 0.1 to 100 or is not a number.
    pub fn per_second(updates: f64) -> Result<Self, RateError> {
        if RATES.contains(&updates) {
            Ok(Self(Duration::from_secs_f64(1.0 / updates)))
        } else {
            Err(RateError(updates))
        }
    }

    /// Returns the minimum time between two updates of a symbol.
    #[must_use]
    pub const fn interval(self) -> Duration {
        self.0
    }

    /// Returns the lower of two rates.
    pub(crate) fn slower_of(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }

    /// Returns the number of updates per second.
    #[must_use]
    pub fn rate(self) -> f64 {
        1.0 / self.0.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_valid_from_0_1_to_100_updates_a_second() {
        assert_eq!(
            Rate::per_second(2.0).unwrap().interval(),
            Duration::from_millis(500)
        );
        assert!(Rate::per_second(0.1).is_ok() && Rate::per_second(100.0).is_ok());
        for bad in [0.0, 0.09, 100.1, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Rate::per_second(bad).is_err(), "{bad}");
        }
        assert_eq!(
            RateError(0.0).to_string(),
            "0 updates per second is outside 0.1 ..= 100"
        );
    }
}
