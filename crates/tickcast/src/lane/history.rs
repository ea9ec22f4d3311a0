//! Payloads from the tape on disk, for readers of every tick whose position is no longer in memory.

mod requests;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tickcast_core::sse::EventFormat;
use tickcast_core::{Filter, Frame, Position, Seq};

use super::Key;
use super::payload::PayloadBuilder;
use super::rendered::{MAX_PAYLOAD_BYTES, Rendered, StreamPosition};
use crate::disk::{DiskTape, ReadError};
use crate::workers::{Work, Workers};

/// A request for the next payload of a stream.
pub(crate) struct HistoryRequest {
    key: Key,
    filter: Filter,
    format: EventFormat,
    /// The range of the payload: after the first sequence number, up to and including the second.
    range: (Seq, Seq),
    /// The position of the reader's cursor. The tape must have the same check there.
    verify: Option<Position>,
    /// Dropped with the stream. The disk is not read for streams that no longer exist.
    alive: Weak<()>,
}

/// The result of a request.
pub(crate) struct HistoryResponse {
    request: HistoryRequest,
    result: Arc<FindResult>,
}

/// A payload with the position of its last entry.
type FindResult = Result<(Rendered, Option<Position>), NotFound>;

/// The function that receives a result.
type Answer = Box<dyn FnOnce(HistoryResponse) + Send>;

/// The reason why a payload is not available.
enum NotFound {
    /// A tape that no longer holds the ticks, or that cannot be read.
    Unreadable(ReadError),
    /// A tape that differs from the tape that the reader saw.
    OtherTape,
}

/// Reads the tape on disk for all lanes of a market, on worker threads, so that no lane waits for the
/// disk. Requests are answered in turn, one payload each. Requests for the same ticks that wait at
/// the same time are answered with one payload.
#[derive(Clone)]
pub(crate) struct HistoryReader {
    tape: DiskTape,
    workers: Arc<Workers>,
    /// The reads that wait for a worker thread, from the oldest to the newest.
    waiting: Arc<Mutex<VecDeque<Read>>>,
    hasher: RandomState,
}

/// One read of the disk, for at least one reader.
struct Read {
    /// Hash of what the readers want.
    hash: u64,
    readers: Vec<(HistoryRequest, Answer)>,
    /// Number of readers at which those that no longer exist are removed. A disk may not answer for
    /// long.
    limit: usize,
}

/// Maximum number of reads that wait at a time. With this maximum, a stream waits about one second at
/// most. Streams that need more reads are told to come back later.
const MAX_WAITING_READS: usize = 256;

/// Number of readers of one read that are kept without a look whether they still exist.
const MIN_READERS: usize = 64;

/// Maximum time to read the disk for one request before the next request's turn, and the number of
/// records between two checks of this time.
const MAX_READ_TIME: Duration = Duration::from_millis(10);
const RECORDS_PER_TIME_CHECK: usize = 64;

impl HistoryReader {
    /// Makes a history reader for the lanes of one market.
    pub(crate) fn new(tape: DiskTape, workers: &Arc<Workers>) -> Self {
        Self {
            tape,
            workers: Arc::clone(workers),
            waiting: Arc::default(),
            hasher: RandomState::new(),
        }
    }

    /// Requests a payload. Returns the request if too many reads wait, or if no thread can read.
    pub(crate) fn request(
        &self,
        request: HistoryRequest,
        answer: impl FnOnce(HistoryResponse) + Send + 'static,
    ) -> Option<HistoryRequest> {
        // Filters may have many names, so most of them are told apart by a hash.
        let hash = self.hasher.hash_one((&request.filter, request.range.0));
        let mut waiting = lock(&self.waiting);
        let mut equal = waiting.iter_mut().filter(|read| read.hash == hash);
        if let Some(read) = equal.find(|read| read.is_for(&request)) {
            read.add(request, Box::new(answer));
            return None;
        }
        if waiting.len() >= MAX_WAITING_READS {
            return Some(request);
        }
        let (tape, reads) = (self.tape.clone(), Arc::clone(&self.waiting));
        let job = move || {
            // There is one job for each read.
            let read = lock(&reads).pop_front();
            if let Some(read) = read {
                read.answer(&tape);
            }
        };
        if self.workers.add(Work::Disk, job).is_err() {
            return Some(request);
        }
        waiting.push_back(Read {
            hash,
            readers: vec![(request, Box::new(answer))],
            limit: MIN_READERS,
        });
        None
    }
}

fn lock(waiting: &Mutex<VecDeque<Read>>) -> MutexGuard<'_, VecDeque<Read>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Read {
    /// Adds a reader. There are at most twice as many readers as there were streams at the last look.
    fn add(&mut self, request: HistoryRequest, answer: Answer) {
        if self.readers.len() >= self.limit {
            self.readers.retain(|(request, _)| request.exists());
            self.limit = MIN_READERS.max(2 * self.readers.len());
        }
        self.readers.push((request, answer));
    }

    /// Checks whether the payload of this read is also one for another request.
    fn is_for(&self, request: &HistoryRequest) -> bool {
        let first = self.readers.first();
        first.is_some_and(|(first, _)| first.wants_the_same(request))
    }

    /// Reads the tape and answers all readers that still exist.
    fn answer(self, tape: &DiskTape) {
        let mut readers = self.readers;
        readers.retain(|(request, _)| request.exists());
        let until = readers.iter().map(|(request, _)| request.range.1).min();
        let (Some((first, _)), Some(until)) = (readers.first(), until) else {
            return;
        };
        let result = Arc::new(first.find(tape, until));
        for (request, answer) in readers {
            let result = Arc::clone(&result);
            answer(HistoryResponse { request, result });
        }
    }
}

impl HistoryRequest {
    /// Checks whether the stream still exists.
    fn exists(&self) -> bool {
        self.alive.strong_count() > 0
    }

    /// Checks whether the payload of one request is also one for the other. They may end at
    /// different positions: then it ends at the first of them, and a reader that needs more asks
    /// again.
    fn wants_the_same(&self, other: &Self) -> bool {
        self.range.0 == other.range.0
            && self.verify == other.verify
            && self.format == other.format
            && self.filter == other.filter
    }

    fn find(&self, tape: &DiskTape, until: Seq) -> FindResult {
        let (from, _) = self.range;
        if let Some(position) = self.verify
            && tape.check_at(position.as_of)? != position.check
        {
            return Err(NotFound::OtherTape);
        }
        let (mut draft, mut ticks) = (PayloadBuilder::new(), 0);
        let out = draft.bytes();
        let start = out.len();
        let (mut end, mut last, mut read) = (false, None, 0_usize);
        let (matcher, started) = (self.filter.matcher(), Instant::now());
        let reached = tape.read(from, |at, recorded| {
            end = at.seq >= until;
            last = Some(at);
            if matcher.matches(&recorded.symbol) {
                let frame = recorded
                    .json
                    .map(|json| Frame::restored(recorded.symbol, json));
                ticks += usize::from(self.format.entry(
                    Some(at),
                    frame.as_ref(),
                    || recorded.symbol,
                    out,
                ));
            }
            read += 1;
            let time_is_up =
                read % RECORDS_PER_TIME_CHECK == 0 && started.elapsed() >= MAX_READ_TIME;
            if end || time_is_up || out.len() - start >= MAX_PAYLOAD_BYTES {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        if reached == from && from < until {
            // The last entries did not reach the disk, and no entries will follow.
            return Err(ReadError::Expired.into());
        }
        Ok((
            Rendered {
                payload: draft.finish(),
                ticks,
                position: StreamPosition::Behind(reached),
                progress: None,
            },
            last,
        ))
    }
}

impl From<ReadError> for NotFound {
    fn from(error: ReadError) -> Self {
        Self::Unreadable(error)
    }
}
