//! Filters made ready for the lanes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tickcast_core::{Filter, Selection};

use super::{FilterRefusal, Prepared};
use crate::hub::Inner;

/// A selection is used again for a newcomer while the market has no more symbols that it has not seen.
const MAX_UNSEEN_SYMBOLS: usize = 1000;

/// So many comparisons of patterns with symbols are made at once, by whoever asks: less than a millisecond.
pub(super) const MAX_INLINE_COMPARISONS: usize = 4096;

impl Inner {
    /// Makes a filter ready for the lanes: for a newcomer, who is given the rest by the lane in its turn.
    pub(crate) async fn prepare(&self, filter: Filter) -> Result<Arc<Prepared>, FilterRefusal> {
        self.prepare_up_to(filter, MAX_UNSEEN_SYMBOLS).await
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
        let limits = (self.settings.lanes, self.settings.max_filter_bytes);
        loop {
            let before = self.filters.selected(&filter);
            let prepared = self.filters.share(&filter, (symbols, fresh), limits)?;
            if filter.has_patterns() && !filter.is_all() {
                let select = || self.select(&filter, before, symbols);
                prepared.selection.get_or_try_init(select).await?;
            }
            // What others had begun to select before may have missed the newest symbols.
            if prepared.is_fresh(symbols, fresh) {
                return Ok(prepared);
            }
        }
    }

    /// What a filter selects of so many symbols at least; most of it, where it is known, was selected `before`.
    pub(super) async fn select(
        &self,
        filter: &Filter,
        before: Option<Arc<Prepared>>,
        symbols: usize,
    ) -> Result<Selection, FilterRefusal> {
        let before = before.as_ref().and_then(|before| before.selection());
        let begun = before.cloned().unwrap_or_else(|| Selection::of_first(filter.clone(), &[]));
        let lacking = symbols.saturating_sub(begun.seen());
        if filter.patterns() * lacking <= MAX_INLINE_COMPARISONS {
            let mut selection = begun;
            // No more than that, however many have come meanwhile: others wait for the log.
            self.log.with(|log| selection.extend(log.market(), lacking, |_| {}));
            return Ok(selection);
        }
        self.filters.selector.select(begun, symbols, &self.log).await
    }
}
