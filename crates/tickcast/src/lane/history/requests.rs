//! Requests of a lane to the tape on disk, and their results.

use std::sync::Arc;
use std::time::Duration;

use tickcast_core::{CloseReason, Seq};

use super::{HistoryRequest, HistoryResponse, NotFound};
use crate::disk::ReadError;
use crate::lane::rendered::StreamPosition;
use crate::lane::stream::Stream;
use crate::lane::{Key, Lane, Sink};

impl<S: Sink> Lane<S> {
    /// Checks whether the ticks after `from` are available in memory or on disk.
    pub(in crate::lane) fn reaches_back_to(&self, from: Seq) -> bool {
        self.replica.tape().reaches_back_to(from)
            || self
                .archive
                .as_ref()
                .is_some_and(|tape| tape.start() <= from)
    }

    /// Returns the position before the oldest available tick.
    pub(in crate::lane) fn floor(&self) -> Seq {
        let in_memory = self.replica.tape().readable_start();
        self.archive
            .as_ref()
            .map_or(in_memory, |tape| in_memory.min(tape.start()))
    }

    /// Requests the next payload of a stream from the disk. The stream waits for the result.
    pub(in crate::lane) fn request_history(&mut self, key: Key, from: Seq) {
        let head = self.head();
        let stream = &mut self.streams[key];
        let Some(session) = &mut stream.session else {
            return;
        };
        let verify = session.unverified.as_ref().map(|(position, _)| *position);
        let alive = Arc::downgrade(session.awaits_history.insert(Arc::default()));
        stream.blocked = true;
        let range = (from, stream.until(head));
        let group = stream.slot.group;
        let (filter, format) = (self.groups.filter(group).clone(), self.groups.format(group));
        self.history_requests.push(HistoryRequest {
            key,
            filter,
            format,
            range,
            verify,
            alive,
        });
    }

    /// Closes a stream because too many requests wait. The stream is told to come back later.
    pub(crate) fn reject_history(&mut self, request: &HistoryRequest) {
        if self.streams.get(request.key).is_some_and(Stream::waiting) {
            self.close_stream(request.key, CloseReason::Busy);
            self.remove_closed();
        }
    }

    /// Takes the requests that have to be sent to the history reader.
    pub(crate) fn take_history_requests(&mut self) -> Vec<HistoryRequest> {
        std::mem::take(&mut self.history_requests)
    }

    /// Handles the result of a request.
    pub(crate) fn handle_history(&mut self, response: HistoryResponse, now: Duration) {
        let HistoryResponse {
            request:
                HistoryRequest {
                    key,
                    filter,
                    format,
                    range: (from, _),
                    ..
                },
            result,
        } = response;
        let head = self.head();
        let Some(stream) = self.streams.get_mut(key).filter(|stream| stream.waiting()) else {
            return;
        };
        if let Some(session) = &mut stream.session {
            session.awaits_history = None;
        }
        if stream.ending {
            return;
        }
        stream.blocked = false;
        // The write timeout is for readers that accept nothing. This stream waited for the disk.
        stream.last_write = now;
        // If the stream was changed meanwhile, the result is no longer what the stream needs.
        let group = stream.slot.group;
        let unchanged = *self.groups.filter(group) == filter && self.groups.format(group) == format;
        let still_needed = stream.position == StreamPosition::Behind(from) && unchanged;
        match &*result {
            Err(NotFound::OtherTape) => {
                stream.position = StreamPosition::Opening {
                    at: head,
                    reached: Seq::ZERO,
                };
                stream
                    .session
                    .as_mut()
                    .into_iter()
                    .for_each(|session| session.restart_with_reset(head));
                self.visit(key, now);
            }
            Ok((step, reached)) if still_needed => {
                if let Some(session) = &mut stream.session {
                    (session.unverified, session.reached) = (None, *reached);
                }
                if self.send(key, step, now) {
                    self.visit(key, now);
                }
            }
            Err(NotFound::Unreadable(error)) if still_needed => {
                if !matches!(error, ReadError::Expired) {
                    tracing::error!(%error, "the ticks that a reader missed cannot be read; the stream is closed");
                }
                self.close_stream(key, CloseReason::Lagging);
            }
            _ => self.visit(key, now),
        }
        self.remove_closed();
    }
}
