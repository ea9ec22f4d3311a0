//! Ends the streams of a lane: after they have caught up, or at their current position.

use std::time::Duration;

use tickcast_core::CloseReason;

use super::{Key, Lane, Sink, WriteOutcome};
use crate::subscription::StreamId;

impl<S: Sink> Lane<S> {
    /// Ends every stream as soon as the stream has been sent everything.
    pub(crate) fn finish(&mut self, now: Duration) {
        self.finishing = true;
        let head = self.head();
        for key in self.streams.keys().collect::<Vec<_>>() {
            if let Some(rate) = &mut self.streams[key].rate {
                rate.until = head;
            }
            self.catch_up(key, now);
        }
        self.remove_closed();
    }

    /// Ends at most `max` streams at their current position.
    pub(crate) fn end(&mut self, max: usize) {
        let open = self
            .streams
            .iter()
            .filter(|(_, stream)| !stream.ending)
            .map(|(key, _)| key);
        for key in open.take(max).collect::<Vec<_>>() {
            self.close_stream(key, CloseReason::Draining);
        }
        self.remove_closed();
    }

    /// Ends a stream whose reader may read no longer.
    pub(super) fn expire(&mut self, key: Key) {
        if self.streams.get(key).is_some_and(|stream| !stream.ending) {
            self.close_stream(key, CloseReason::Expired);
        }
    }

    /// Ends the streams of viewers that may no longer read.
    pub(crate) fn revoke(&mut self) {
        let revoked = self.viewers.iter();
        let revoked = revoked.filter(|(_, viewer)| self.revocation.concerns(viewer));
        for key in revoked.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.expire(key);
        }
        self.remove_closed();
    }

    /// Ends all streams with a name. Returns whether there were any.
    pub(crate) fn delete(&mut self, id: StreamId) -> bool {
        let mut keys = self.names.all(id);
        keys.retain(|key| !self.streams[*key].ending);
        for key in &keys {
            self.close_stream(*key, CloseReason::Deleted);
        }
        self.remove_closed();
        !keys.is_empty()
    }

    /// Ends a new stream if the prepared stream that it follows was deleted before it came here.
    pub(super) fn end_if_deleted(&mut self, key: Key) {
        let stream = self.streams.get(key).filter(|stream| !stream.ending);
        let session = stream.and_then(|stream| stream.session.as_ref());
        let prepared = session.and_then(|session| session.prepared_stream.as_ref());
        if prepared.is_some_and(|prepared| prepared.current().is_none()) {
            self.close_stream(key, CloseReason::Deleted);
        }
    }

    /// Ends a stream after it has been sent `bye`.
    pub(super) fn end_stream(&mut self, key: Key) {
        let reached = self.reached(key);
        let outcome = self.write_bye(key);
        let stream = &mut self.streams[key];
        let ended = if outcome == WriteOutcome::Taken {
            stream.sink.end()
        } else {
            outcome
        };
        match ended {
            WriteOutcome::Taken | WriteOutcome::Gone => self.mark_closed(key),
            WriteOutcome::Refused => {
                stream.ending = true;
                // The stream leaves the head: nothing is sent after an end.
                stream.write_refused(reached);
            }
        }
    }
}
