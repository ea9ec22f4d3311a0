//! Limits how often a stream is changed.

use std::time::Duration;

use crate::rate::Rate;

/// Maximum number of changes of one stream per second. A person cannot click faster than that.
pub(crate) const CHANGES_PER_SECOND: u32 = 10;

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
    /// Counts an attempt at `now`, unless there are too many. A change sends the newest ticks of
    /// its symbols, so the maximum rate of a viewer limits changes, too.
    pub(crate) fn admit(&mut self, max_rate: Option<Rate>, now: Duration) -> bool {
        if let Some(max) = max_rate {
            let allowed = now >= self.next;
            if allowed {
                self.next = now + max.interval();
            }
            return allowed;
        }
        if self.second != now.as_secs() {
            (self.second, self.changes) = (now.as_secs(), 0);
        }
        let allowed = self.changes < CHANGES_PER_SECOND;
        self.changes += u32::from(allowed);
        allowed
    }
}
