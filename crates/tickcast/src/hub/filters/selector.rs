//! The thread that compares patterns with all symbols. There is one thread for all filters, because
//! only the readers of those filters wait for it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tickcast_core::Selection;
use tokio::sync::oneshot;

use super::refusal::{FilterRefusal, MAX_COMPARISONS, MAX_WAITING};
use crate::log::Log;
use crate::priority;

/// Number of comparisons above which a filter is large. A large filter is refused while the waiting
/// filters need more than half of the maximum. This leaves room for other filters.
const LARGE_FILTER_COMPARISONS: usize = 1 << 20;

/// Number of comparisons made for one filter before the next filter's turn. A turn takes some
/// milliseconds if the patterns are chosen to be slow.
const COMPARISONS_PER_TURN: usize = 1 << 16;

/// Maximum age of the number of symbols that a filter is compared with. They are not counted each
/// time, because a low-priority thread that holds the log's lock delays other threads.
const MAX_COUNT_AGE: Duration = Duration::from_millis(5);

/// A filter that waits to be selected.
pub(super) struct Request {
    /// The selection so far. The selection of a new filter is empty.
    pub(super) partial: Selection,
    /// Number of symbols on the market at the time of the request. The filter has to be compared
    /// with all of them.
    pub(super) symbols: usize,
    pub(super) answer: oneshot::Sender<Selection>,
    /// This filter's share of the waiting work. It is given back when the request is dropped, for
    /// any reason.
    pub(super) _work: Work,
}

/// The total of the waiting work.
#[derive(Default)]
struct Waiting {
    filters: AtomicUsize,
    comparisons: AtomicUsize,
}

/// One filter's share of the waiting work.
pub(super) struct Work {
    waiting: Arc<Waiting>,
    comparisons: usize,
}

/// The handle of the selector thread. The thread starts with the first request and ends with the
/// hub.
#[derive(Default)]
pub(super) struct Selector {
    requests: OnceLock<Option<Sender<Request>>>,
    waiting: Arc<Waiting>,
}

impl Work {
    /// Adds `comparisons` to the waiting work, unless a limit is exceeded.
    fn add(waiting: &Arc<Waiting>, comparisons: usize) -> Result<Self, FilterRefusal> {
        let filters = waiting.filters.fetch_add(1, Ordering::Relaxed);
        let before = waiting
            .comparisons
            .fetch_add(comparisons, Ordering::Relaxed);
        // If the work is refused, this value is dropped and gives its share back.
        let work = Self {
            waiting: Arc::clone(waiting),
            comparisons,
        };
        let max = if comparisons > LARGE_FILTER_COMPARISONS {
            MAX_COMPARISONS / 2
        } else {
            MAX_COMPARISONS
        };
        match () {
            () if filters >= MAX_WAITING => Err(FilterRefusal::Waiting),
            () if before > max => Err(FilterRefusal::Comparisons),
            () => Ok(work),
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.waiting.filters.fetch_sub(1, Ordering::Relaxed);
        self.waiting
            .comparisons
            .fetch_sub(self.comparisons, Ordering::Relaxed);
    }
}

impl Selector {
    /// Returns a selection that has covered at least `symbols` symbols. The market must have that
    /// many symbols.
    pub(super) async fn select(
        &self,
        partial: Selection,
        symbols: usize,
        log: &Arc<Log>,
    ) -> Result<Selection, FilterRefusal> {
        let comparisons = partial.filter().patterns() * symbols.saturating_sub(partial.seen());
        let work = Work::add(&self.waiting, comparisons)?;
        let requests = self.requests.get_or_init(|| start(Arc::clone(log)));
        let (answer, answered) = oneshot::channel();
        if let Some(requests) = requests {
            // If the thread has ended, the request is dropped and the answer channel closes.
            let _ = requests.send(Request {
                partial,
                symbols,
                answer,
                _work: work,
            });
        }
        answered.await.map_err(|_| FilterRefusal::Waiting)
    }

    /// Replaces the thread with a receiver, so that no request is answered yet.
    #[cfg(test)]
    pub(super) fn hold(&self) -> Receiver<Request> {
        let (requests, received) = channel();
        assert!(
            self.requests.set(Some(requests)).is_ok(),
            "it has been started"
        );
        received
    }
}

fn start(log: Arc<Log>) -> Option<Sender<Request>> {
    let (requests, received) = channel();
    let thread = std::thread::Builder::new().name("selector".to_owned());
    match thread.spawn(move || select_all(&log, &received)) {
        Ok(_) => Some(requests),
        Err(error) => {
            tracing::error!(%error, "cannot start the thread that selects symbols: patterns are refused");
            None
        }
    }
}

/// Selects for all waiting requests in turns. A slow request does not delay the other requests.
pub(super) fn select_all(log: &Log, requests: &Receiver<Request>) {
    priority::lower();
    let names = log.names();
    let (mut known, mut counted_at): (usize, Option<Instant>) = (0, None);
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() {
            let Ok(request) = requests.recv() else { return };
            waiting.push_back(request);
        }
        waiting.extend(requests.try_iter());
        // A reader that has left needs no answer.
        let Some(mut request) = waiting
            .pop_front()
            .filter(|request: &Request| !request.answer.is_closed())
        else {
            continue;
        };
        // Symbols that were added during the wait are compared here, and not by a lane.
        let outdated = counted_at.is_none_or(|at| at.elapsed() >= MAX_COUNT_AGE);
        if outdated || known < request.symbols {
            known = log.read(|log| log.market().len());
            counted_at = Some(Instant::now());
        }
        let count = COMPARISONS_PER_TURN / request.partial.filter().patterns().max(1);
        let until = known.min(request.partial.seen() + count.max(1));
        request.partial = request.partial.extended_to(names, until);
        if until < known {
            waiting.push_back(request);
        } else {
            let _ = request.answer.send(request.partial);
        }
    }
}
