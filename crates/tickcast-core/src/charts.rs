//! The candles of all symbols together, within a limit.

use crate::quote::TickTime;
use crate::{Candles, Price, SymbolId};

/// Maximum number of symbols that drop candles each time the total has grown. Four symbols are
/// enough to return below the limit.
const SHRINK_STEPS: usize = 4;

/// A price that the candles of a symbol have to include.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewPrice {
    pub(crate) price: Price,
    pub(crate) when: TickTime,
}

/// The candles of all symbols.
#[derive(Debug)]
pub(crate) struct Charts {
    /// One entry per symbol, by [`SymbolId`].
    candles: Vec<Candles>,
    /// Number of closed candles of all symbols together.
    total: usize,
    /// Maximum of `total`. Each symbol may have some candles whatever the maximum is.
    max: usize,
    /// Last symbol that was asked to drop candles when there were too many.
    last_shrunk: usize,
}

impl Charts {
    /// Makes room for `symbols` symbols, and for `max` closed candles of all symbols together.
    pub(crate) fn new(symbols: usize, max: usize) -> Self {
        Self {
            candles: Vec::with_capacity(symbols),
            total: 0,
            max,
            last_shrunk: 0,
        }
    }

    /// Returns the number of closed candles of all symbols together.
    pub(crate) const fn total(&self) -> usize {
        self.total
    }

    /// Adds a symbol, which has the next number.
    pub(crate) fn add_symbol(&mut self) {
        self.candles.push(Candles::new());
    }

    /// Returns the candles of a symbol.
    pub(crate) fn of(&self, id: SymbolId) -> &Candles {
        &self.candles[id.index()]
    }

    /// Adds a price to the candles of a symbol. If the total exceeds the limit, some symbols drop
    /// the candles above their share. Each call asks at most [`SHRINK_STEPS`] symbols.
    pub(crate) fn add(&mut self, id: SymbolId, NewPrice { price, when }: NewPrice) {
        let share = self.share();
        let candles = &mut self.candles[id.index()];
        let grown = candles.add(when.effective, price, when.horizon, share);
        self.total = self.total.saturating_add_signed(grown);
        if grown <= 0 {
            return;
        }
        for _ in 0..SHRINK_STEPS {
            if self.total <= self.max {
                return;
            }
            self.last_shrunk = (self.last_shrunk + 1) % self.candles.len();
            let candles = &mut self.candles[self.last_shrunk];
            let before = candles.len();
            candles.shrink(share);
            self.total -= before - candles.len();
        }
    }

    /// Replaces the candles of a symbol.
    pub(crate) fn set(&mut self, id: SymbolId, candles: Candles) {
        let own = &mut self.candles[id.index()];
        self.total -= own.len();
        self.total += candles.len();
        *own = candles;
    }

    /// Drops the candles of a symbol.
    pub(crate) fn forget(&mut self, id: SymbolId) {
        self.set(id, Candles::new());
    }

    /// Returns the maximum number of closed candles of one symbol.
    fn share(&self) -> usize {
        self.max
            .checked_div(self.candles.len())
            .unwrap_or(self.max)
            .max(Candles::MIN_BARS)
    }
}
