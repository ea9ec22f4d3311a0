//! The delay before the next attempt (exponential backoff).

use std::ops::RangeInclusive;
use std::time::Duration;

/// Maximum number of doublings. A base of one millisecond then grows to one second, not further.
const MAX_DOUBLINGS: u32 = 10;

/// Exponential backoff with jitter. The delay doubles with every failure up to a maximum, and is
/// random. So clients that failed together do not retry together. The delay doubles at most 10
/// times. Made by [`Backoff::new`].
#[derive(Debug, Clone, PartialEq)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    jitter: RangeInclusive<f64>,
    floor: Duration,
    /// Whether the other side requested the base.
    requested: bool,
    failures: u32,
}

impl Backoff {
    /// Creates a backoff without failures. The delay is `base` after the first failure, and at most
    /// `max`. Each delay is multiplied by a random factor from `jitter`, so a delay can exceed
    /// `max` if the factors exceed
    /// 1. The factors must be finite and not negative: `0.0..=1.0` is full jitter, `0.5..=1.0` half
    ///    jitter.
    #[must_use]
    pub const fn new(base: Duration, max: Duration, jitter: RangeInclusive<f64>) -> Self {
        Self {
            base,
            max,
            jitter,
            floor: Duration::ZERO,
            requested: false,
            failures: 0,
        }
    }

    /// Sets the minimum delay. Without a minimum, full jitter can repeat an attempt in a hot loop.
    /// Default: no minimum.
    #[must_use]
    pub const fn floor(mut self, floor: Duration) -> Self {
        self.floor = floor;
        self
    }

    /// Replaces the base by the delay that the other side requested. If this delay is longer than
    /// the maximum, the delay is also the maximum. The other side requests random delays, so the
    /// delay after the first failure has no jitter.
    pub const fn set_requested(&mut self, delay: Duration) {
        self.base = delay;
        self.requested = true;
    }

    /// Records a failure and returns the delay before the next attempt. `random` is a random number
    /// from 0 to 1; any other number counts as 1.
    pub fn next(&mut self, random: f64) -> Duration {
        let delay = self
            .base
            .saturating_mul(1 << self.failures.min(MAX_DOUBLINGS));
        let delay = delay.min(self.max.max(self.base));
        let first = self.failures == 0;
        self.failures = self.failures.saturating_add(1);
        if first && self.requested {
            return delay.max(self.floor);
        }
        let random = if (0.0..=1.0).contains(&random) {
            random
        } else {
            1.0
        };
        let (min, max) = (self.jitter.start(), self.jitter.end());
        let factor = min + (max - min) * random;
        // A requested delay may be so long that a product is out of range.
        let delay =
            Duration::try_from_secs_f64(delay.as_secs_f64() * factor).unwrap_or(Duration::MAX);
        delay.max(self.floor)
    }

    /// Resets the failures after a success.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn delays(mut backoff: Backoff, random: f64, count: usize) -> Vec<u128> {
        (0..count)
            .map(|_| backoff.next(random).as_millis())
            .collect()
    }

    /// The backoff of a feed.
    #[test]
    fn full_jitter_spreads_delays_up_to_the_maximum_but_not_below_the_floor() {
        let backoff = || Backoff::new(millis(1000), millis(60_000), 0.0..=1.0).floor(millis(100));
        let longest = [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000];
        assert_eq!(delays(backoff(), 1.0, 8), longest);
        assert_eq!(delays(backoff(), 0.5, 8), longest.map(|ms| ms / 2));
        assert_eq!(delays(backoff(), 0.0, 8), [100; 8]);
        let mut backoff = backoff();
        (0..1000).for_each(|_| assert!(backoff.next(1.0) <= millis(60_000)));
        backoff.reset();
        assert_eq!(backoff.next(1.0), millis(1000));
        assert_eq!(backoff.next(f64::NAN), millis(2000));
    }

    /// The backoff of a client.
    #[test]
    fn half_jitter_begins_exactly_at_a_requested_delay() {
        let mut backoff = Backoff::new(millis(500), millis(30_000), 0.5..=1.0);
        assert_eq!(delays(backoff.clone(), 1.0, 4), [500, 1000, 2000, 4000]);
        assert_eq!(delays(backoff.clone(), 0.0, 3), [250, 500, 1000]);
        assert_eq!(delays(backoff.clone(), 1.0, 10)[9], 30_000);
        backoff.set_requested(millis(2345));
        assert_eq!(backoff.next(0.0), millis(2345), "as requested");
        assert_eq!(backoff.next(0.0), millis(2345), "half of twice that");
        backoff.set_requested(millis(40_000));
        backoff.reset();
        assert_eq!(delays(backoff.clone(), 1.0, 3), [40_000; 3]);
        backoff.set_requested(millis(1));
        assert_eq!(delays(backoff.clone(), 1.0, 20)[19], 1024);
        backoff.set_requested(Duration::MAX);
        backoff.reset();
        assert_eq!([backoff.next(1.0), backoff.next(1.0)], [Duration::MAX; 2]);
    }

    /// The backoff of `tickcast publish`.
    #[test]
    fn factors_above_one_can_exceed_the_maximum() {
        let backoff = || Backoff::new(millis(100), millis(5000), 0.5..=1.5);
        assert_eq!(
            delays(backoff(), 0.5, 8),
            [100, 200, 400, 800, 1600, 3200, 5000, 5000]
        );
        assert_eq!(delays(backoff(), 0.0, 8)[7], 2500);
        assert_eq!(delays(backoff(), 1.0, 8)[7], 7500);
    }
}
