//! The delay before the next attempt.

use std::time::Duration;

/// Maximum of the first delay.
const BASE_DELAY: Duration = Duration::from_secs(1);

/// Maximum delay, unless the exchange requests a longer delay.
const MAX_DELAY: Duration = Duration::from_secs(60);

/// Minimum delay. Without a minimum, an attempt that fails at once would repeat in a hot loop.
const MIN_DELAY: Duration = Duration::from_millis(100);

/// Exponential backoff with full jitter. The maximum doubles with every failure, and each delay is random up
/// to the maximum. So clients that failed together do not retry together.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Returns the delay after one more failure. The delay is added to `floor`, the time that the exchange
    /// requested.
    pub(crate) fn next(&mut self, floor: Duration) -> Duration {
        let most = BASE_DELAY.saturating_mul(1 << self.failures.min(6)).min(MAX_DELAY);
        self.failures = self.failures.saturating_add(1);
        floor + most.mul_f64(fastrand::f64()).max(MIN_DELAY)
    }

    /// Resets the delay after a success.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_one_minute_and_are_spread() {
        let longest = |failures: u32| {
            let pauses = (0..200).map(|_| Backoff { failures }.next(Duration::ZERO));
            pauses
                .fold((MAX_DELAY, Duration::ZERO), |(least, most), pause| (least.min(pause), most.max(pause)))
        };
        let (least, most) = longest(0);
        assert!(least >= MIN_DELAY && most <= BASE_DELAY && most > BASE_DELAY / 2, "{least:?} {most:?}");
        let (least, most) = longest(20);
        assert!(
            least < MAX_DELAY / 10 && most <= MAX_DELAY && most > MAX_DELAY * 9 / 10,
            "{least:?} {most:?}"
        );
        assert!(Backoff::default().next(MAX_DELAY) > MAX_DELAY);
    }
}
