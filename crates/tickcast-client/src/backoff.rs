//! When to come back.

use std::time::Duration;

/// The first wait, where the server has not said one.
const FIRST_DELAY: Duration = Duration::from_millis(500);

/// The longest: a server that is back after an hour is found within half a minute.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// How long to wait before the next try. Longer with every failure, and never the same for all: a server that comes back does
/// not meet all its readers at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    /// What the server asked for.
    said: Option<Duration>,
    failures: u32,
    /// What is to be waited for before the next try.
    due: Option<Duration>,
}

impl Backoff {
    /// The server says when to come back.
    pub(crate) const fn set_retry(&mut self, retry: Duration) {
        self.said = Some(retry);
    }

    /// It went well.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// It did not; `chance` is between 0 and 1. What the server has said is drawn by chance already, and is only varied where
    /// it does not help.
    pub(crate) fn fail(&mut self, chance: f64) {
        let base = self.said.unwrap_or(FIRST_DELAY);
        let wait = base.saturating_mul(1 << self.failures.min(10)).min(MAX_DELAY.max(base));
        let as_said = self.failures == 0 && self.said.is_some();
        self.due = Some(if as_said { wait } else { wait.mul_f64(0.5 + chance / 2.0) });
        self.failures += 1;
    }

    /// How long to wait before the next try; `None`: it may be at once.
    pub(crate) const fn due(&self) -> Option<Duration> {
        self.due
    }

    /// That was waited for.
    pub(crate) const fn waited(&mut self) {
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_each_time_and_bounded() {
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
