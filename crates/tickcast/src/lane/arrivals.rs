//! The arrival times of ticks that are not delivered yet.
//!
//! A tick counts as delivered when all batches are that had begun when it was added. Its own batches
//! are among them, so a delay is at most a round of the groups too long, and never too short.

use std::collections::VecDeque;
use std::time::Duration;

use crate::stats::LaneStats;

/// The arrival times of the ticks that at least one group wants, until all groups have been sent
/// them. Batches are delivered in the order in which they began.
#[derive(Default)]
pub(super) struct Arrivals {
    waiting: VecDeque<WaitingTick>,
    /// Number of batches that began, and that were delivered.
    begun: u64,
    delivered: u64,
}

struct WaitingTick {
    at: Duration,
    /// The time from which the lane counts as late.
    due: Duration,
    /// The tick is in no later batch than this one.
    last_batch: u64,
}

impl Arrivals {
    /// Adds a tick that is in `new` batches which begin with it, and in earlier ones. The lane was
    /// not to send it before `due`.
    pub(super) fn add(&mut self, at: Duration, due: Duration, new: usize) {
        self.begun += new as u64;
        self.waiting.push_back(WaitingTick {
            at,
            due: due.max(at),
            last_batch: self.begun,
        });
    }

    /// Records that the oldest batch was delivered.
    pub(super) const fn count_delivered(&mut self) {
        self.delivered += 1;
    }

    /// Records the delays of the delivered ticks.
    pub(super) fn record(&mut self, stats: &LaneStats, now: Duration) {
        let mut is_first = true;
        while let Some(tick) = self.waiting.front()
            && tick.last_batch <= self.delivered
        {
            // The oldest tick comes first.
            if std::mem::take(&mut is_first) {
                stats.flushed(now.saturating_sub(tick.due), now);
            }
            stats.delayed(now.saturating_sub(tick.at));
            self.waiting.pop_front();
        }
        // A lane that delivers nothing is late as well.
        let oldest = self.waiting.front();
        if let Some(oldest) = oldest.filter(|oldest| is_first && oldest.due < now) {
            stats.flushed(now.saturating_sub(oldest.due), now);
        }
    }
}
