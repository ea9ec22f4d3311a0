//! Prices from before a restart: nobody says any more how they are, so they are stale until they tick again.

use std::collections::HashSet;

use tickcast_core::{Market, SourceId, SymbolId};

/// The symbols whose newest tick is from before a restart, and those that have ticked since.
#[derive(Debug, Default)]
pub(super) struct RestoredSymbols {
    unowned: HashSet<SymbolId>,
    /// In the order in which they ticked. A reader has a place in it: what comes after, it has yet to be told.
    revived: Vec<SymbolId>,
}

impl RestoredSymbols {
    /// A symbol has ticked, or what it stood at was restored.
    pub(super) fn observe(&mut self, id: SymbolId, origin: SourceId) {
        if origin == SourceId::UNKNOWN {
            self.unowned.insert(id);
        } else if self.unowned.remove(&id) {
            self.revived.push(id);
        }
    }

    /// The market is another one than at the last look.
    pub(super) fn rescan(&mut self, market: &Market) {
        for id in market.ids_from(0).filter(|id| market.newest(*id).is_some()) {
            self.observe(id, market.source(id));
        }
    }

    /// How many have ticked since.
    pub(super) fn revived_count(&self) -> usize {
        self.revived.len()
    }

    /// Those that did after so many others.
    pub(super) fn revived_after(&self, told: usize) -> &[SymbolId] {
        self.revived.get(told..).unwrap_or_default()
    }
}
