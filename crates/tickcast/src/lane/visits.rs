//! Visits of many streams. Their first payloads, mostly the only ones, are written together.

use std::time::Duration;

use super::rendered::Rendered;
use super::sink::MAX_BATCH_WRITES;
use super::{BatchWriter as _, GroupId, Key, Lane, Sink};

/// Maximum size of the payloads that are written together, in bytes, but for the last one.
const MAX_VISIT_BYTES: usize = 1 << 20;

/// Maximum size of the payloads with statuses in one turn, in bytes, but for the last ones. If a source
/// with many symbols changes its state, each stream is sent a thousand notices. If many symbols change
/// their own states, it is sent one payload after the other, each when it is its turn. Other work
/// comes in between, so a stream may be sent later ticks first.
const MAX_STATUS_BYTES: usize = 4 << 20;

/// Number of streams that are visited for their statuses before the bytes are counted.
const STATUS_VISITS: usize = 32;

/// The first payloads of visits that are not written yet.
#[derive(Default)]
struct Visits {
    pending: Vec<(Key, Rendered)>,
    bytes: usize,
}

impl<S: Sink> Lane<S> {
    /// Visits streams, in order. A stream may be named more than once. Returns the size of
    /// their first payloads, in bytes.
    pub(super) fn visit_all(&mut self, keys: Vec<Key>, now: Duration) -> usize {
        let (mut visits, mut bytes) = (Visits::default(), 0);
        for key in keys {
            if !self.begin_visit(key, now) {
                continue;
            }
            let Some(step) = self.step(key, now) else {
                self.arm_timer(key);
                continue;
            };
            if step.payload.is_empty() {
                if self.send(key, &step, now) {
                    self.catch_up(key, now);
                }
                self.arm_timer(key);
                continue;
            }
            // Until the payload is written, nothing else is sent to the stream.
            self.streams[key].continues = true;
            visits.bytes += step.payload.len();
            bytes += step.payload.len();
            visits.pending.push((key, step));
            if visits.pending.len() == MAX_BATCH_WRITES || visits.bytes >= MAX_VISIT_BYTES {
                self.send_visits(std::mem::take(&mut visits), now);
            }
        }
        self.send_visits(visits, now);
        bytes
    }

    /// Visits the streams that were not sent the newest states of sources, until the payloads are many
    /// bytes.
    pub(crate) fn visit_for_statuses(&mut self, now: Duration) {
        let mut bytes = 0;
        while bytes < MAX_STATUS_BYTES && !self.status_visits.is_empty() {
            let count = self.status_visits.len().min(STATUS_VISITS);
            let keys = self.status_visits.drain(..count).collect();
            bytes += self.visit_all(keys, now);
        }
        self.remove_closed();
    }

    /// Checks whether streams were not sent the newest states of sources.
    pub(crate) fn has_status_visits(&self) -> bool {
        !self.status_visits.is_empty()
    }

    /// Notes the members of a group, to visit them at the end of the flush. Until then, they may have
    /// been sent less than what was before the head.
    pub(super) fn queue_visits(&mut self, group: GroupId) {
        for key in self.groups.members(group).iter().copied() {
            if let Some(rate) = &mut self.streams[key].rate {
                rate.queued = true;
            }
            self.visits.push(key);
        }
    }

    /// Writes the pending payloads, and goes on with each stream that has accepted its payload.
    fn send_visits(&mut self, Visits { pending, .. }: Visits, now: Duration) {
        let writes = pending.iter();
        let writes: Vec<_> = writes
            .map(|(key, step)| (&self.streams[*key].sink, &step.payload))
            .collect();
        let mut attempts = Vec::with_capacity(writes.len());
        let writer = self.write_batch.batch_writer();
        writer.write_batch(&writes, &mut attempts);
        for ((key, step), attempt) in pending.into_iter().zip(attempts) {
            let stream = &mut self.streams[key];
            stream.continues = false;
            let outcome = stream.sink.complete_write(&step.payload, attempt);
            if self.complete_send(key, &step, outcome, now) {
                self.catch_up_after(1, key, now);
            }
            self.arm_timer(key);
        }
    }
}
