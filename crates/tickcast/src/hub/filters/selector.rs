//! The thread that holds patterns against all symbols: one for all, since nobody has to wait for it but those who ask.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tickcast_core::{Selection, Symbol};
use tokio::sync::oneshot;

use super::FilterRefusal;
use crate::log::Log;
use crate::priority;

/// Most filters that wait to be selected.
pub(super) const MAX_WAITING: usize = 4096;

/// A filter may wait as long as those before it take no more comparisons than this, a pattern with a symbol each: a second or
/// two, unless they are chosen to take long.
pub(super) const MAX_COMPARISONS: usize = 64 << 20;

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

/// What has yet to be compared, and one filter's part of it.
pub(super) struct Work {
    all: Arc<AtomicUsize>,
    part: usize,
}

/// Selects, on a thread that is started for the first who asks, and ends with the hub.
#[derive(Default)]
pub(super) struct Selector {
    requests: OnceLock<Option<SyncSender<Request>>>,
    work: Arc<AtomicUsize>,
}

impl Drop for Work {
    fn drop(&mut self) {
        self.all.fetch_sub(self.part, Ordering::Relaxed);
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
        let before = self.work.fetch_add(comparisons, Ordering::Relaxed);
        let work = Work { all: Arc::clone(&self.work), part: comparisons };
        if before > MAX_COMPARISONS {
            return Err(FilterRefusal::Comparisons);
        }
        let requests = self.requests.get_or_init(|| start(Arc::clone(log)));
        let (answer, selected) = oneshot::channel();
        let request = Request { begun, symbols, answer, _work: work };
        match requests.as_ref().map(|requests| requests.try_send(request)) {
            Some(Ok(())) => selected.await.map_err(|_| FilterRefusal::Waiting),
            Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) | None => {
                Err(FilterRefusal::Waiting)
            }
        }
    }

    /// One whose requests nobody answers yet.
    #[cfg(test)]
    pub(super) fn hold(&self) -> Receiver<Request> {
        let (requests, desk) = sync_channel(MAX_WAITING);
        assert!(self.requests.set(Some(requests)).is_ok(), "it has been started");
        desk
    }
}

fn start(log: Arc<Log>) -> Option<SyncSender<Request>> {
    let (requests, desk) = sync_channel(MAX_WAITING);
    let selector = std::thread::Builder::new().name("selector".to_owned());
    match selector.spawn(move || select_all(&log, &desk)) {
        Ok(_) => Some(requests),
        Err(error) => {
            tracing::error!(%error, "cannot start the thread that selects symbols: patterns are refused");
            None
        }
    }
}

pub(super) fn select_all(log: &Log, desk: &Receiver<Request>) {
    priority::lower();
    let (mut names, mut learned): (Vec<Symbol>, _) = (Vec::new(), None);
    for request in desk {
        // Whoever has left need not be answered.
        if request.answer.is_closed() {
            continue;
        }
        // What came while it waited is looked at here, and not by a lane.
        let old = learned.is_none_or(|learned: Instant| learned.elapsed() >= AGE);
        if old || names.len() < request.symbols {
            while learn(&mut names, log) {}
            learned = Some(Instant::now());
        }
        let _ = request.answer.send(request.begun.extended(&names));
    }
}

/// How old the names are at most that a filter is held against. They are not looked for each time: whoever has the log's lock and a
/// low priority keeps others waiting.
const AGE: Duration = Duration::from_millis(5);

/// Names that are copied under the lock at a time: others run before this thread, and may wait for the lock meanwhile.
const NAMES: usize = 1024;

/// Copies names that are new, so many at the most; returns whether there are more.
fn learn(names: &mut Vec<Symbol>, log: &Log) -> bool {
    names.reserve(NAMES);
    log.with(|log| {
        let market = log.market();
        names.extend(market.ids_from(names.len()).take(NAMES).map(|id| market.symbol(id)));
        names.len() < market.len()
    })
}
