//! The counters behind the statistics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tickcast_core::{Outcome, TickError, Time};

use super::delays::DelayCounters;
use super::feed::FeedCounters;
use super::{FeedEventKind, HubStats, SourceStats, SymbolStats};
use crate::source_state::SourceState;

/// How long the delay of a flush counts.
const LAG_MEMORY: Duration = Duration::from_secs(1);

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The counters of a lane. Who has the lane writes them; anybody reads them.
#[derive(Debug, Default)]
pub(crate) struct LaneStats {
    /// Number of streams that are assigned to the lane, including those that have not reached it
    /// yet.
    assigned: AtomicU64,
    /// Number of streams in the lane.
    streams: AtomicU64,
    /// Size of the data that the streams buffer for their readers, in bytes, at the last count.
    buffered_bytes: AtomicU64,
    /// Number of writes that sinks refused.
    refusals: AtomicU64,
    /// Number of stalled streams that were closed because of overload.
    shed: AtomicU64,
    /// The uptime at which the current turn began, in microseconds. 0: the lane rests.
    turn_began: AtomicU64,
    /// The longest delay of the last flush, and the uptime at its end, in microseconds.
    last_delay: AtomicU64,
    last_flush: AtomicU64,
    events: AtomicU64,
    bytes: AtomicU64,
    delays: DelayCounters,
}

impl LaneStats {
    pub(crate) fn assign(&self) {
        self.assigned.fetch_add(1, Relaxed);
    }

    /// Counts down an assigned stream that has ended, or that never reached the lane.
    pub(crate) fn release(&self) {
        self.assigned.fetch_sub(1, Relaxed);
    }

    pub(crate) fn assigned(&self) -> u64 {
        self.assigned.load(Relaxed)
    }

    /// Resets the numbers of streams and buffered bytes to zero, because the lane and all its
    /// streams have ended.
    pub(crate) fn reset_gauges(&self) {
        self.assigned.store(0, Relaxed);
        self.buffered_bytes.store(0, Relaxed);
        self.rest();
        self.streams.store(0, Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refusals.fetch_add(1, Relaxed);
    }

    pub(crate) fn refusals(&self) -> u64 {
        self.refusals.load(Relaxed)
    }

    pub(crate) fn buffered_bytes(&self) -> u64 {
        self.buffered_bytes.load(Relaxed)
    }

    pub(crate) fn set_buffered_bytes(&self, bytes: usize) {
        self.buffered_bytes.store(bytes as u64, Relaxed);
    }

    pub(crate) fn opened(&self) {
        self.streams.fetch_add(1, Relaxed);
    }

    pub(crate) fn closed(&self) {
        self.streams.fetch_sub(1, Relaxed);
    }

    pub(crate) fn sent(&self, ticks: usize, bytes: usize) {
        self.events.fetch_add(ticks as u64, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn delayed(&self, delay: Duration) {
        self.delays.count(delay);
    }

    pub(crate) fn shed(&self, streams: usize) {
        self.shed.fetch_add(streams as u64, Relaxed);
    }

    /// Records that a turn of the lane begins at this uptime.
    pub(crate) fn begin_turn(&self, now: Duration) {
        self.turn_began.store(micros(now).max(1), Relaxed);
    }

    /// Records that the lane rests.
    pub(crate) fn rest(&self) {
        self.turn_began.store(0, Relaxed);
    }

    /// Records how late the ticks of a flush are that ends now.
    pub(crate) fn flushed(&self, delay: Duration, now: Duration) {
        self.last_delay.store(micros(delay), Relaxed);
        self.last_flush.store(micros(now), Relaxed);
    }

    /// Returns how late the lane is: the time of its current turn, or how late its last flush was, if
    /// that was a moment ago.
    pub(crate) fn lag(&self, now: Duration) -> Duration {
        let now = micros(now);
        let turn = match self.turn_began.load(Relaxed) {
            0 => 0,
            began => now.saturating_sub(began),
        };
        let is_recent = now.saturating_sub(self.last_flush.load(Relaxed)) < micros(LAG_MEMORY);
        let delay = if is_recent {
            self.last_delay.load(Relaxed)
        } else {
            0
        };
        Duration::from_micros(turn.max(delay))
    }

    pub(crate) fn streams(&self) -> u64 {
        self.streams.load(Relaxed)
    }

    /// Adds the counters of the lane to `total`.
    pub(crate) fn add_to(&self, total: &mut HubStats) {
        total.streams += self.streams();
        total.streams_shed += self.shed.load(Relaxed);
        total.buffered_bytes += self.buffered_bytes.load(Relaxed);
        total.ticks_delivered += self.events.load(Relaxed);
        total.bytes_sent += self.bytes.load(Relaxed);
        self.delays.add_to(&mut total.delays);
    }
}

/// The counters of a source.
#[derive(Debug, Default)]
pub(crate) struct SourceCounters {
    accepted: AtomicU64,
    late: AtomicU64,
    unchanged: AtomicU64,
    rejected: AtomicU64,
    feed: FeedCounters,
}

impl SourceCounters {
    /// Adds the outcomes of a batch.
    pub(crate) fn add(&self, counts: &OutcomeCounts) {
        let OutcomeCounts {
            accepted,
            late,
            unchanged,
            rejected,
        } = *counts;
        let counters = [
            (&self.accepted, accepted),
            (&self.late, late),
            (&self.unchanged, unchanged),
            (&self.rejected, rejected),
        ];
        for (counter, count) in counters.into_iter().filter(|(_, count)| *count > 0) {
            counter.fetch_add(count, Relaxed);
        }
    }

    pub(crate) fn accept(&self, ticks: u64) {
        self.accepted.fetch_add(ticks, Relaxed);
    }

    pub(crate) fn reject(&self) {
        self.rejected.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_feed_event(&self, kind: FeedEventKind, times: u64) {
        self.feed.count(kind, times);
    }

    pub(crate) fn stats(
        &self,
        name: &str,
        state: SourceState,
        since: Time,
        symbols: Vec<SymbolStats>,
        simulated: bool,
    ) -> SourceStats {
        SourceStats {
            name: name.to_owned(),
            state,
            since,
            symbols,
            simulated,
            feed: self.feed.stats(),
            accepted: self.accepted.load(Relaxed),
            late: self.late.load(Relaxed),
            unchanged: self.unchanged.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
        }
    }
}

/// The outcomes of a batch of ticks.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct OutcomeCounts {
    accepted: u64,
    late: u64,
    unchanged: u64,
    rejected: u64,
}

impl OutcomeCounts {
    pub(crate) fn count(&mut self, outcome: &Result<Outcome, TickError>) {
        let counter = match outcome {
            Ok(Outcome::Accepted(_)) => &mut self.accepted,
            Ok(Outcome::Late) => &mut self.late,
            Ok(Outcome::Unchanged) => &mut self.unchanged,
            Err(_) => &mut self.rejected,
        };
        *counter += 1;
    }

    /// Checks whether any tick was valid.
    pub(crate) const fn any_valid(&self) -> bool {
        self.accepted + self.late + self.unchanged > 0
    }

    /// Returns the counts if all ticks were rejected after all.
    pub(crate) fn all_rejected(self) -> Self {
        Self {
            rejected: self.accepted + self.late + self.unchanged + self.rejected,
            ..Self::default()
        }
    }
}
