//! Limits the bytes that all streams of a lane buffer for slow consumers.

use std::collections::HashMap;
use std::time::Duration;

use super::{Buffered, Key, Lane, Sink};

/// Time between two counts of buffered bytes.
const RECOUNT_INTERVAL: Duration = Duration::from_millis(250);

impl<S: Sink> Lane<S> {
    /// Cuts the streams that have accepted nothing for the longest time, if all streams together
    /// buffer too much.
    pub(super) fn enforce_buffer_limit(&mut self, now: Duration) {
        if now < self.count_at {
            return;
        }
        self.count_at = now + RECOUNT_INTERVAL;
        // If no write was refused since the last count, readers buffer almost nothing.
        let refusals = self.stats.refusals();
        if std::mem::replace(&mut self.refusals, refusals) == refusals
            && self.stats.buffered_bytes() == 0
        {
            return;
        }
        let mut shared: HashMap<usize, usize> = HashMap::new();
        let mut holders: Vec<(Duration, Key, usize)> = Vec::new();
        for (key, stream) in &self.streams {
            if let Some(Buffered { end, bytes }) = stream.sink.buffered() {
                let longest = shared.entry(end).or_default();
                *longest = bytes.max(*longest);
                holders.push((stream.last_write, key, bytes));
            }
        }
        let buffered: usize = shared.values().sum();
        let limit = self.limits.buffered_bytes;
        self.stats.set_buffered_bytes(buffered);
        if buffered <= limit {
            return;
        }
        // The target is below the limit, so that the next cut does not follow at once.
        let mut excess = buffered - limit / 4 * 3;
        holders.sort_unstable();
        let mut cut = 0;
        for (_, key, bytes) in holders {
            if excess == 0 {
                break;
            }
            excess = excess.saturating_sub(bytes);
            self.streams[key].sink.cut();
            self.mark_closed(key);
            cut += 1;
        }
        tracing::warn!(
            buffered_bytes = buffered,
            limit,
            cut,
            "slow consumers hold too much unsent data; the streams that are stuck the longest are closed"
        );
        self.remove_closed();
    }
}
