//! Visits of many streams. Their first payloads, mostly the only ones, are written together.

use std::time::Duration;

use super::rendered::Rendered;
use super::sink::MAX_BATCH_WRITES;
use super::{BatchWriter as _, Key, Lane, Sink};

/// Maximum size of the payloads that are written together, in bytes, but for the last one.
const MAX_VISIT_BYTES: usize = 1 << 20;

/// Maximum size of the payloads of visits in one turn, in bytes, but for the last ones. If a source
/// with many symbols changes its state, each stream gets up to a thousand notices. Other work comes in
/// between.
const MAX_TURN_BYTES: usize = 4 << 20;

/// The first payloads of visits that are not written yet.
#[derive(Default)]
struct Visits {
    pending: Vec<(Key, Rendered)>,
    bytes: usize,
}

impl<S: Sink> Lane<S> {
    /// Visits streams, in order. A stream may be named more than once. If the payloads are many bytes,
    /// the remaining streams are left for the next turn.
    pub(super) fn visit_all(&mut self, keys: Vec<Key>, now: Duration) {
        let (mut visits, mut bytes) = (Visits::default(), 0);
        let mut keys = keys.into_iter();
        while bytes < MAX_TURN_BYTES
            && let Some(key) = keys.next()
        {
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
        self.visits.extend(keys);
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
