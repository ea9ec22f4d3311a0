//! Readers of every tick who stand further back than memory goes: their next piece comes from the tape on disk.

mod requests;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tickcast_core::render::EventFormat;
use tickcast_core::{Filter, Frame, Position, Seq};
use tickcast_tape::{DiskTape, ReadError};

use super::Key;
use super::payload::PayloadBuilder;
use super::rendered::{MAX_PAYLOAD_BYTES, Rendered, StreamPosition};

/// A piece that a stream is waiting for.
pub(crate) struct HistoryRequest {
    key: Key,
    filter: Filter,
    format: EventFormat,
    /// After this place, and not after that.
    between: (Seq, Seq),
    /// What the tape has to look like there.
    verify: Option<Position>,
    /// Gone with the stream: nobody reads the disk for someone who has left.
    alive: Weak<()>,
}

/// What came of it.
pub(crate) struct HistoryResponse {
    wanted: HistoryRequest,
    result: Result<(Rendered, Option<Position>), NotFound>,
}

/// Where a piece goes.
type Answer = Box<dyn FnOnce(HistoryResponse) + Send>;

/// Why a piece cannot be had.
enum NotFound {
    /// The tape does not say so, or cannot.
    Unreadable(ReadError),
    /// It is not the tape that the reader saw.
    OtherTape,
}

/// Whoever reads the disk, so that no lane ever waits for it. There is one: the requests of many are answered in turn, a piece each,
/// and none of them holds more than that.
#[derive(Clone)]
pub(crate) struct HistoryReader {
    requests: Sender<(HistoryRequest, Answer)>,
    /// How many wait for a piece.
    waiting: Arc<AtomicUsize>,
}

/// Most streams that wait for a piece at a time. Each is given one in turn: so many do not keep anyone waiting for longer than a
/// second or so, and more are told to come back.
const MAX_HISTORY_REQUESTS: usize = 256;

/// How long the disk is read for one of them before it is somebody else's turn, and after how many ticks that is looked at.
const READ_TURN: Duration = Duration::from_millis(10);
const RECORDS_PER_LOOK: usize = 64;

impl HistoryReader {
    /// Starts one. It ends with the last lane.
    pub(crate) fn start(tape: DiskTape) -> Option<Self> {
        let (requests, desk) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let served = Arc::clone(&waiting);
        let librarian = std::thread::Builder::new().name("librarian".to_owned());
        match librarian.spawn(move || run(&tape, &desk, &served)) {
            Ok(_) => Some(Self { requests, waiting }),
            Err(error) => {
                tracing::error!(%error, "nobody reads the tape on disk: only what is in memory can be resumed");
                None
            }
        }
    }

    /// Asks for a piece. Where too many are asked for, gives the request back.
    pub(crate) fn request(
        &self,
        wanted: HistoryRequest,
        answer: impl FnOnce(HistoryResponse) + Send + 'static,
    ) -> Option<HistoryRequest> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_HISTORY_REQUESTS {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Some(wanted);
        }
        let _ = self.requests.send((wanted, Box::new(answer)));
        None
    }
}

fn run(tape: &DiskTape, desk: &Receiver<(HistoryRequest, Answer)>, waiting: &AtomicUsize) {
    for (wanted, answer) in desk {
        waiting.fetch_sub(1, Ordering::Relaxed);
        if wanted.alive.strong_count() == 0 {
            continue;
        }
        let result = wanted.find(tape);
        answer(HistoryResponse { wanted, result });
    }
}

impl HistoryRequest {
    fn find(&self, tape: &DiskTape) -> Result<(Rendered, Option<Position>), NotFound> {
        let (from, until) = self.between;
        if let Some(position) = self.verify
            && tape.check_at(position.as_of)? != position.check
        {
            return Err(NotFound::OtherTape);
        }
        let (mut draft, mut ticks) = (PayloadBuilder::new(), 0);
        let out = draft.bytes();
        let start = out.len();
        let (mut end, mut last, mut read) = (false, None, 0_usize);
        let (matcher, begun) = (self.filter.matcher(), Instant::now());
        let reached = tape.read(from, |at, recorded| {
            end = at.seq >= until;
            last = Some(at);
            if matcher.matches(&recorded.symbol) {
                let frame = recorded.json.map(|json| Frame::restored(recorded.symbol, json));
                ticks += usize::from(self.format.entry(Some(at), recorded.symbol, frame.as_ref(), out));
            }
            read += 1;
            let long = read % RECORDS_PER_LOOK == 0 && begun.elapsed() >= READ_TURN;
            if end || long || out.len() - start >= MAX_PAYLOAD_BYTES {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        if reached == from && from < until {
            // What was written last did not reach the disk: nothing more ever will.
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
