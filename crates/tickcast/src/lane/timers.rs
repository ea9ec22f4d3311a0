//! All timers of a lane in one heap, so that no stream needs its own timer.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::Key;

/// The kind of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The next visit of a stream with a rate.
    Visit,
    /// The rest of a visit that had to stop so that other streams have their turn.
    Continue,
    /// A check of a stream that may have been quiet, or blocked, for a long time.
    IdleCheck,
    /// The end of a stream whose reader may read no longer.
    Expire,
}

/// Minimum number of timers for a compaction.
const MIN_COMPACTION: usize = 1024;

/// Minimum time between two rounds of timers. A timer that is set again at once cannot keep a lane
/// busy.
const RESOLUTION: Duration = Duration::from_millis(1);

/// The timers of a lane. A timer of a closed stream does nothing. Such timers are removed once
/// there are many of them.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Duration, Key, Timer)>>,
    /// Minimum time of new timers, because the round of timers before it is over or in progress.
    next_round: Duration,
}

impl Timers {
    /// Creates a heap with room for this number of timers.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            heap: BinaryHeap::with_capacity(capacity),
            next_round: Duration::ZERO,
        }
    }

    /// Sets a timer. A timer never belongs to the current round, even if its time is in the past.
    pub(super) fn set(&mut self, at: Duration, key: Key, timer: Timer) {
        self.heap
            .push(Reverse((at.max(self.next_round), key, timer)));
    }

    pub(super) fn next(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    /// Removes the timers of closed streams, if there must be many of them. Each of `streams` has
    /// at most four timers, one of each kind.
    pub(super) fn compact(&mut self, streams: usize, exists: impl Fn(Key) -> bool) {
        if self.heap.len() > MIN_COMPACTION + 5 * streams {
            self.heap.retain(|Reverse((_, key, _))| exists(*key));
            self.heap.shrink_to(2 * self.heap.len());
        }
    }

    /// Starts a round: moves every timer that is due by `now` to `due`, the earliest first. Timers
    /// that are set later belong to a later round.
    pub(super) fn take_due(&mut self, now: Duration, due: &mut Vec<(Key, Timer)>) {
        while self.next().is_some_and(|at| at <= now) {
            due.extend(self.heap.pop().map(|Reverse((_, key, timer))| (key, timer)));
        }
        self.next_round = now + RESOLUTION;
    }
}

#[cfg(test)]
mod tests {
    use slotmap::SlotMap;

    use super::*;

    #[test]
    fn timers_of_closed_streams_do_not_accumulate() {
        let (mut streams, mut timers) = (SlotMap::<Key, ()>::with_key(), Timers::default());
        let open = streams.insert(());
        timers.set(Duration::from_secs(20), open, Timer::Visit);
        for second in 0..100_000 {
            let key = streams.insert(());
            timers.set(Duration::from_secs(second), key, Timer::IdleCheck);
            streams.remove(key);
            timers.compact(streams.len(), |key| streams.contains_key(key));
            assert!(timers.heap.len() <= MIN_COMPACTION + 5);
        }
        let mut due = Vec::new();
        timers.take_due(Duration::from_secs(1 << 30), &mut due);
        let mut remaining = due.into_iter().filter(|(key, _)| *key == open);
        assert_eq!(remaining.next(), Some((open, Timer::Visit)));
    }

    #[test]
    fn a_timer_set_in_the_past_fires_in_a_later_round() {
        let mut streams = SlotMap::<Key, ()>::with_key();
        let (key, now) = (streams.insert(()), Duration::from_secs(9));
        let (mut timers, mut due) = (Timers::default(), Vec::new());
        timers.set(Duration::ZERO, key, Timer::IdleCheck);
        timers.take_due(now, &mut due);
        assert_eq!(due, [(key, Timer::IdleCheck)]);
        timers.set(Duration::ZERO, key, Timer::IdleCheck);
        due.clear();
        timers.take_due(now, &mut due);
        assert_eq!(due, []);
        assert_eq!(timers.next(), Some(now + RESOLUTION));
    }
}
