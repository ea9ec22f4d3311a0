//! What readers ask for, made ready for the lanes: selected once for all who ask for the same, on a thread that serves nobody
//! else, and charged to a budget.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tickcast_core::{Filter, Selection, Symbol};
use tokio::sync::oneshot;

use super::Inner;
use crate::log::Log;
use crate::stats::FilterStats;

/// Most patterns of all filters that are in use: each is held against every new symbol, in every lane.
pub(crate) const MAX_PATTERNS: usize = 10_000;

/// Most filters that wait to be selected.
const MAX_WAITING: usize = 256;

/// A selection is used again for a newcomer while the market has no more symbols that it has not seen.
const FRESH: usize = 1000;

/// What a name costs: in the filter, and in a lane's indexes.
const NAME_BYTES: usize = 160;

/// What any filter costs.
const FILTER_BYTES: usize = 512;

/// So many comparisons of patterns with symbols are made at once, by whoever asks: less than a millisecond.
const FEW_COMPARISONS: usize = 4096;

/// Why a filter is not taken now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FilterRefusal {
    /// The budget for patterns is used up.
    #[error(
        "the server is asked for {MAX_PATTERNS} patterns by others, the limit; come back later, or name the symbols"
    )]
    Patterns,
    /// The budget for filters is used up.
    #[error("the filters of others take {0} bytes, the limit; come back later, or ask for fewer symbols")]
    Bytes(usize),
    /// Too many filters wait to be selected.
    #[error("{MAX_WAITING} filters wait to be selected, the limit; come back later")]
    Waiting,
}

/// A filter that lanes can take as it is.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// What it selects; `None`: names only, which every lane looks up by itself.
    pub(crate) selection: Option<Selection>,
    _charge: Charge,
}

/// What is charged for a filter, as long as anyone uses it.
#[derive(Debug)]
struct Charge {
    budget: Arc<Budget>,
    patterns: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Budget {
    patterns: AtomicUsize,
    bytes: AtomicUsize,
}

/// All filters in use.
#[derive(Default)]
pub(crate) struct Filters {
    budget: Arc<Budget>,
    refused: AtomicU64,
    known: Mutex<HashMap<Filter, Weak<Prepared>>>,
    selector: OnceLock<Option<SyncSender<Request>>>,
}

/// A filter that is to be selected.
struct Request {
    filter: Filter,
    answer: oneshot::Sender<Selection>,
}

impl Budget {
    fn charge(
        self: &Arc<Self>,
        filter: &Filter,
        symbols: usize,
        (lanes, most): (usize, usize),
    ) -> Result<Charge, FilterRefusal> {
        let patterns = filter.patterns();
        // Patterns may come to want every symbol there is, a bit each.
        let selected = if patterns > 0 { symbols / 8 } else { 0 };
        let bytes = FILTER_BYTES + (filter.names().len() * NAME_BYTES + selected) * lanes;
        let charge = Charge { budget: Arc::clone(self), patterns, bytes };
        let before = self.patterns.fetch_add(patterns, Ordering::Relaxed);
        let bytes_before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        match () {
            () if patterns > 0 && before + patterns > MAX_PATTERNS => Err(FilterRefusal::Patterns),
            () if bytes_before + bytes > most => Err(FilterRefusal::Bytes(most)),
            () => Ok(charge),
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.patterns.fetch_sub(self.patterns, Ordering::Relaxed);
        self.budget.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Filters {
    /// How they stand.
    pub(crate) fn stats(&self) -> FilterStats {
        let load = |number: &AtomicUsize| number.load(Ordering::Relaxed) as u64;
        let refused = self.refused.load(Ordering::Relaxed);
        FilterStats { patterns: load(&self.budget.patterns), bytes: load(&self.budget.bytes), refused }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Filter, Weak<Prepared>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same filter, if someone uses it and it has seen all but so many of a market's symbols.
    fn find(&self, filter: &Filter, symbols: usize, fresh: usize) -> Option<Arc<Prepared>> {
        let known = self.known().get(filter).and_then(Weak::upgrade)?;
        let fresh = known.selection.as_ref().is_none_or(|selection| selection.seen() + fresh >= symbols);
        fresh.then_some(known)
    }

    fn remember(&self, filter: Filter, prepared: &Arc<Prepared>) {
        let mut known = self.known();
        known.insert(filter, Arc::downgrade(prepared));
        // Now and then, those that nobody uses any more go.
        if known.len().is_power_of_two() || known.len().is_multiple_of(MAX_WAITING) {
            known.retain(|_, prepared| prepared.strong_count() > 0);
        }
    }
}

impl Inner {
    /// Makes a filter ready for the lanes: for a newcomer, who is given the rest by the lane in its turn.
    pub(crate) async fn prepare(&self, filter: Filter) -> Result<Arc<Prepared>, FilterRefusal> {
        self.prepare_up_to(filter, FRESH).await
    }

    /// The same for a change, which a lane makes at once.
    pub(crate) async fn prepare_wholly(&self, filter: Filter) -> Result<Arc<Prepared>, FilterRefusal> {
        self.prepare_up_to(filter, 0).await
    }

    async fn prepare_up_to(&self, filter: Filter, fresh: usize) -> Result<Arc<Prepared>, FilterRefusal> {
        let prepared = self.try_prepare(filter, fresh).await;
        if prepared.is_err() {
            self.filters.refused.fetch_add(1, Ordering::Relaxed);
        }
        prepared
    }

    async fn try_prepare(&self, filter: Filter, fresh: usize) -> Result<Arc<Prepared>, FilterRefusal> {
        let symbols = self.log.with(|log| log.market().len());
        if let Some(known) = self.filters.find(&filter, symbols, fresh) {
            return Ok(known);
        }
        let charge = self.filters.budget.charge(
            &filter,
            symbols,
            (self.settings.lanes, self.settings.filter_bytes),
        )?;
        let selection = if filter.has_patterns() && !filter.is_all() {
            Some(self.select(filter.clone(), symbols).await?)
        } else {
            None
        };
        let prepared = Arc::new(Prepared { selection, _charge: charge });
        self.filters.remember(filter, &prepared);
        Ok(prepared)
    }

    async fn select(&self, filter: Filter, symbols: usize) -> Result<Selection, FilterRefusal> {
        if filter.patterns() * symbols <= FEW_COMPARISONS {
            return Ok(self.log.with(|log| Selection::new(filter, log.market())));
        }
        let selector = self.filters.selector.get_or_init(|| start(Arc::clone(&self.log)));
        let (answer, selected) = oneshot::channel();
        let sent = selector.as_ref().map(|selector| selector.try_send(Request { filter, answer }));
        match sent {
            Some(Ok(())) => selected.await.map_err(|_| FilterRefusal::Waiting),
            Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) | None => {
                Err(FilterRefusal::Waiting)
            }
        }
    }
}

/// Starts the thread that selects. It ends with the hub.
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

fn select_all(log: &Log, desk: &Receiver<Request>) {
    let mut names: Vec<Symbol> = Vec::new();
    for Request { filter, answer } in desk {
        // Whoever has left need not be answered.
        if answer.is_closed() {
            continue;
        }
        // Under the lock names are only copied, and only those that are new.
        log.with(|log| names.extend(log.market().ids_from(names.len()).map(|id| log.market().symbol(id))));
        let _ = answer.send(Selection::of_first(filter, &names));
    }
}

#[cfg(test)]
mod tests;
