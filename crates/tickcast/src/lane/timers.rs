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

/// What is due when. Nothing is ever taken back: an alarm for a stream that has left finds nobody.
#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Duration, Key, Alarm)>>);

impl Timers {
    pub(super) fn set(&mut self, at: Duration, key: Key, alarm: Alarm) {
        self.0.push(Reverse((at, key, alarm)));
    }

    pub(super) fn next(&self) -> Option<Duration> {
        self.0.peek().map(|Reverse((at, ..))| *at)
    }

    /// The earliest alarm that is due by `now`.
    pub(super) fn pop(&mut self, now: Duration) -> Option<(Key, Alarm)> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop().map(|Reverse((_, key, alarm))| (key, alarm))
    }
}
