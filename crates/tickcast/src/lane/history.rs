//! Payloads from the tape on disk, for readers of every tick whose position is no longer in memory.

mod requests;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tickcast_core::sse::EventFormat;
use tickcast_core::{Filter, Frame, Position, Seq};

use super::Key;
use super::payload::PayloadBuilder;
use super::rendered::{MAX_PAYLOAD_BYTES, Rendered, StreamPosition};
use crate::disk::{DiskTape, ReadError};

/// A request for the next payload of a stream.
pub(crate) struct HistoryRequest {
    key: Key,
    filter: Filter,
    format: EventFormat,
    /// The range of the payload: after the first sequence number, up to and including the second.
    range: (Seq, Seq),
    /// The position of the reader's cursor. The tape must have the same check there.
    verify: Option<Position>,
    /// Dropped with the stream. The disk is not read for a stream that no longer exists.
    alive: Weak<()>,
}

/// The result of a request.
pub(crate) struct HistoryResponse {
    request: HistoryRequest,
    result: Result<(Rendered, Option<Position>), NotFound>,
}

/// The function that receives a result.
type Answer = Box<dyn FnOnce(HistoryResponse) + Send>;

/// The reason why a payload is not available.
enum NotFound {
    /// A tape that no longer holds the ticks, or that cannot be read.
    Unreadable(ReadError),
    /// A tape that differs from the tape that the reader saw.
    OtherTape,
}

/// The handle of the thread that reads the disk, so that no lane waits for the disk. There is one
/// thread. It answers the requests in turn, one payload each, and holds no more than one payload at
/// a time.
#[derive(Clone)]
pub(crate) struct HistoryReader {
    requests: Sender<(HistoryRequest, Answer)>,
    /// Number of requests that wait for an answer.
    waiting: Arc<AtomicUsize>,
}

/// Maximum number of streams that wait for a payload at a time. With this maximum, a stream waits
/// about one second at most. More streams are told to come back later.
const MAX_HISTORY_REQUESTS: usize = 256;

/// Maximum time to read the disk for one request before the next request's turn, and the number of
/// records between two checks of this time.
const MAX_READ_TIME: Duration = Duration::from_millis(10);
const RECORDS_PER_TIME_CHECK: usize = 64;

impl HistoryReader {
    /// Starts a history reader. It ends with the last lane.
    pub(crate) fn start(tape: DiskTape) -> Option<Self> {
        let (requests, received) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&waiting);
        let thread = std::thread::Builder::new().name("history".to_owned());
        match thread.spawn(move || run(&tape, &received, &counter)) {
            Ok(_) => Some(Self { requests, waiting }),
            Err(error) => {
                tracing::error!(%error, "the history thread failed to start; streams can only resume from ticks in memory");
                None
            }
        }
    }

    /// Requests a payload. Returns the request if too many requests wait.
    pub(crate) fn request(
        &self,
        request: HistoryRequest,
        answer: impl FnOnce(HistoryResponse) + Send + 'static,
    ) -> Option<HistoryRequest> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_HISTORY_REQUESTS {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Some(request);
        }
        let _ = self.requests.send((request, Box::new(answer)));
        None
    }
}

fn run(tape: &DiskTape, requests: &Receiver<(HistoryRequest, Answer)>, waiting: &AtomicUsize) {
    for (request, answer) in requests {
        waiting.fetch_sub(1, Ordering::Relaxed);
        if request.alive.strong_count() == 0 {
            continue;
        }
        let result = request.find(tape);
        answer(HistoryResponse { request, result });
    }
}

impl HistoryRequest {
    fn find(&self, tape: &DiskTape) -> Result<(Rendered, Option<Position>), NotFound> {
        let (from, until) = self.range;
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
