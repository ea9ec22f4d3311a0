//! The prepared streams of a hub, by name. All its markets share them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tickcast_core::Time;

use super::not_prepared::{MAX_ENTRIES, MAX_PER_SUBJECT, NotPrepared};
use super::revocation::Revocation;
use crate::subscription::{PreparedStream, StreamId};

/// Minimum time between two removals of streams that are over.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(1);

/// All prepared streams.
#[derive(Debug, Default)]
pub(crate) struct PreparedStreams(Mutex<Streams>);

#[derive(Debug, Default)]
struct Streams {
    by_id: HashMap<StreamId, Arc<PreparedStream>>,
    /// The number of names and patterns, as of the last removal and the additions since.
    entries: usize,
    /// The number of streams of each subject, as of then.
    by_subject: HashMap<String, usize>,
    /// The time of the next removal, by the uptime clock.
    cleanup_at: Duration,
}

impl PreparedStreams {
    /// Adds a stream, unless there are already `max` streams, or too many names and patterns, or
    /// too many streams of its subject.
    pub(crate) fn insert(
        &self,
        stream: Arc<PreparedStream>,
        max: usize,
        now: (Duration, Time),
    ) -> Result<(), NotPrepared> {
        let mut streams = self.lock();
        let entries = stream.entries();
        if now.0 >= streams.cleanup_at {
            streams.cleanup(now);
        }
        if streams.by_id.len() >= max {
            return Err(NotPrepared::Streams(max));
        }
        if streams.entries + entries > MAX_ENTRIES {
            return Err(NotPrepared::Entries);
        }
        if let Some(subject) = subject_of(&stream) {
            let count = streams.by_subject.entry(subject).or_default();
            if *count >= MAX_PER_SUBJECT {
                return Err(NotPrepared::Subject);
            }
            *count += 1;
        }
        streams.entries += entries;
        streams.by_id.insert(stream.id, stream);
        Ok(())
    }

    /// Counts this many more names and patterns, because a stream is changed, unless there are too
    /// many.
    pub(crate) fn grow(&self, entries: usize) -> Result<(), NotPrepared> {
        let mut streams = self.lock();
        if entries > 0 && streams.entries + entries > MAX_ENTRIES {
            return Err(NotPrepared::Entries);
        }
        streams.entries += entries;
        Ok(())
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
        self.lock()
            .by_id
            .retain(|_, stream| !is_revoked(stream, revocation));
    }

    /// Removes a stream and returns it.
    pub(crate) fn remove(&self, id: StreamId) -> Option<Arc<PreparedStream>> {
        self.lock().by_id.remove(&id)
    }

    /// Returns the number of streams that are not over.
    pub(crate) fn count(&self, now: (Duration, Time)) -> usize {
        let mut streams = self.lock();
        streams.cleanup(now);
        streams.by_id.len()
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Streams {
    /// Removes the streams that are over, and counts the names and patterns of the others, which
    /// may have changed.
    fn cleanup(&mut self, (now, passed): (Duration, Time)) {
        self.cleanup_at = now + CLEANUP_INTERVAL;
        self.by_id.retain(|_, known| !known.is_over(now, passed));
        self.entries = self.by_id.values().map(|known| known.entries()).sum();
        self.by_subject.clear();
        for subject in self.by_id.values().filter_map(|known| subject_of(known)) {
            *self.by_subject.entry(subject).or_default() += 1;
        }
    }
}

/// Checks whether the viewer of a stream may no longer read.
pub(crate) fn is_revoked(stream: &PreparedStream, revocation: &Revocation) -> bool {
    let current = stream.current();
    current.is_some_and(|own| revocation.concerns(&own.viewer))
}

/// Returns the subject of a stream, if it has a name.
fn subject_of(stream: &PreparedStream) -> Option<String> {
    let current = stream.current()?;
    let subject = current.viewer.subject_name();
    (!subject.is_empty()).then(|| subject.to_owned())
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
        let stream = PreparedStream::new(StreamId::of(id), effective, options, now);
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
        assert_eq!(
            streams.insert(stream(1, None, Duration::ZERO), 2, at(0)),
            Ok(())
        );
        assert_eq!(
            streams.insert(stream(2, None, Duration::ZERO), 2, at(0)),
            Ok(())
        );
        assert_eq!(
            streams.insert(stream(3, None, Duration::ZERO), 2, at(30)),
            Err(NotPrepared::Streams(2))
        );
        let read = streams.get(StreamId::of(1), at(59)).unwrap();
        let reader = read.admit_reader(clock).unwrap();
        assert!(streams.get(StreamId::of(2), at(60)).is_none());
        assert!(streams.get(StreamId::of(1), at(1000)).is_some());
        // The time counts from the last reader on.
        tokio::time::advance(Duration::from_secs(1000)).await;
        drop(reader);
        let end = 1000 + LINGER.as_secs();
        assert!(streams.get(StreamId::of(1), at(end - 1)).is_some());
        assert_eq!(
            streams.insert(stream(4, None, at(end).0), 1, at(end)),
            Ok(())
        );
        assert_eq!(streams.count(at(end)), 1);
    }

    #[test]
    fn one_subject_cannot_take_all_places() {
        let streams = PreparedStreams::default();
        let of = |id: usize, subject: &str| {
            let effective = Effective {
                filter: Filter::all(),
                mode: Mode::Latest,
                rate: None,
                viewer: Viewer::default().subject(subject),
            };
            let options = (Duration::from_secs(10), true);
            let id = StreamId::of(u128::try_from(id).unwrap());
            Arc::new(PreparedStream::new(id, effective, options, Duration::ZERO))
        };
        for id in 0..MAX_PER_SUBJECT {
            assert_eq!(streams.insert(of(id, "ada"), 1000, at(0)), Ok(()));
        }
        let one_more = || streams.insert(of(500, "ada"), 1000, at(30));
        assert_eq!(one_more(), Err(NotPrepared::Subject));
        assert_eq!(streams.insert(of(501, "bob"), 1000, at(30)), Ok(()));
        streams.remove(StreamId::of(0));
        assert_eq!(streams.insert(of(500, "ada"), 1000, at(32)), Ok(()));
        assert_eq!(streams.grow(MAX_ENTRIES), Err(NotPrepared::Entries));
    }

    #[test]
    fn a_stream_ends_with_its_permission_whoever_reads() {
        let streams = PreparedStreams::default();
        assert_eq!(
            streams.insert(stream(1, Some(5000), Duration::ZERO), 1, at(0)),
            Ok(())
        );
        let read = streams.get(StreamId::of(1), at(4)).unwrap();
        let _reader = read.admit_reader(Clock::start());
        assert!(streams.get(StreamId::of(1), at(5)).is_none());
        assert_eq!(streams.count(at(5)), 0);
    }
}
