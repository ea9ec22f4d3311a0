//! Fan-out of new ticks: follows the log and sends each batch to its group.

use std::time::Duration;

use tickcast_core::{Position, Run, Seq};

use super::delivery::{MAX_ENTRIES, MAX_STREAMS};
use super::groups::Batch;
use super::rendered::StreamPosition;
use super::{Lane, Sink};
use crate::interest::WAKE_EVERY;
use crate::log::Log;

/// Maximum number of ticks in one batch.
pub(super) const BATCH_TICKS: u64 = 4096;

/// Time between two comparisons of deferred symbols. Meanwhile the lane does other work.
const DEFERRED_MATCH_INTERVAL: Duration = Duration::from_millis(5);

impl<S: Sink> Lane<S> {
    /// Follows the log and sends the new ticks, one batch at most. Returns the number of new ticks.
    /// When the flush is over, call [`visit_flushed`](Self::visit_flushed).
    pub(crate) fn flush(&mut self, log: &Log, now: Duration) -> u64 {
        let from = self.head();
        let waiting = log.head().get().saturating_sub(from.get());
        if waiting == 0 {
            return 0;
        }
        // A lane that cannot keep up goes on with the newest ticks, like a slow consumer.
        let max = match waiting > BATCH_TICKS && self.is_late(log, now) {
            true => u64::MAX,
            false => BATCH_TICKS,
        };
        log.advance(&mut self.replica, max);
        let ticks = self.head().get() - from.get();
        self.groups.match_new_symbols(self.replica.market());
        let caught_up = self.groups.match_deferred(self.replica.market());
        self.visits.extend(
            caught_up
                .iter()
                .flat_map(|group| self.groups.members(*group)),
        );
        // What no stream wants makes none of them late.
        let wanted_from = from.max(self.unwanted_until);
        self.hold_back(wanted_from);
        let revived = self.restored.revived_count();
        let few = ticks <= BATCH_TICKS;
        if let Some(runs) = few.then(|| self.replica.tape().runs(from)).flatten() {
            for (seq, entry) in runs.iter().flat_map(Run::entries) {
                self.restored.observe(entry.symbol, entry.source);
                let at = Position::new(seq, entry.digest.check());
                let market = self.replica.market();
                if self.groups.add((at, entry), market, &mut self.touched) {
                    self.arrivals.push(entry.arrived());
                }
            }
            self.deliver_batches(wanted_from, now);
        } else {
            self.restored.rescan(self.replica.market());
            self.leave_behind(wanted_from, now);
        }
        if self.restored.revived_count() > revived {
            self.visits.extend(self.names.keys());
        }
        self.remove_closed();
        ticks
    }

    /// Checks whether the log has new entries that some stream may want, or very many others.
    pub(crate) fn has_pending(&mut self, log: &Log) -> bool {
        let (mut at, head) = (self.head(), log.head());
        let waiting = head.get().saturating_sub(at.get());
        if waiting >= WAKE_EVERY || (waiting > 0 && self.groups.want_everything()) {
            return true;
        }
        while at < head {
            let Some(run) = log.run(at) else { return true };
            let mut symbols = run.entries().map(|(_, entry)| entry.symbol);
            if symbols.any(|id| self.groups.are_interested_in(id)) {
                return true;
            }
            at = run.end();
        }
        self.unwanted_until = at;
        false
    }

    /// Checks whether the new entries are so few, and the streams, too, that a publisher can send
    /// them. New symbols are compared with patterns, which may take long.
    pub(super) fn is_quick_to_flush(&self, log: &Log) -> bool {
        let waiting = log.head().get().saturating_sub(self.head().get());
        waiting <= MAX_ENTRIES
            && self.streams.len() <= MAX_STREAMS
            && !self.finishing
            && !self.groups.are_behind()
            && log.names().len() <= self.replica.market().len()
    }

    /// Checks whether a flush has left streams to [visit](Self::visit_flushed).
    pub(super) const fn has_visits(&self) -> bool {
        !self.visits.is_empty()
    }

    /// Checks whether each new entry wakes the lane.
    pub(crate) const fn wants_everything(&self) -> bool {
        self.groups.want_everything()
    }

    /// Visits the streams with a rate, and others that could not be sent a batch, as of the end of
    /// the flush.
    pub(crate) fn visit_flushed(&mut self, now: Duration) {
        for key in std::mem::take(&mut self.visits) {
            let rate = self.streams.get_mut(key).map(|stream| &mut stream.rate);
            if let Some(Some(rate)) = rate {
                rate.queued = false;
            }
            self.visit(key, now);
        }
        self.remove_closed();
    }

    /// Checks whether the next tick is older than `max_lag`, or no longer in memory.
    fn is_late(&self, log: &Log, now: Duration) -> bool {
        let run = log.run(self.head().max(self.unwanted_until));
        let next = run.as_ref().and_then(|run| run.entries().next());
        next.is_none_or(|(_, entry)| entry.arrived() + self.limits.max_lag < now)
    }

    /// Records the delay of each tick of the last flush, after the ticks have been passed on. The
    /// flush was not to begin before `due`, so the wait until then does not make the lane late.
    pub(crate) fn note_delays(&mut self, due: Duration, now: Duration) {
        // The oldest tick comes first.
        if let Some(first) = self.arrivals.first() {
            self.stats
                .flushed(now.saturating_sub(*first.max(&due)), now);
        }
        for arrived in self.arrivals.drain(..) {
            self.stats.delayed(now.saturating_sub(arrived));
        }
    }

    /// Stops streams at `from` if their group has not been compared with all new symbols yet. The
    /// group may want some of those symbols.
    fn hold_back(&mut self, from: Seq) {
        for key in self.groups.held_back() {
            self.streams[key].leave_head(from);
        }
    }

    /// Continues to compare new symbols with patterns, and visits the streams that waited for this.
    pub(super) fn match_deferred_symbols(&mut self, now: Duration) {
        if !self.groups.are_behind() || now < self.match_deferred_at {
            return;
        }
        self.match_deferred_at = now + DEFERRED_MATCH_INTERVAL;
        for group in self.groups.match_deferred(self.replica.market()) {
            for key in self.groups.members(group).to_vec() {
                self.visit(key, now);
            }
        }
    }

    /// Sends each touched group its batch: the same bytes for every stream that was at `from`.
    fn deliver_batches(&mut self, from: Seq, now: Duration) {
        let mut touched = std::mem::take(&mut self.touched);
        for id in touched.drain(..) {
            let mut batch = self.groups.take_batch(id);
            if self.groups.is_behind(id) {
                continue;
            }
            let mut used = false;
            for key in self.groups.members(id) {
                let stream = &mut self.streams[*key];
                if let Some(rate) = &mut stream.rate {
                    // Until its timer fires, there is nothing to do.
                    let is_armed = rate.armed.is_some_and(|armed| armed <= rate.next);
                    if !is_armed && !std::mem::replace(&mut rate.queued, true) {
                        self.visits.push(*key);
                    }
                    continue;
                }
                if stream.position != StreamPosition::Head {
                    continue;
                }
                used = true;
                if matches!(batch, Batch::NotMade) {
                    batch = self.groups.make_batch(id, from, &self.replica);
                }
                let Batch::Made(payload, ticks) = &batch else {
                    stream.leave_head(from);
                    self.visits.push(*key);
                    continue;
                };
                if self.write_batch.add(*key, payload, *ticks) {
                    self.write_batch.send(
                        &mut self.streams,
                        (from, now),
                        &self.stats,
                        &mut self.closed,
                    );
                }
            }
            self.groups.note_batch_used(id, used);
        }
        self.write_batch.send(
            &mut self.streams,
            (from, now),
            &self.stats,
            &mut self.closed,
        );
        self.touched = touched;
    }

    /// Visits all streams one by one, because the lane could not keep up. Streams at the head start
    /// from `from` and are sent payload after payload.
    fn leave_behind(&mut self, from: Seq, now: Duration) {
        for key in self.streams.keys().collect::<Vec<_>>() {
            self.streams[key].leave_head(from);
            self.visit(key, now);
        }
    }
}
