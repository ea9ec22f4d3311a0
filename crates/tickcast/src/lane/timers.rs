//! All of a lane's timers in one heap: a stream needs none of its own.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::Key;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// A paced stream may be sent what has moved.
    Visit,
    /// A stream may have been quiet, or stuck, for long.
    Look,
}

/// How many alarms are not worth looking through.
const FEW: usize = 1024;

/// What is due when. An alarm for a stream that has left finds nobody, and goes with the others of its kind once they are
/// the most.
#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Duration, Key, Alarm)>>);

impl Timers {
    pub(super) fn set(&mut self, at: Duration, key: Key, alarm: Alarm) {
        self.0.push(Reverse((at, key, alarm)));
    }

    pub(super) fn next(&self) -> Option<Duration> {
        self.0.peek().map(|Reverse((at, ..))| *at)
    }

    /// Forgets the alarms of streams that are no more, where there must be many of them: each of `streams` has two at most, one
    /// of each kind.
    pub(super) fn tidy(&mut self, streams: usize, is_there: impl Fn(Key) -> bool) {
        if self.0.len() > FEW + 4 * streams {
            self.0.retain(|Reverse((_, key, _))| is_there(*key));
            self.0.shrink_to(2 * self.0.len());
        }
    }

    /// The earliest alarm that is due by `now`.
    pub(super) fn pop(&mut self, now: Duration) -> Option<(Key, Alarm)> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop().map(|Reverse((_, key, alarm))| (key, alarm))
    }
}

#[cfg(test)]
mod tests {
    use slotmap::SlotMap;

    use super::*;

    #[test]
    fn alarms_of_streams_that_left_do_not_pile_up() {
        let (mut streams, mut timers) = (SlotMap::<Key, ()>::with_key(), Timers::default());
        let stays = streams.insert(());
        timers.set(Duration::from_secs(20), stays, Alarm::Visit);
        for second in 0..100_000 {
            let key = streams.insert(());
            timers.set(Duration::from_secs(second), key, Alarm::Look);
            streams.remove(key);
            timers.tidy(streams.len(), |key| streams.contains_key(key));
            assert!(timers.0.len() <= FEW + 4);
        }
        let mut left = std::iter::from_fn(|| timers.pop(Duration::MAX)).filter(|(key, _)| *key == stays);
        assert_eq!(left.next(), Some((stays, Alarm::Visit)));
    }
}
