//! All of a lane's timers in one heap: a stream needs none of its own.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::Key;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A paced stream may be sent what has moved.
    Visit,
    /// A visit goes on that had to stop so that others have their turn.
    Continue,
    /// A stream may have been quiet, or stuck, for long.
    IdleCheck,
}

/// How many alarms are not worth looking through.
const MIN_COMPACTION: usize = 1024;

/// The shortest time from one round of alarms to the next: an alarm that is set again at once cannot keep a lane busy.
const RESOLUTION: Duration = Duration::from_millis(1);

/// What is due when. An alarm for a stream that has left finds nobody, and goes with the others of its kind once they are
/// the most.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Duration, Key, Timer)>>,
    /// No alarm is due before this: the round of alarms before it is over, or under way.
    next_round: Duration,
}

impl Timers {
    /// Room for so many alarms before more is made.
    pub(super) fn with_capacity(alarms: usize) -> Self {
        Self { heap: BinaryHeap::with_capacity(alarms), next_round: Duration::ZERO }
    }

    /// Sets an alarm. Whatever time is asked for, it is never part of the round of alarms that is under way.
    pub(super) fn set(&mut self, at: Duration, key: Key, alarm: Timer) {
        self.heap.push(Reverse((at.max(self.next_round), key, alarm)));
    }

    pub(super) fn next(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    /// Forgets the alarms of streams that are no more, where there must be many of them: each of `streams` has three at most,
    /// one of each kind.
    pub(super) fn compact(&mut self, streams: usize, is_there: impl Fn(Key) -> bool) {
        if self.heap.len() > MIN_COMPACTION + 4 * streams {
            self.heap.retain(|Reverse((_, key, _))| is_there(*key));
            self.heap.shrink_to(2 * self.heap.len());
        }
    }

    /// Begins a round: moves every alarm that is due by `now` to `due`, the earliest first. What is set from now on belongs to a
    /// later round.
    pub(super) fn take_due(&mut self, now: Duration, due: &mut Vec<(Key, Timer)>) {
        while self.next().is_some_and(|at| at <= now) {
            due.extend(self.heap.pop().map(|Reverse((_, key, alarm))| (key, alarm)));
        }
        self.next_round = now + RESOLUTION;
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
        timers.set(Duration::from_secs(20), stays, Timer::Visit);
        for second in 0..100_000 {
            let key = streams.insert(());
            timers.set(Duration::from_secs(second), key, Timer::IdleCheck);
            streams.remove(key);
            timers.compact(streams.len(), |key| streams.contains_key(key));
            assert!(timers.heap.len() <= MIN_COMPACTION + 4);
        }
        let mut due = Vec::new();
        timers.take_due(Duration::from_secs(1 << 30), &mut due);
        let mut left = due.into_iter().filter(|(key, _)| *key == stays);
        assert_eq!(left.next(), Some((stays, Timer::Visit)));
    }

    #[test]
    fn an_alarm_set_for_the_past_belongs_to_a_later_round() {
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
