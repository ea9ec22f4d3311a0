//! Limits the bytes that all streams of a lane buffer for slow consumers, and closes stalled streams
//! while the hub is overloaded.

use std::collections::HashMap;
use std::time::Duration;

use super::{Buffered, Key, Lane, Sink};

/// Time between two counts of buffered bytes.
const RECOUNT_INTERVAL: Duration = Duration::from_millis(250);

/// Minimum time without an accepted byte after which a stream counts as stalled. A reader that keeps
/// up is never blocked for so long.
const STALLED: Duration = Duration::from_secs(2);

/// The part of the stalled streams that is closed at once under overload, and the minimum number.
const STALLED_SHARE: usize = 8;
const MIN_STALLED: usize = 16;

impl<S: Sink> Lane<S> {
    /// Closes some of the streams that have accepted nothing for the longest time. The system then
    /// frees what it has kept for them.
    pub(crate) fn close_stalled(&mut self, now: Duration) {
        let streams = self.streams.iter();
        let stalled = streams.filter(|(_, stream)| {
            stream.blocked && !stream.waiting() && stream.last_write + STALLED <= now
        });
        let mut stalled: Vec<_> = stalled.map(|(key, own)| (own.last_write, key)).collect();
        stalled.sort_unstable();
        stalled.truncate(stalled.len().div_ceil(STALLED_SHARE).max(MIN_STALLED));
        if stalled.is_empty() {
            return;
        }
        tracing::warn!(
            closed = stalled.len(),
            "the server is overloaded; the streams that are stuck the longest are closed"
        );
        self.stats.shed(stalled.len());
        for (_, key) in stalled {
            self.streams[key].sink.cut();
            self.mark_closed(key);
        }
        self.remove_closed();
    }

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
