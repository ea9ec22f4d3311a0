//! Prices from before a restart. No source reports their state, so they are stale until they tick
//! again.

use tickcast_core::{Market, Seq, SourceId, SymbolId};

/// The symbols whose newest tick is from before a restart, and the changes of this since then.
#[derive(Debug, Default)]
pub(super) struct RestoredSymbols {
    /// One bit for each symbol, by its number.
    unowned: Vec<u64>,
    unowned_count: usize,
    /// The symbols that became such a symbol or ceased to be one, in order, each with the sequence
    /// number of the tick. A session remembers an index in this list: later changes have not been
    /// sent yet.
    changes: Vec<(SymbolId, Seq)>,
    /// Whether the lane has looked at the whole market. What it finds first is no change.
    has_scanned: bool,
}

impl RestoredSymbols {
    /// Records a tick of a symbol, or the restored state of a symbol.
    #[inline]
    pub(super) fn observe(&mut self, id: SymbolId, source: SourceId, seq: Seq) {
        // This is usually so, and each lane does it for each tick.
        if self.unowned_count == 0 && source != SourceId::UNKNOWN {
            return;
        }
        if self.record(id, source) {
            self.changes.push((id, seq));
        }
    }

    /// Returns whether this is a change.
    fn record(&mut self, id: SymbolId, source: SourceId) -> bool {
        let (index, bit) = (id.index() / 64, 1 << (id.index() % 64));
        if index >= self.unowned.len() {
            if source != SourceId::UNKNOWN {
                return false;
            }
            self.unowned.resize(index + 1, 0);
        }
        let word = &mut self.unowned[index];
        let is_change = (*word & bit > 0) != (source == SourceId::UNKNOWN);
        if is_change {
            *word ^= bit;
            match source {
                SourceId::UNKNOWN => self.unowned_count += 1,
                _ => self.unowned_count -= 1,
            }
        }
        is_change
    }

    /// Records all symbols of the market, because the ticks since the last flush were not recorded
    /// one by one.
    pub(super) fn rescan(&mut self, market: &Market) {
        for id in market.ids_from(0).filter(|id| market.newest(*id).is_some()) {
            if self.record(id, market.source(id)) && self.has_scanned {
                self.changes.push((id, market.last_seq(id)));
            }
        }
        self.has_scanned = true;
    }

    /// Returns the number of changes so far.
    pub(super) const fn changes(&self) -> usize {
        self.changes.len()
    }

    /// Returns the changes after the first `sent` ones.
    pub(super) fn changes_after(&self, sent: usize) -> &[(SymbolId, Seq)] {
        self.changes.get(sent..).unwrap_or_default()
    }
}
