//! When the live market had reached which position.

use std::collections::VecDeque;
use std::time::Duration;

use tickcast_core::{Now, Seq, Time};

/// Number of marks within one delay, at most. A delayed market moves from mark to mark, so it is up
/// to this part of its delay later than it could be.
const MARKS_PER_DELAY: u32 = 8192;

/// Shortest time between two marks.
const MIN_INTERVAL: Duration = Duration::from_millis(20);

/// The positions of the live market over time. By a clock that never jumps, so
/// that no jump of the wall clock shows anything too early.
pub(super) struct Marks {
    interval: Duration,
    marks: VecDeque<Mark>,
}

/// At this moment, the live market had reached this position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// The time by the clock of the marks.
    pub(super) at: Duration,
    /// The wall clock then.
    pub(super) wall: Time,
    pub(super) head: Seq,
    /// The wall clock when the market was seen at this position for the last time.
    pub(super) left: Time,
}

impl Mark {
    pub(super) const fn new(head: Seq, at: Duration, wall: Time) -> Self {
        Self {
            at,
            wall,
            head,
            left: wall,
        }
    }
}

impl Marks {
    /// Creates the marks. `earlier` are those of the run before.
    pub(super) fn new(delay: Duration, earlier: impl IntoIterator<Item = Mark>) -> Self {
        Self {
            interval: Self::interval(delay),
            marks: earlier.into_iter().collect(),
        }
    }

    /// Returns the time between two marks.
    pub(super) fn interval(delay: Duration) -> Duration {
        (delay / MARKS_PER_DELAY).max(MIN_INTERVAL)
    }

    /// Records that the live market has reached `head`. The uptime is by the clock of the marks.
    pub(super) fn note(&mut self, head: Seq, now: Now) {
        match self.marks.back_mut() {
            Some(last) if last.head == head => last.left = now.wall,
            Some(last) if now.uptime < last.at + self.interval => {}
            _ => self.marks.push_back(Mark::new(head, now.uptime, now.wall)),
        }
    }

    /// Returns the newest mark at `at`, or before. Forgets the marks before it.
    pub(super) fn reached_at(&mut self, at: Option<Duration>) -> Option<Mark> {
        let at = at?;
        while self.marks.get(1).is_some_and(|next| next.at <= at) {
            self.marks.pop_front();
        }
        self.marks.front().filter(|mark| mark.at <= at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(millis: i64) -> Now {
        Now {
            uptime: Duration::from_millis(millis.unsigned_abs()),
            wall: Time::from_millis(millis).unwrap(),
        }
    }

    #[test]
    fn a_position_is_reached_once_its_mark_is_old_enough() {
        let mut marks = Marks::new(Duration::from_secs(1), []);
        for (head, at) in [(3, 0), (5, 10), (8, 20), (8, 500), (9, 510)] {
            marks.note(Seq::new(head), now(at));
        }
        let mut reached = |millis| {
            let reached = marks.reached_at(Some(Duration::from_millis(millis)));
            reached.map(|mark| (mark.head.get(), mark.left.as_millis()))
        };
        assert_eq!([reached(0), reached(19)], [Some((3, 0)), Some((3, 0))]);
        assert_eq!(
            [reached(20), reached(509)],
            [Some((8, 500)), Some((8, 500))]
        );
        assert_eq!(reached(510), Some((9, 510)));
        assert_eq!(marks.reached_at(None), None);
    }

    #[test]
    fn the_marks_of_an_earlier_run_count() {
        let early = Mark::new(Seq::new(2), Duration::ZERO, Time::default());
        let mut marks = Marks::new(Duration::from_secs(1), [early]);
        marks.note(Seq::new(7), now(100));
        let mut reached = |millis| marks.reached_at(Some(Duration::from_millis(millis)));
        assert_eq!(reached(99), Some(early));
        assert_eq!(reached(100).map(|mark| mark.head), Some(Seq::new(7)));
    }
}
