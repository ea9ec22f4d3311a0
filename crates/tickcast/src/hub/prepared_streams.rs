//! The prepared streams of a hub, by name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tickcast_core::Time;

use super::revocation::Revocation;
use crate::subscription::{PreparedStream, StreamId};

/// Minimum time between two removals of streams that are over.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(1);

/// All prepared streams. Those that are over are removed when another is added.
#[derive(Debug, Default)]
pub(crate) struct PreparedStreams(Mutex<Streams>);

#[derive(Debug, Default)]
struct Streams {
    by_id: HashMap<StreamId, Arc<PreparedStream>>,
    /// The time of the next removal, by the uptime clock.
    cleanup_at: Duration,
}

impl PreparedStreams {
    /// Adds a stream, unless there are already `max` streams.
    pub(crate) fn insert(
        &self,
        stream: Arc<PreparedStream>,
        max: usize,
        (now, passed): (Duration, Time),
    ) -> bool {
        let mut streams = self.lock();
        if now >= streams.cleanup_at {
            streams.cleanup_at = now + CLEANUP_INTERVAL;
            streams.by_id.retain(|_, known| !known.is_over(now, passed));
        }
        let fits = streams.by_id.len() < max;
        if fits {
            streams.by_id.insert(stream.id, stream);
        }
        fits
    }

    /// Returns the stream with this name, unless it is over.
    pub(crate) fn get(
        &self,
        id: StreamId,
        (now, passed): (Duration, Time),
    ) -> Option<Arc<PreparedStream>> {
        let mut streams = self.lock();
        let stream = streams.by_id.get(&id)?;
        if stream.is_over(now, passed) {
            streams.by_id.remove(&id);
            return None;
        }
        Some(Arc::clone(stream))
    }

    /// Removes the streams of viewers that may no longer read.
    pub(crate) fn remove_of(&self, revocation: &Revocation) {
        let is_revoked = |stream: &PreparedStream| {
            let current = stream.current();
            current.is_some_and(|(own, _)| revocation.concerns(&own.viewer))
        };
        self.lock().by_id.retain(|_, stream| !is_revoked(stream));
    }

    /// Removes a stream and returns it.
    pub(crate) fn remove(&self, id: StreamId) -> Option<Arc<PreparedStream>> {
        self.lock().by_id.remove(&id)
    }

    /// Returns the number of streams that are not over.
    pub(crate) fn count(&self, (now, passed): (Duration, Time)) -> usize {
        let mut streams = self.lock();
        streams.by_id.retain(|_, known| !known.is_over(now, passed));
        streams.by_id.len()
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tickcast_core::{Filter, Mode};

    use super::*;
    use crate::access::Viewer;
    use crate::clock::Clock;
    use crate::subscription::{Effective, LINGER};

    fn stream(id: u128, expires: Option<i64>, now: Duration) -> Arc<PreparedStream> {
        let expires = expires.map(|at| Time::from_millis(at).unwrap());
        let effective = Effective {
            filter: Filter::all(),
            mode: Mode::Latest,
            rate: None,
            viewer: expires.map_or_else(Viewer::default, |at| Viewer::default().expires(at)),
        };
        let options = (Duration::from_secs(10), true);
        let stream = PreparedStream::new(StreamId::of(id), (effective, None), options, now);
        Arc::new(stream)
    }

    fn at(seconds: u64) -> (Duration, Time) {
        let wall = i64::try_from(seconds).unwrap() * 1000;
        (
            Duration::from_secs(seconds),
            Time::from_millis(wall).unwrap(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_without_a_reader_lingers_and_then_makes_room() {
        let (streams, clock) = (PreparedStreams::default(), Clock::start());
        assert!(streams.insert(stream(1, None, Duration::ZERO), 2, at(0)));
        assert!(streams.insert(stream(2, None, Duration::ZERO), 2, at(0)));
        assert!(!streams.insert(stream(3, None, Duration::ZERO), 2, at(30)));
        let read = streams.get(StreamId::of(1), at(59)).unwrap();
        let reader = read.admit_reader(clock).unwrap();
        assert!(streams.get(StreamId::of(2), at(60)).is_none());
        assert!(streams.get(StreamId::of(1), at(1000)).is_some());
        // The time counts from the last reader on.
        tokio::time::advance(Duration::from_secs(1000)).await;
        drop(reader);
        let end = 1000 + LINGER.as_secs();
        assert!(streams.get(StreamId::of(1), at(end - 1)).is_some());
        assert!(streams.insert(stream(4, None, at(end).0), 1, at(end)));
        assert_eq!(streams.count(at(end)), 1);
    }

    #[test]
    fn a_stream_ends_with_its_permission_whoever_reads() {
        let streams = PreparedStreams::default();
        assert!(streams.insert(stream(1, Some(5000), Duration::ZERO), 1, at(0)));
        let read = streams.get(StreamId::of(1), at(4)).unwrap();
        let _reader = read.admit_reader(Clock::start());
        assert!(streams.get(StreamId::of(1), at(5)).is_none());
        assert_eq!(streams.count(at(5)), 0);
    }
}
