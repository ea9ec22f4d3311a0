//! The streams that are sent something in a flush, so many at a time.

use std::time::Duration;

use slotmap::SlotMap;
use tickcast_core::Seq;

use super::{Carrier as _, Key, Offered, Piece, Sink, Stream, Written};
use crate::stats::LaneStats;

/// How many streams a round takes, and a carrier sends to with one system call: what a call costs is nothing by then.
pub(super) const ROUND: usize = 512;

/// What a stream is to be sent.
struct Due {
    key: Key,
    batch: Piece,
    ticks: usize,
}

/// Streams that stand at the same place and are due a batch each.
pub(super) struct Round<S: Sink> {
    due: Vec<Due>,
    outcomes: Vec<Offered>,
    carrier: S::Carrier,
}

impl<S: Sink> Round<S> {
    pub(super) const fn new(carrier: S::Carrier) -> Self {
        Self { due: Vec::new(), outcomes: Vec::new(), carrier }
    }

    pub(super) const fn carrier(&mut self) -> &mut S::Carrier {
        &mut self.carrier
    }

    /// Puts a stream on the list; says whether that was the last one it holds.
    pub(super) fn add(&mut self, key: Key, batch: &Piece, ticks: usize) -> bool {
        self.due.push(Due { key, batch: batch.clone(), ticks });
        self.due.len() == ROUND
    }

    /// Sends everyone on the list what they are due; those who will not take it stay at `from`. Adds those who have left to
    /// `gone`.
    pub(super) fn send(
        &mut self,
        streams: &mut SlotMap<Key, Stream<S>>,
        (from, now): (Seq, Duration),
        stats: &LaneStats,
        gone: &mut Vec<Key>,
    ) {
        let offers: Vec<_> = self.due.iter().map(|due| (&streams[due.key].sink, &due.batch)).collect();
        self.outcomes.clear();
        self.carrier.carry(&offers, &mut self.outcomes);
        let (mut ticks, mut bytes) = (0, 0);
        for (due, outcome) in self.due.drain(..).zip(&self.outcomes) {
            let stream = &mut streams[due.key];
            match stream.sink.settle(&due.batch, *outcome) {
                Written::Taken => {
                    stream.last_write = now;
                    ticks += due.ticks;
                    bytes += due.batch.len();
                }
                Written::Refused => {
                    stream.refused(from);
                    stats.refused();
                }
                Written::Gone => {
                    stream.blocked = true;
                    gone.push(due.key);
                }
            }
        }
        stats.sent(ticks, bytes);
    }
}
