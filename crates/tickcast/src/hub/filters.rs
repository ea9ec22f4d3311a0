//! Prepares the filters of readers for the lanes. Each filter is selected once for all readers with
//! the same filter, on a separate thread, and charged to a budget.

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

/// Cost of a symbol name in a filter and in the indexes of one lane, in bytes.
const NAME_BYTES: usize = 160;

/// Base cost of any filter, in bytes.
const FILTER_BYTES: usize = 512;

/// Number of known filters between two removals of unused filters.
const CLEANUP_INTERVAL: usize = 256;

/// A filter that lanes can use without further work.
#[derive(Debug)]
pub(crate) struct PreparedFilter {
    /// The selection of the filter, once it is complete. Readers with the same filter wait for the
    /// same selection.
    selection: OnceCell<Selection>,
    _charge: Charge,
}

impl PreparedFilter {
    /// Returns the selection of the filter. `None`: the filter has only names, or selects all
    /// symbols, and every lane does the lookup by itself.
    pub(crate) fn selection(&self) -> Option<&Selection> {
        self.selection.get()
    }

    /// Returns the number of comparisons until the filter has been compared with `symbols` symbols.
    pub(crate) fn lacking(&self, symbols: usize) -> usize {
        let lacking = |selection: &Selection| {
            symbols.saturating_sub(selection.seen()) * selection.filter().patterns()
        };
        self.selection().map_or(0, lacking)
    }

    /// Checks whether the selection covers, or will soon cover, all but at most `max_unseen` of the
    /// market's symbols.
    fn is_fresh(&self, symbols: usize, max_unseen: usize) -> bool {
        self.selection()
            .is_none_or(|selection| selection.seen() + max_unseen >= symbols)
    }
}

/// The charge of a filter to the budget, as long as the filter is in use.
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
    known: Mutex<HashMap<Filter, Weak<PreparedFilter>>>,
    selector: Selector,
}

impl Budget {
    fn charge(
        self: &Arc<Self>,
        filter: &Filter,
        symbols: usize,
        (lanes, max_bytes): (usize, usize),
    ) -> Result<Charge, FilterRefusal> {
        let patterns = filter.patterns();
        // Patterns may select every symbol, which takes one bit for each symbol.
        let selected = if patterns > 0 { symbols / 8 } else { 0 };
        let bytes = FILTER_BYTES + (filter.names().len() * NAME_BYTES + selected) * lanes;
        let charge = Charge {
            budget: Arc::clone(self),
            patterns,
            bytes,
        };
        let patterns_before = self.patterns.fetch_add(patterns, Ordering::Relaxed);
        let bytes_before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        match () {
            () if patterns > 0 && patterns_before + patterns > MAX_PATTERNS => {
                Err(FilterRefusal::Patterns)
            }
            () if bytes_before + bytes > max_bytes => Err(FilterRefusal::Bytes(max_bytes)),
            () => Ok(charge),
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget
            .patterns
            .fetch_sub(self.patterns, Ordering::Relaxed);
        self.budget.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Filters {
    /// Returns the statistics of all filters.
    pub(crate) fn stats(&self) -> FilterStats {
        let load = |number: &AtomicUsize| number.load(Ordering::Relaxed) as u64;
        let refused = self.refused.load(Ordering::Relaxed);
        FilterStats {
            patterns: load(&self.budget.patterns),
            bytes: load(&self.budget.bytes),
            refused,
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Filter, Weak<PreparedFilter>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the same filter if it is in use and its selection is complete, however old the
    /// selection is.
    fn selected(&self, filter: &Filter) -> Option<Arc<PreparedFilter>> {
        self.known()
            .get(filter)
            .and_then(Weak::upgrade)
            .filter(|known| known.selection().is_some())
    }

    /// Returns the same filter if it is in use and fresh enough. Otherwise returns a new filter,
    /// whose symbols are not selected yet.
    fn share(
        &self,
        filter: &Filter,
        (symbols, max_unseen): (usize, usize),
        limits: (usize, usize),
    ) -> Result<Arc<PreparedFilter>, FilterRefusal> {
        let mut known = self.known();
        let existing = known.get(filter).and_then(Weak::upgrade);
        if let Some(existing) = existing.filter(|existing| existing.is_fresh(symbols, max_unseen)) {
            return Ok(existing);
        }
        let charge = self.budget.charge(filter, symbols, limits)?;
        let prepared = Arc::new(PreparedFilter {
            selection: OnceCell::new(),
            _charge: charge,
        });
        known.insert(filter.clone(), Arc::downgrade(&prepared));
        if known.len().is_power_of_two() || known.len().is_multiple_of(CLEANUP_INTERVAL) {
            known.retain(|_, prepared| prepared.strong_count() > 0);
        }
        Ok(prepared)
    }
}

#[cfg(test)]
mod tests;
