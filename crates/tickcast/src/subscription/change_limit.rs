//! Limits how often a stream is changed.

use std::time::Duration;

use crate::rate::Rate;

/// Maximum number of changes of one stream per second. A person cannot click faster than that.
pub(crate) const CHANGES_PER_SECOND: u32 = 10;

/// The error for a change that comes too soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChangeTooSoon {
    /// All changes of this second are used up.
    #[error("a stream can be changed at most {CHANGES_PER_SECOND} times per second")]
    Second,
    /// The viewer has a maximum rate. Contains the time between two changes, and the time until
    /// the next one.
    #[error("with your maximum rate, a stream can be changed once per {interval:?}")]
    Rate { interval: Duration, left: Duration },
}

impl ChangeTooSoon {
    /// Returns the time before the next attempt.
    pub(crate) const fn retry_after(self) -> Duration {
        match self {
            Self::Second => Duration::from_secs(1),
            Self::Rate { left, .. } => left,
        }
    }
}

/// The changes of a stream in the current second. Each attempt counts, even without a result,
/// because computing a change costs more than applying it.
#[derive(Debug, Default)]
pub(crate) struct ChangeLimit {
    /// The second of the last attempts, and their number.
    second: u64,
    changes: u32,
    /// The earliest time of the next change, if the viewer has a maximum rate.
    next: Duration,
}

impl ChangeLimit {
    /// Counts an attempt at `now`. A change sends the newest ticks of its symbols, so the maximum
    /// rate of a viewer limits changes, too.
    ///
    /// # Errors
    /// If there are too many attempts. This one then does not count.
    pub(crate) fn admit(
        &mut self,
        max_rate: Option<Rate>,
        now: Duration,
    ) -> Result<(), ChangeTooSoon> {
        if let Some(max) = max_rate {
            let left = self.next.saturating_sub(now);
            if !left.is_zero() {
                let interval = max.interval();
                return Err(ChangeTooSoon::Rate { interval, left });
            }
            self.next = now + max.interval();
            return Ok(());
        }
        if self.second != now.as_secs() {
            (self.second, self.changes) = (now.as_secs(), 0);
        }
        if self.changes == CHANGES_PER_SECOND {
            return Err(ChangeTooSoon::Second);
        }
        self.changes += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_of_a_viewer_limits_changes_and_the_error_says_so() {
        let mut limit = ChangeLimit::default();
        let slow = Rate::per_second(0.1).unwrap();
        let mut admit = |millis| limit.admit(Some(slow), Duration::from_millis(millis));
        assert_eq!(admit(500), Ok(()));
        let refused = admit(1_500).unwrap_err();
        assert_eq!(refused.retry_after(), Duration::from_secs(9));
        let text = "with your maximum rate, a stream can be changed once per 10s";
        assert_eq!(refused.to_string(), text);
        assert_eq!(admit(10_500), Ok(()));
        let mut limit = ChangeLimit::default();
        for _ in 0..CHANGES_PER_SECOND {
            assert_eq!(limit.admit(None, Duration::ZERO), Ok(()));
        }
        assert_eq!(
            limit.admit(None, Duration::ZERO),
            Err(ChangeTooSoon::Second)
        );
        assert_eq!(limit.admit(None, Duration::from_secs(1)), Ok(()));
    }
}
