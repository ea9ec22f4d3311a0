//! The thread that holds patterns against all symbols: one for all, since nobody has to wait for it but those who ask.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tickcast_core::{Selection, Symbol};
use tokio::sync::oneshot;

use super::refusal::{FilterRefusal, MAX_COMPARISONS, MAX_WAITING};
use crate::log::Log;
use crate::priority;

/// A filter that takes more than this is large. As long as others wait that take half of what may, it is not taken, so that large ones
/// leave room for others.
const LARGE_FILTER_COMPARISONS: usize = 1 << 20;

/// So many comparisons are made for a filter before it is another's turn: some milliseconds, where they are chosen to take long.
const COMPARISONS_PER_TURN: usize = 1 << 16;

/// How old the names are at most that a filter is held against. They are not looked for each time: whoever has the log's lock and a
/// low priority keeps others waiting.
const MAX_NAMES_AGE: Duration = Duration::from_millis(5);

/// Names that are copied under the lock at a time: others run before this thread, and may wait for the lock meanwhile.
const NAMES_PER_LOCK: usize = 1024;

/// A filter that is to be selected.
pub(super) struct Request {
    /// What has been selected so far; of a filter that is new, nothing.
    pub(super) begun: Selection,
    /// So many symbols were on the market when it was asked for: all of them are to be looked at.
    pub(super) symbols: usize,
    pub(super) answer: oneshot::Sender<Selection>,
    /// Given back when it is done with, however that comes.
    pub(super) _work: Work,
}

/// What waits.
#[derive(Default)]
struct Waiting {
    filters: AtomicUsize,
    comparisons: AtomicUsize,
}

/// One filter's part of what waits.
pub(super) struct Work {
    all: Arc<Waiting>,
    comparisons: usize,
}

/// Selects, on a thread that is started for the first who asks, and ends with the hub.
#[derive(Default)]
pub(super) struct Selector {
    requests: OnceLock<Option<Sender<Request>>>,
    waiting: Arc<Waiting>,
}

impl Work {
    /// Adds so many comparisons to what waits, where that may be.
    fn add(all: &Arc<Waiting>, comparisons: usize) -> Result<Self, FilterRefusal> {
        let filters = all.filters.fetch_add(1, Ordering::Relaxed);
        let before = all.comparisons.fetch_add(comparisons, Ordering::Relaxed);
        // Dropped where it is refused.
        let work = Self { all: Arc::clone(all), comparisons };
        let most = if comparisons > LARGE_FILTER_COMPARISONS { MAX_COMPARISONS / 2 } else { MAX_COMPARISONS };
        match () {
            () if filters >= MAX_WAITING => Err(FilterRefusal::Waiting),
            () if before > most => Err(FilterRefusal::Comparisons),
            () => Ok(work),
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.all.filters.fetch_sub(1, Ordering::Relaxed);
        self.all.comparisons.fetch_sub(self.comparisons, Ordering::Relaxed);
    }
}

impl Selector {
    /// A selection that has looked at so many symbols at least: that many there are on the market.
    pub(super) async fn select(
        &self,
        begun: Selection,
        symbols: usize,
        log: &Arc<Log>,
    ) -> Result<Selection, FilterRefusal> {
        let comparisons = begun.filter().patterns() * symbols.saturating_sub(begun.seen());
        let work = Work::add(&self.waiting, comparisons)?;
        let requests = self.requests.get_or_init(|| start(Arc::clone(log)));
        let (answer, selected) = oneshot::channel();
        if let Some(requests) = requests {
            // Where nobody takes it, nobody answers.
            let _ = requests.send(Request { begun, symbols, answer, _work: work });
        }
        selected.await.map_err(|_| FilterRefusal::Waiting)
    }

    /// One whose requests nobody answers yet.
    #[cfg(test)]
    pub(super) fn hold(&self) -> Receiver<Request> {
        let (requests, desk) = channel();
        assert!(self.requests.set(Some(requests)).is_ok(), "it has been started");
        desk
    }
}

fn start(log: Arc<Log>) -> Option<Sender<Request>> {
    let (requests, desk) = channel();
    let selector = std::thread::Builder::new().name("selector".to_owned());
    match selector.spawn(move || select_all(&log, &desk)) {
        Ok(_) => Some(requests),
        Err(error) => {
            tracing::error!(%error, "cannot start the thread that selects symbols: patterns are refused");
            None
        }
    }
}

/// Selects for all who wait, in turns: one that takes long does not keep the others waiting.
pub(super) fn select_all(log: &Log, desk: &Receiver<Request>) {
    priority::lower();
    let (mut names, mut learned): (Vec<Symbol>, Option<Instant>) = (Vec::new(), None);
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() {
            let Ok(request) = desk.recv() else { return };
            waiting.push_back(request);
        }
        waiting.extend(desk.try_iter());
        // Whoever has left need not be answered.
        let Some(mut request) = waiting.pop_front().filter(|request: &Request| !request.answer.is_closed())
        else {
            continue;
        };
        // What came while it waited is looked at here, and not by a lane.
        let old = learned.is_none_or(|learned| learned.elapsed() >= MAX_NAMES_AGE);
        if old || names.len() < request.symbols {
            while learn(&mut names, log) {}
            learned = Some(Instant::now());
        }
        let turn = COMPARISONS_PER_TURN / request.begun.filter().patterns().max(1);
        let until = names.len().min(request.begun.seen() + turn.max(1));
        request.begun = request.begun.extended(&names[..until]);
        if until < names.len() {
            waiting.push_back(request);
        } else {
            let _ = request.answer.send(request.begun);
        }
    }
}

/// Copies names that are new, so many at the most; returns whether there are more.
fn learn(names: &mut Vec<Symbol>, log: &Log) -> bool {
    names.reserve(NAMES_PER_LOCK);
    log.with(|log| {
        let market = log.market();
        names.extend(market.ids_from(names.len()).take(NAMES_PER_LOCK).map(|id| market.symbol(id)));
        names.len() < market.len()
    })
}
