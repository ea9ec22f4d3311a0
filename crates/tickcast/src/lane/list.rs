//! Lists the streams of a lane for operators.

use std::cmp::Reverse;
use std::time::Duration;

use super::rendered::StreamPosition;
use super::{Key, Lane, Sink, Stream};
use crate::stats::StreamStats;

impl<S: Sink> Lane<S> {
    /// Returns at most `max` streams: first those that have accepted nothing for the longest time.
    pub(crate) fn list(&self, max: usize, now: Duration) -> Vec<StreamStats> {
        let streams = self.streams.iter();
        let mut order: Vec<_> = streams
            .map(|(key, stream)| (Reverse(stream.stalled(now)), key))
            .collect();
        order.sort_unstable();
        order.truncate(max);
        let listed = order.into_iter();
        listed.map(|(_, key)| self.stats_of(key, now)).collect()
    }

    fn stats_of(&self, key: Key, now: Duration) -> StreamStats {
        let stream = &self.streams[key];
        let session = stream.session.as_ref();
        let rate = stream.rate.as_ref().map(|rate| rate.interval);
        StreamStats {
            id: session.map(|session| session.id.to_string()),
            subject: self
                .viewers
                .get(&key)
                .map(|viewer| viewer.subject_name().to_owned())
                .filter(|subject| !subject.is_empty()),
            prepared: session.is_some_and(|session| session.prepared_stream.is_some()),
            mode: session.map(|session| session.mode),
            rate: rate.map(|interval| interval.as_secs_f64().recip()),
            behind: match stream.position {
                StreamPosition::Head | StreamPosition::Behind(_) => {
                    Some(self.head().get().saturating_sub(self.reached(key).get()))
                }
                StreamPosition::Snapshot { .. } | StreamPosition::Opening { .. } => None,
            },
            stalled: stream.stalled(now),
            delay: self.limits.delay,
        }
    }
}

impl<S> Stream<S> {
    /// Returns how long the stream has accepted nothing although there is something to send.
    fn stalled(&self, now: Duration) -> Duration {
        match self.blocked && !self.waiting() {
            true => now.saturating_sub(self.last_write),
            false => Duration::ZERO,
        }
    }
}
