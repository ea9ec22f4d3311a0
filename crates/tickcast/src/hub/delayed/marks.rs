//! When the live market had reached which position.

use std::collections::VecDeque;
use std::time::Duration;

use tickcast_core::{Now, Seq, Time};

/// Number of marks within one delay, at most. A delayed market moves from mark to mark, so it is up
/// to this part of its delay later than it could be.
const MARKS_PER_DELAY: u32 = 8192;

/// Shortest and longest time between two marks.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

/// The positions of the live market over time. By the uptime clock, which never jumps, so that no
/// jump of the wall clock shows anything too early.
pub(super) struct Marks {
    interval: Duration,
    marks: VecDeque<Mark>,
}

/// At this moment, the live market had reached this position.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Duration,
    wall: Time,
    head: Seq,
}

impl Marks {
    pub(super) fn new(delay: Duration) -> Self {
        Self {
            interval: Self::interval(delay),
            marks: VecDeque::new(),
        }
    }

    /// Returns the time between two marks.
    pub(super) fn interval(delay: Duration) -> Duration {
        (delay / MARKS_PER_DELAY).clamp(INTERVALS.0, INTERVALS.1)
    }

    /// Records that the live market has reached `head`.
    pub(super) fn note(&mut self, head: Seq, now: Now) {
        let is_due = |last: &Mark| last.head != head && now.uptime >= last.at + self.interval;
        if self.marks.back().is_none_or(is_due) {
            self.marks.push_back(Mark {
                at: now.uptime,
                wall: now.wall,
                head,
            });
        }
    }

    /// Returns the newest position that the live market had reached at `at`, with the wall clock
    /// then. Forgets the marks before it.
    pub(super) fn reached_at(&mut self, at: Option<Duration>) -> Option<(Seq, Time)> {
        let at = at?;
        while self.marks.get(1).is_some_and(|next| next.at <= at) {
            self.marks.pop_front();
        }
        let mark = self.marks.front().filter(|mark| mark.at <= at)?;
        Some((mark.head, mark.wall))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_reached_once_its_mark_is_old_enough() {
        let mut marks = Marks::new(Duration::from_secs(1));
        let now = |millis| Now {
            uptime: Duration::from_millis(millis),
            ..Now::default()
        };
        for (head, at) in [(3, 0), (5, 10), (8, 20), (8, 500), (9, 510)] {
            marks.note(Seq::new(head), now(at));
        }
        let mut reached = |millis| {
            let reached = marks.reached_at(Some(Duration::from_millis(millis)));
            reached.map(|(head, _)| head.get())
        };
        assert_eq!([reached(0), reached(19)], [Some(3), Some(3)]);
        assert_eq!([reached(20), reached(509)], [Some(8), Some(8)]);
        assert_eq!(reached(510), Some(9));
        assert_eq!(marks.reached_at(None), None);
    }
}
