//! Delay before the next connection (exponential backoff).

use std::time::Duration;

/// First delay, if the server has not sent a delay.
const FIRST_DELAY: Duration = Duration::from_millis(500);

/// Maximum delay, unless the server asks for more. A server that returns after an hour is found within 30 s.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// Delay before the next connection. The delay grows with every failure and is random, so that not all
/// readers return to a restarted server at the same time.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    /// Delay that the server asked for.
    said: Option<Duration>,
    failures: u32,
    /// Delay to wait before the next connection, if any.
    due: Option<Duration>,
}

impl Backoff {
    /// Sets the delay that the server asks for.
    pub(crate) const fn set_retry(&mut self, retry: Duration) {
        self.said = Some(retry);
    }

    /// Resets the failures after a success.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Records a failure. `chance` is a random number between 0 and 1. The server's delay is already random,
    /// so the first delay is exactly the server's; later delays are random.
    pub(crate) fn fail(&mut self, chance: f64) {
        let base = self.said.unwrap_or(FIRST_DELAY);
        let wait = base.saturating_mul(1 << self.failures.min(10)).min(MAX_DELAY.max(base));
        let as_said = self.failures == 0 && self.said.is_some();
        self.due = Some(if as_said { wait } else { wait.mul_f64(0.5 + chance / 2.0) });
        self.failures += 1;
    }

    /// Returns the delay before the next connection, or `None` if the client may connect at once.
    pub(crate) const fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Records that the delay is over.
    pub(crate) const fn waited(&mut self) {
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_are_bounded() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.due(), None, "the first try is at once");
        let next = |backoff: &mut Backoff, chance| {
            backoff.fail(chance);
            backoff.due().unwrap().as_millis()
        };
        let waits: Vec<_> = (0..10).map(|_| next(&mut backoff, 1.0)).collect();
        assert_eq!(waits[..4], [500, 1000, 2000, 4000]);
        assert_eq!(waits[9], 30_000);
        backoff.reset();
        backoff.set_retry(Duration::from_millis(2345));
        assert_eq!(next(&mut backoff, 0.0), 2345, "as the server has said");
        assert_eq!(next(&mut backoff, 0.0), 2345, "half of twice that");
    }
}
