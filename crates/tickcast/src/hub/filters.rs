//! What readers ask for, made ready for the lanes: selected once for all who ask for the same, on a thread that serves nobody
//! else, and charged to a budget.

mod prepare;
mod refusal;
mod selector;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tickcast_core::{Filter, Selection};
use tokio::sync::OnceCell;

use crate::stats::FilterStats;
pub(crate) use refusal::{FilterRefusal, MAX_PATTERNS};
use selector::Selector;

/// What a name costs: in the filter, and in a lane's indexes.
const NAME_BYTES: usize = 160;

/// What any filter costs.
const FILTER_BYTES: usize = 512;

/// Filters that nobody uses any more are looked for now and then, whenever so many more are known.
const CLEANUP_INTERVAL: usize = 256;

/// A filter that lanes can take as it is.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// What it selects, once it has been selected. Everyone who asks for the same meanwhile waits for that.
    selection: OnceCell<Selection>,
    _charge: Charge,
}

impl Prepared {
    /// What the filter selects; `None`: names only, or all, which every lane looks up by itself.
    pub(crate) fn selection(&self) -> Option<&Selection> {
        self.selection.get()
    }

    /// How many comparisons it takes until it has been held against so many symbols.
    pub(crate) fn lacking(&self, symbols: usize) -> usize {
        let lacking =
            |selection: &Selection| symbols.saturating_sub(selection.seen()) * selection.filter().patterns();
        self.selection().map_or(0, lacking)
    }

    /// Whether it has seen, or is about to see, all but so many of a market's symbols.
    fn is_fresh(&self, symbols: usize, fresh: usize) -> bool {
        self.selection().is_none_or(|selection| selection.seen() + fresh >= symbols)
    }
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
    selector: Selector,
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

    /// The same filter, if someone uses it and it has been selected, however long ago.
    fn selected(&self, filter: &Filter) -> Option<Arc<Prepared>> {
        self.known().get(filter).and_then(Weak::upgrade).filter(|known| known.selection().is_some())
    }

    /// The same filter, if someone uses it and it is fresh enough; else a new one, whose symbols have yet to be selected.
    fn share(
        &self,
        filter: &Filter,
        (symbols, fresh): (usize, usize),
        limits: (usize, usize),
    ) -> Result<Arc<Prepared>, FilterRefusal> {
        let mut known = self.known();
        let same = known.get(filter).and_then(Weak::upgrade);
        if let Some(same) = same.filter(|same| same.is_fresh(symbols, fresh)) {
            return Ok(same);
        }
        let charge = self.budget.charge(filter, symbols, limits)?;
        let prepared = Arc::new(Prepared { selection: OnceCell::new(), _charge: charge });
        known.insert(filter.clone(), Arc::downgrade(&prepared));
        if known.len().is_power_of_two() || known.len().is_multiple_of(CLEANUP_INTERVAL) {
            known.retain(|_, prepared| prepared.strong_count() > 0);
        }
        Ok(prepared)
    }
}

#[cfg(test)]
mod tests;
