//! Prepares filters for the lanes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tickcast_core::{Filter, Selection};

use super::{FilterRefusal, PreparedFilter};
use crate::hub::Inner;

/// Maximum number of symbols missing from a selection that is reused for a new stream.
const MAX_UNSEEN_SYMBOLS: usize = 1000;

/// Maximum number of comparisons of patterns with symbols that the caller's task makes inline. This
/// takes less than a millisecond.
pub(super) const MAX_INLINE_COMPARISONS: usize = 4096;

impl Inner {
    /// Prepares a filter for a new stream. The lane later compares the filter with the symbols that
    /// are missing.
    pub(crate) async fn prepare(
        &self,
        filter: Filter,
    ) -> Result<Arc<PreparedFilter>, FilterRefusal> {
        self.prepare_up_to(filter, MAX_UNSEEN_SYMBOLS).await
    }

    /// Prepares a filter for a change with no symbol missing, because a lane applies a change at
    /// once.
    pub(crate) async fn prepare_wholly(
        &self,
        filter: Filter,
    ) -> Result<Arc<PreparedFilter>, FilterRefusal> {
        self.prepare_up_to(filter, 0).await
    }

    async fn prepare_up_to(
        &self,
        filter: Filter,
        max_unseen: usize,
    ) -> Result<Arc<PreparedFilter>, FilterRefusal> {
        let prepared = self.try_prepare(filter, max_unseen).await;
        if prepared.is_err() {
            self.filters.refused.fetch_add(1, Ordering::Relaxed);
        }
        prepared
    }

    async fn try_prepare(
        &self,
        filter: Filter,
        max_unseen: usize,
    ) -> Result<Arc<PreparedFilter>, FilterRefusal> {
        let symbols = self.log.read(|log| log.market().len());
        let limits = (self.settings.lanes, self.settings.max_filter_bytes);
        loop {
            let previous = self.filters.selected(&filter);
            let prepared = self.filters.share(&filter, (symbols, max_unseen), limits)?;
            if filter.has_patterns() && !filter.is_all() {
                let select = || self.select(&filter, previous, symbols);
                prepared.selection.get_or_try_init(select).await?;
            }
            // A selection that others started earlier may have missed the newest symbols.
            if prepared.is_fresh(symbols, max_unseen) {
                return Ok(prepared);
            }
        }
    }

    /// Selects the symbols of a filter among at least the first `symbols` symbols. If a selection
    /// was made `previous`, the new selection continues from it.
    pub(super) async fn select(
        &self,
        filter: &Filter,
        previous: Option<Arc<PreparedFilter>>,
        symbols: usize,
    ) -> Result<Selection, FilterRefusal> {
        let previous = previous.as_ref().and_then(|previous| previous.selection());
        let partial = previous
            .cloned()
            .unwrap_or_else(|| Selection::of_first(filter.clone(), &[]));
        let missing = symbols.saturating_sub(partial.seen());
        if filter.patterns() * missing <= MAX_INLINE_COMPARISONS {
            return Ok(partial.extended_to(self.log.names(), symbols));
        }
        self.filters
            .selector
            .select(partial, symbols, &self.log)
            .await
    }
}
