//! A filter applied to a market.

use std::sync::Arc;

use super::SymbolSet;
use crate::{Filter, Market, Names, Symbol, SymbolId};

/// A filter, and the symbols of one market that the filter selects so far. Pass it to the functions
/// of [`sse::render`](crate::sse::render), always with the same market.
///
/// A selection does not follow its market. First make it with [`new`](Self::new). When the market
/// has new symbols, update it: with [`extend`](Self::extend) if the filter has patterns, and with
/// [`add`](Self::add) if the filter only has names. [`seen`](Self::seen) tells how many symbols
/// were compared. To compare in another thread, without a market, use [`of_first`](Self::of_first),
/// and [`extended`](Self::extended) with a list of symbols, or [`extended_to`](Self::extended_to)
/// with the names that the market shares.
///
/// Clones share the selected symbols, until one of them selects another symbol.
///
/// ```
/// # use tickcast_core::{Epoch, Filter, Limits, Now, Selection, Sequencer, SourceId, SourceOptions, Tick};
/// # let mut log = Sequencer::new(Epoch::new(7), Limits::default());
/// # let publish = |log: &mut Sequencer, name: &str| {
/// #     let tick = Tick::from_json(format!(r#"{{"symbol":"{name}","price":1}}"#).as_bytes()).unwrap();
/// #     log.accept(&tick, SourceId::default(), SourceOptions::default(), Now::default()).unwrap();
/// # };
/// publish(&mut log, "BTC-USD");
/// let mut selection = Selection::new(Filter::parse(["BTC*"]).unwrap(), log.market());
/// publish(&mut log, "AAPL");
/// publish(&mut log, "BTC-EUR");
/// let mut added = 0;
/// let compared = selection.extend(log.market(), usize::MAX, |_| added += 1);
/// assert_eq!((compared, added, selection.len()), (2, 1, 2));
/// ```
#[derive(Debug, Clone)]
pub struct Selection {
    filter: Filter,
    selected: Selected,
    /// Number of symbols of the market that were compared with the filter.
    seen: usize,
}

/// The selected symbols.
#[derive(Debug, Clone)]
enum Selected {
    /// Every symbol, now and later.
    All,
    These(Arc<SymbolSet>),
}

impl Selection {
    /// Makes the selection of the symbols of `market` that `filter` selects. All symbols of
    /// `market` count as compared.
    #[must_use]
    pub fn new(filter: Filter, market: &Market) -> Self {
        let mut selection = Self::of(filter);
        if selection.filter.has_patterns() {
            selection.extend(market, usize::MAX, |_| {});
        } else {
            let ids = selection
                .filter
                .names()
                .iter()
                .filter_map(|name| market.id(name));
            (selection.selected, selection.seen) =
                (Selected::These(Arc::new(ids.collect())), market.len());
        }
        selection
    }

    /// Makes a selection from a filter with patterns, without a market. `first_symbols` are the
    /// first symbols of a market, in order of first appearance. The result is the same as that of
    /// [`new`](Self::new) for a market with only these symbols. For a filter without patterns, use
    /// `new`.
    #[must_use]
    pub fn of_first(filter: Filter, first_symbols: &[Symbol]) -> Self {
        Self::of(filter).extended(first_symbols)
    }

    /// Compares more symbols with the filter, without a market, and returns the grown selection.
    /// `first_symbols` are the first symbols of the market, in order of first appearance, including
    /// the symbols that were already [compared](Self::seen). These are skipped.
    #[must_use]
    pub fn extended(self, first_symbols: &[Symbol]) -> Self {
        self.compared(first_symbols.len(), |id| &first_symbols[id.index()])
    }

    /// Compares more symbols with the filter, without a market, and returns the grown selection.
    /// `names` are those of the market, and `symbols` is the number of them that have to be
    /// compared, including the symbols that were already [compared](Self::seen). There must be so
    /// many names.
    #[must_use]
    pub fn extended_to(self, names: &Names, symbols: usize) -> Self {
        self.compared(symbols, |id| names.symbol(id))
    }

    fn compared<'s>(mut self, symbols: usize, symbol: impl Fn(SymbolId) -> &'s Symbol) -> Self {
        let filter = self.filter.clone();
        let matcher = filter.matcher();
        for id in (self.seen..symbols).map(SymbolId::at) {
            if matcher.matches(symbol(id)) {
                self.select(id);
            }
        }
        self.seen = self.seen.max(symbols);
        self
    }

    fn of(filter: Filter) -> Self {
        let selected = if filter.is_all() {
            Selected::All
        } else {
            Selected::These(Arc::default())
        };
        Self {
            filter,
            selected,
            seen: 0,
        }
    }

    /// Compares the symbols of `market` that are new since the last comparison, at most `max` of
    /// them. Calls `each` for each symbol that the filter selects. Returns the number of compared
    /// symbols; 0 means that there are no new symbols.
    pub fn extend(&mut self, market: &Market, max: usize, mut each: impl FnMut(SymbolId)) -> usize {
        let filter = self.filter.clone();
        let matcher = filter.matcher();
        let before = self.seen;
        for id in market.ids_from(before).take(max) {
            if matcher.matches(market.name(id)) {
                self.select(id);
                each(id);
            }
            self.seen += 1;
        }
        self.seen - before
    }

    /// Adds a new symbol of the market that the filter names. Use this for a filter without
    /// patterns, instead of [`extend`](Self::extend). Does not change [`seen`](Self::seen). Adding
    /// a symbol twice has no effect. The order does not matter, but adding symbols in order of
    /// first appearance is fastest. A selection of every symbol does not change.
    pub fn add(&mut self, id: SymbolId) {
        self.select(id);
    }

    fn select(&mut self, id: SymbolId) {
        match &mut self.selected {
            Selected::All => {}
            Selected::These(ids) => _ = Arc::make_mut(ids).insert(id),
        }
    }

    /// Returns the filter.
    #[must_use]
    pub const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Returns the number of symbols of the market that were compared with the filter: by `new`,
    /// `of_first`, `extended` and `extend`. For a filter without patterns, this is the size of the
    /// market at the call of [`new`](Self::new).
    #[must_use]
    pub const fn seen(&self) -> usize {
        self.seen
    }

    /// Checks whether the selection is large: more than 1,024 symbols, or every symbol. A large
    /// selection is stored as a bitmap or as "all", not as a list.
    ///
    /// Iteration over [`ids`](Self::ids) of a large selection takes time in proportion to the whole
    /// market. So a caller should test single symbols with [`contains`](Self::contains) instead.
    #[must_use]
    pub fn is_wide(&self) -> bool {
        match &self.selected {
            Selected::All => true,
            Selected::These(ids) => ids.is_wide(),
        }
    }

    /// Returns the number of selected symbols among the compared symbols.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.selected {
            Selected::All => self.seen,
            Selected::These(ids) => ids.len(),
        }
    }

    /// Checks whether no symbol is selected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the selected symbols, in order of first appearance. For a selection of every symbol,
    /// these are the compared symbols.
    pub fn ids(&self) -> impl Iterator<Item = SymbolId> + '_ {
        let (all, these) = match &self.selected {
            Selected::All => (self.seen, None),
            Selected::These(ids) => (0, Some(ids)),
        };
        (0..all)
            .map(SymbolId::at)
            .chain(these.into_iter().flat_map(|these| these.ids()))
    }

    /// Returns the selected symbols in order of their names. The first symbol is the first one
    /// after `after`, without `after` itself. `None` means from the start.
    pub fn in_order<'m>(
        &'m self,
        market: &'m Market,
        after: Option<Symbol>,
    ) -> impl Iterator<Item = SymbolId> + 'm {
        // A filter without patterns is already sorted, and short. Patterns may select the whole
        // market.
        let names = self.filter.names();
        let start = after.map_or(0, |after| names.partition_point(|name| *name <= after));
        let (names, all) = match self.filter.has_patterns() {
            true => (&[][..], Some(market.ids_by_name(after))),
            false => (&names[start..], None),
        };
        let selected = all.into_iter().flatten().filter(|id| self.contains(*id));
        let named = names.iter().filter_map(|name| market.id(name));
        named.chain(selected)
    }

    /// Returns the selected symbols among the compared symbols, or `None` if every symbol is
    /// selected.
    #[inline]
    pub(crate) fn listed(&self) -> Option<&SymbolSet> {
        match &self.selected {
            Selected::All => None,
            Selected::These(ids) => Some(ids),
        }
    }

    /// Checks whether the symbol is selected. A selection of every symbol also contains symbols
    /// that were not compared yet.
    #[must_use]
    #[inline]
    pub fn contains(&self, id: SymbolId) -> bool {
        self.listed().is_none_or(|ids| ids.contains(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::symbols::MAX_LISTED;

    #[test]
    fn small_and_large_selections_agree() {
        let mut market = Market::default();
        let names: Vec<_> = (0..5000)
            .map(|i| Symbol::new(&format!("{}{i}", if i % 3 == 0 { "S" } else { "T" })).unwrap())
            .collect();
        let filter = Filter::parse(["S*", "T1*"]).unwrap();
        let mut growing = Selection::new(filter.clone(), &market);
        for (i, name) in names.iter().enumerate() {
            let id = market.list_symbol(*name);
            let mut added = Vec::new();
            growing.extend(&market, 1 + i % 2, |id| added.push(id));
            assert_eq!(
                added,
                if filter.matches(name) {
                    vec![id]
                } else {
                    vec![]
                }
            );
            assert_eq!(growing.contains(id), filter.matches(name));
            if i % 997 == 0 {
                assert_eq!(growing.ids().count(), growing.len());
            }
        }
        let prepared = Selection::of_first(filter.clone(), &names);
        let in_steps = Selection::of_first(filter.clone(), &names[..1234])
            .extended(&names)
            .extended(&names[..9]);
        let at_once = Selection::new(filter.clone(), &market);
        let selected: Vec<_> = names
            .iter()
            .zip(market.ids_from(0))
            .filter(|(name, _)| filter.matches(name))
            .collect();
        for selection in [&growing, &prepared, &in_steps, &at_once] {
            assert!(selection.is_wide() && selection.seen() == 5000);
            assert_eq!(
                selection.ids().collect::<Vec<_>>(),
                selected.iter().map(|(_, id)| *id).collect::<Vec<_>>()
            );
        }
        let few = Selection::of_first(Filter::parse(["S1*"]).unwrap(), &names[..1000]);
        assert!(!few.is_wide() && few.len() < MAX_LISTED && few.len() == few.ids().count());
    }
}
