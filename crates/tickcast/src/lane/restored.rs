//! Prices from before a restart. No source reports their state, so they are stale until they tick
//! again.

use tickcast_core::{Market, SourceId, SymbolId};

/// The symbols whose newest tick is from before a restart, and the symbols that have ticked since
/// then.
#[derive(Debug, Default)]
pub(super) struct RestoredSymbols {
    /// One bit for each symbol, by its number.
    unowned: Vec<u64>,
    unowned_count: usize,
    /// The revived symbols, in the order of their first tick. A session remembers an index in this
    /// list: later symbols have not been sent yet.
    revived: Vec<SymbolId>,
}

impl RestoredSymbols {
    /// Records a tick of a symbol, or the restored state of a symbol.
    #[inline]
    pub(super) fn observe(&mut self, id: SymbolId, source: SourceId) {
        // This is usually so, and each lane does it for each tick.
        if self.unowned_count == 0 && source != SourceId::UNKNOWN {
            return;
        }
        self.record(id, source);
    }

    fn record(&mut self, id: SymbolId, source: SourceId) {
        let (index, bit) = (id.index() / 64, 1 << (id.index() % 64));
        if source == SourceId::UNKNOWN {
            if index >= self.unowned.len() {
                self.unowned.resize(index + 1, 0);
            }
            self.unowned_count += usize::from(self.unowned[index] & bit == 0);
            self.unowned[index] |= bit;
        } else if let Some(word) = self.unowned.get_mut(index)
            && *word & bit > 0
        {
            *word &= !bit;
            self.unowned_count -= 1;
            self.revived.push(id);
        }
    }

    /// Records all symbols of the market, because the ticks since the last flush were not recorded
    /// one by one.
    pub(super) fn rescan(&mut self, market: &Market) {
        for id in market.ids_from(0).filter(|id| market.newest(*id).is_some()) {
            self.observe(id, market.source(id));
        }
    }

    /// Returns the number of symbols that have ticked since the restart.
    pub(super) fn revived_count(&self) -> usize {
        self.revived.len()
    }

    /// Returns the revived symbols after the first `sent` ones.
    pub(super) fn revived_after(&self, sent: usize) -> &[SymbolId] {
        self.revived.get(sent..).unwrap_or_default()
    }
}
