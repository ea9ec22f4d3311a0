//! The speed of a replay.

use std::ops::RangeInclusive;

/// When the ticks of a replay are published. Pass it to [`Replay::pacing`](super::Replay::pacing).
/// Default: the original speed, `Pacing::speed(1.0)`.
///
/// If the server is slower than the pacing, no tick is dropped: late ticks are published as fast as
/// possible.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pacing(pub(super) Pace);

/// When ticks are due.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pace {
    /// As fast as the file can be read.
    Max,
    /// This number of ticks per second.
    Rate(f64),
    /// By the times of the ticks, multiplied by this speed factor.
    Times(f64),
}

/// An error for a rate or a speed factor outside of [`Pacing::RANGE`], 0.001 to 10,000,000.
/// Contains the number. Returned by [`Pacing::speed`] and [`Pacing::rate`].
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("pacing: {0} is out of range (expected {least} to {most})", least = Pacing::RANGE.start(), most = Pacing::RANGE.end())]
pub struct PacingError(f64);

impl Default for Pacing {
    /// Returns the original speed: `Pacing::speed(1.0)`.
    fn default() -> Self {
        Self(Pace::Times(1.0))
    }
}

impl Pacing {
    /// Publishes ticks as fast as the file can be read.
    pub const MAX: Self = Self(Pace::Max);

    /// Allowed speed factors and rates: 0.001 to 10,000,000, both included. A rate is in ticks per
    /// second; a factor has no unit.
    pub const RANGE: RangeInclusive<f64> = 0.001..=10_000_000.0;

    /// Keeps the times between the ticks, divided by `factor`. A factor of 1 is the original speed;
    /// a factor of 2 is twice as fast.
    ///
    /// A tick is due at the time since the first tick, divided by the factor. A long gap is waited
    /// for. A tick that is not later than the tick before is published at once. A tick without a
    /// time is published right after the tick before.
    ///
    /// # Errors
    /// If the factor is outside of 0.001 to 10,000,000 ([`Pacing::RANGE`]).
    pub fn speed(factor: f64) -> Result<Self, PacingError> {
        Self::in_range(factor).map(|factor| Self(Pace::Times(factor)))
    }

    /// Publishes a constant number of ticks per second, whatever the times of the ticks are.
    ///
    /// # Errors
    /// If the rate is outside of 0.001 to 10,000,000 ticks per second ([`Pacing::RANGE`]).
    pub fn rate(ticks_per_second: f64) -> Result<Self, PacingError> {
        Self::in_range(ticks_per_second).map(|rate| Self(Pace::Rate(rate)))
    }

    fn in_range(number: f64) -> Result<f64, PacingError> {
        if Self::RANGE.contains(&number) {
            Ok(number)
        } else {
            Err(PacingError(number))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pacing_out_of_range_is_refused() {
        for number in [0.0, -1.0, f64::NAN, 1e8] {
            assert!(
                Pacing::speed(number).is_err() && Pacing::rate(number).is_err(),
                "{number}"
            );
        }
        let says = Pacing::rate(0.0).unwrap_err().to_string();
        assert_eq!(
            says,
            "pacing: 0 is out of range (expected 0.001 to 10000000)"
        );
    }
}
