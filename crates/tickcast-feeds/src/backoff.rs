//! How long to wait before the next attempt.

use std::time::Duration;

/// The first pause is at most this.
const BASE_DELAY: Duration = Duration::from_secs(1);

/// No pause is longer, unless the other side asks for it.
const MAX_DELAY: Duration = Duration::from_secs(60);

/// No pause is shorter: what fails at once would be tried in a hot loop.
const MIN_DELAY: Duration = Duration::from_millis(100);

/// Doubles with every failure, and is drawn anew from all of it: those who fell together do not come back together.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after one more failure, and after `floor`, which the other side asked for.
    pub(crate) fn next(&mut self, floor: Duration) -> Duration {
        let most = BASE_DELAY.saturating_mul(1 << self.failures.min(6)).min(MAX_DELAY);
        self.failures = self.failures.saturating_add(1);
        floor + most.mul_f64(fastrand::f64()).max(MIN_DELAY)
    }

    /// All is well again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_minute_and_are_spread() {
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
