//! The pending writes of a flush, in batches of limited size.

use std::time::Duration;

use slotmap::SlotMap;
use tickcast_core::Seq;

use super::sink::MAX_BATCH_WRITES;
use super::{BatchWriter as _, Key, Payload, Sink, Stream, WriteAttempt, WriteOutcome};
use crate::stats::LaneStats;

/// A pending write of a stream.
struct PendingWrite {
    key: Key,
    batch: Payload,
    ticks: usize,
    /// The position before the batch.
    from: Seq,
}

/// The pending writes of streams at the head.
pub(super) struct WriteBatch<S: Sink> {
    pending: Vec<PendingWrite>,
    outcomes: Vec<WriteAttempt>,
    batch_writer: S::BatchWriter,
}

impl<S: Sink> WriteBatch<S> {
    pub(super) const fn new(batch_writer: S::BatchWriter) -> Self {
        Self {
            pending: Vec::new(),
            outcomes: Vec::new(),
            batch_writer,
        }
    }

    pub(super) const fn batch_writer(&mut self) -> &mut S::BatchWriter {
        &mut self.batch_writer
    }

    /// Adds a pending write. Returns whether the batch is full.
    pub(super) fn add(&mut self, key: Key, (batch, ticks): (&Payload, usize), from: Seq) -> bool {
        self.pending.push(PendingWrite {
            key,
            batch: batch.clone(),
            ticks,
            from,
        });
        self.pending.len() == MAX_BATCH_WRITES
    }

    /// Sends all pending writes. Streams whose sinks refuse stay before their batch. Adds streams whose
    /// readers have left to `closed`.
    pub(super) fn send(
        &mut self,
        streams: &mut SlotMap<Key, Stream<S>>,
        now: Duration,
        stats: &LaneStats,
        closed: &mut Vec<Key>,
    ) {
        let writes: Vec<_> = self
            .pending
            .iter()
            .map(|pending| (&streams[pending.key].sink, &pending.batch))
            .collect();
        self.outcomes.clear();
        self.batch_writer.write_batch(&writes, &mut self.outcomes);
        let (mut ticks, mut bytes) = (0, 0);
        for (pending, outcome) in self.pending.drain(..).zip(&self.outcomes) {
            let stream = &mut streams[pending.key];
            match stream.sink.complete_write(&pending.batch, *outcome) {
                WriteOutcome::Taken => {
                    stream.last_write = now;
                    ticks += pending.ticks;
                    bytes += pending.batch.len();
                }
                WriteOutcome::Refused => {
                    stream.write_refused(pending.from);
                    stats.refused();
                }
                WriteOutcome::Gone => {
                    stream.blocked = true;
                    closed.push(pending.key);
                }
            }
        }
        stats.sent(ticks, bytes);
    }
}
