//! Fan-out of new ticks: follows the log and sends each batch to its group.

use std::time::Duration;

use tickcast_core::{Position, Run, Seq};

use super::groups::{Batch, GroupId, TakenBatch};
use super::rendered::StreamPosition;
use super::{Lane, Sink};
use crate::interest::WAKE_EVERY;
use crate::log::Log;

/// Maximum number of ticks by which a lane follows the log in one step, unless it cannot keep up.
pub(super) const BATCH_TICKS: u64 = 4096;

/// Time between two comparisons of deferred symbols. Meanwhile the lane does other work.
const DEFERRED_MATCH_INTERVAL: Duration = Duration::from_millis(5);

impl<S: Sink> Lane<S> {
    /// Follows the log, by at most `max` ticks if the lane keeps up, and adds the new ticks to the
    /// batches of the groups that want them. The lane was not to do this before `due`. Returns the
    /// number of new ticks.
    pub(crate) fn follow_log(&mut self, log: &Log, max: u64, due: Duration, now: Duration) -> u64 {
        let from = self.head();
        let waiting = log.head().get().saturating_sub(from.get());
        if waiting == 0 {
            return 0;
        }
        // A lane that cannot keep up goes on with the newest ticks, like a slow consumer.
        let max = match waiting > max && self.is_late(log, now) {
            true => u64::MAX,
            false => max,
        };
        log.advance(&mut self.replica, max);
        let ticks = self.head().get() - from.get();
        self.groups.match_new_symbols(self.replica.market());
        let caught_up = self.groups.match_deferred(self.replica.market());
        for group in caught_up {
            self.queue_visits(group);
        }
        // What no stream wants makes none of them late.
        let wanted_from = from.max(self.unwanted_until);
        self.hold_back(wanted_from);
        let changes = self.restored.changes();
        let few = ticks <= BATCH_TICKS;
        if let Some(runs) = few.then(|| self.replica.tape().runs(from)).flatten() {
            for (seq, entry) in runs.iter().flat_map(Run::entries) {
                self.restored.observe(entry.symbol, entry.source, seq);
                let at = Position::new(seq, entry.digest.check());
                let (market, batches) = (self.replica.market(), self.with_batch.len());
                if self.groups.add((at, entry), market, &mut self.with_batch) {
                    let new = self.with_batch.len() - batches;
                    self.arrivals.add(entry.arrived(), due, new);
                }
            }
        } else {
            self.restored.rescan(self.replica.market());
            self.leave_behind(wanted_from, now);
        }
        if self.restored.changes() > changes {
            self.visits.extend(self.names.keys());
        }
        self.remove_closed();
        ticks
    }

    /// Sends groups their batches, oldest first, until there were at least `max_writes`. Returns
    /// whether more groups have a batch. When there are none, or time is up, call
    /// [`visit_flushed`](Self::visit_flushed).
    pub(crate) fn deliver_batches(&mut self, max_writes: usize, now: Duration) -> bool {
        let mut writes = 0;
        while writes < max_writes
            && let Some(id) = self.with_batch.pop_front()
        {
            self.arrivals.count_delivered();
            writes += self.deliver_batch(id, now);
        }
        self.send_batch(now);
        self.remove_closed();
        self.has_batches()
    }

    /// Checks whether something is left of a flush: batches, visits, or requests for history.
    pub(crate) fn has_work(&self) -> bool {
        self.has_batches()
            || !self.visits.is_empty()
            || !self.history_requests.is_empty()
            || self.has_status_visits()
    }

    /// Checks whether groups have a batch that is not delivered.
    pub(crate) fn has_batches(&self) -> bool {
        !self.with_batch.is_empty()
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

    /// Checks whether there are at most so many streams and new entries, and nothing else takes long:
    /// new symbols, for example, are compared with patterns.
    pub(super) fn is_quick_to_flush(
        &self,
        log: &Log,
        (max_streams, max_entries): (usize, u64),
    ) -> bool {
        let waiting = log.head().get().saturating_sub(self.head().get());
        waiting <= max_entries
            && log.start() <= self.head()
            && self.streams.len() <= max_streams
            && !self.has_work()
            && !self.finishing
            && !self.groups.are_behind()
            && log.names().len() <= self.replica.market().len()
    }

    /// Checks whether each new entry wakes the lane.
    pub(crate) const fn wants_everything(&self) -> bool {
        self.groups.want_everything()
    }

    /// Visits the streams with a rate, and others that could not be sent a batch, as of the end of
    /// the flush.
    pub(crate) fn visit_flushed(&mut self, now: Duration) {
        let visits = std::mem::take(&mut self.visits);
        for key in &visits {
            let rate = self.streams.get_mut(*key).map(|stream| &mut stream.rate);
            if let Some(Some(rate)) = rate {
                rate.queued = false;
            }
        }
        self.visit_all(visits, now);
        self.remove_closed();
    }

    /// Checks whether the next tick is older than `max_lag`, or no longer in memory.
    fn is_late(&self, log: &Log, now: Duration) -> bool {
        let run = log.run(self.head().max(self.unwanted_until));
        let next = run.as_ref().and_then(|run| run.entries().next());
        next.is_none_or(|(_, entry)| entry.arrived() + self.limits.max_lag < now)
    }

    /// Records the delay of each tick that has been passed on since the last call.
    pub(crate) fn note_delays(&mut self, now: Duration) {
        self.arrivals.record(&self.stats, now);
    }

    /// Stops streams at `from` if their group has not been compared with all new symbols yet. The
    /// group may want some of those symbols.
    fn hold_back(&mut self, from: Seq) {
        for key in self.groups.held_back() {
            let stream = &mut self.streams[key];
            stream.leave_head(self.groups.position(stream.slot.group, from));
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

    /// Sends a group its batch: the same bytes for every stream at the head. Returns the number of
    /// writes.
    fn deliver_batch(&mut self, id: GroupId, now: Duration) -> usize {
        let Some(taken) = self.groups.take_batch(id) else {
            return 0;
        };
        let TakenBatch {
            mut batch,
            from,
            visits_all,
        } = taken;
        if self.groups.is_behind(id) {
            return 0;
        }
        let mut writes = 0;
        for key in self.groups.members(id).iter().copied() {
            let stream = &mut self.streams[key];
            if let Some(rate) = &mut stream.rate {
                // Until its timer fires, there is nothing to do.
                let is_armed = rate.armed.is_some_and(|armed| armed <= rate.next);
                if !is_armed && !std::mem::replace(&mut rate.queued, true) {
                    self.visits.push(key);
                }
                continue;
            }
            if visits_all {
                let version = self.statuses.version;
                let session = stream.session.as_ref();
                match session.is_none_or(|session| session.has_statuses(version)) {
                    true => self.visits.push(key),
                    false => self.status_visits.push(key),
                }
            }
            match stream.position {
                StreamPosition::Head => {}
                // It may follow the head now.
                StreamPosition::Behind(_) if !stream.blocked => {
                    self.visits.push(key);
                    continue;
                }
                _ => continue,
            }
            if matches!(batch, Batch::NotMade) {
                batch = self.groups.make_batch(id, from, &self.replica);
            }
            writes += 1;
            let Batch::Made(payload, ticks) = &batch else {
                stream.leave_head(from);
                self.visits.push(key);
                continue;
            };
            if self.write_batch.add(key, (payload, *ticks), from) {
                let closed = &mut self.closed;
                self.write_batch
                    .send(&mut self.streams, now, &self.stats, closed);
            }
        }
        self.groups.note_batch_used(id, writes > 0);
        writes
    }

    fn send_batch(&mut self, now: Duration) {
        let closed = &mut self.closed;
        self.write_batch
            .send(&mut self.streams, now, &self.stats, closed);
    }

    /// Visits all streams one by one, because the lane could not keep up. Streams at the head start
    /// from `from`, or from before their batch, and are sent payload after payload.
    fn leave_behind(&mut self, from: Seq, now: Duration) {
        let keys: Vec<_> = self.streams.keys().collect();
        for key in &keys {
            let stream = &mut self.streams[*key];
            stream.leave_head(self.groups.position(stream.slot.group, from));
        }
        for id in self.with_batch.drain(..) {
            self.arrivals.count_delivered();
            self.groups.take_batch(id);
        }
        self.visit_all(keys, now);
    }
}
