//! A filter applied to a market.

use super::SymbolSet;
use crate::{Filter, Market, Symbol, SymbolId};

/// A filter, and the symbols of one market that the filter selects so far.
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
    These(SymbolSet),
}

impl Selection {
    /// Makes the selection of the symbols of `market` that `filter` selects.
    #[must_use]
    pub fn new(filter: Filter, market: &Market) -> Self {
        let mut selection = Self::of(filter);
        if selection.filter.has_patterns() {
            selection.extend(market, usize::MAX, |_| {});
        } else {
            let ids = selection.filter.names().iter().filter_map(|name| market.id(name));
            (selection.selected, selection.seen) = (Selected::These(ids.collect()), market.len());
        }
        selection
    }

    /// Makes a selection from a filter with patterns and the first symbols of a market, in order of first
    /// appearance. The result is the same as that of [`new`](Self::new), but no market is needed.
    #[must_use]
    pub fn of_first(filter: Filter, symbols: &[Symbol]) -> Self {
        Self::of(filter).extended(symbols)
    }

    /// Returns the selection after comparing those of the market's first symbols that were not compared
    /// before.
    #[must_use]
    pub fn extended(mut self, symbols: &[Symbol]) -> Self {
        let filter = self.filter.clone();
        let matcher = filter.matcher();
        let new = SymbolId::all(symbols).skip(self.seen);
        for (id, _) in new.filter(|(_, symbol)| matcher.matches(symbol)) {
            self.select(id);
        }
        self.seen = self.seen.max(symbols.len());
        self
    }

    fn of(filter: Filter) -> Self {
        let selected = if filter.is_all() { Selected::All } else { Selected::These(SymbolSet::new()) };
        Self { filter, selected, seen: 0 }
    }

    /// Compares new symbols of `market` with the filter, at most `max` of them, and calls `each` for each
    /// selected symbol. Returns the number of compared symbols.
    pub fn extend(&mut self, market: &Market, max: usize, mut each: impl FnMut(SymbolId)) -> usize {
        let filter = self.filter.clone();
        let matcher = filter.matcher();
        let before = self.seen;
        for id in market.ids_from(before).take(max) {
            if matcher.matches(&market.symbol(id)) {
                self.select(id);
                each(id);
            }
            self.seen += 1;
        }
        self.seen - before
    }

    /// Adds a symbol that the filter names and that is new in the market. The symbol must come after all
    /// known symbols.
    pub fn add(&mut self, id: SymbolId) {
        self.select(id);
    }

    fn select(&mut self, id: SymbolId) {
        match &mut self.selected {
            Selected::All => {}
            Selected::These(ids) => _ = ids.insert(id),
        }
    }

    /// Returns the filter.
    #[must_use]
    pub const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Returns the number of symbols of the market that were compared with the filter.
    #[must_use]
    pub const fn seen(&self) -> usize {
        self.seen
    }

    /// Checks whether so many symbols are selected that they are stored as a bitmap or as "all", not as a
    /// list. Then a caller should test single symbols with [`contains`](Self::contains).
    #[must_use]
    pub const fn is_wide(&self) -> bool {
        match &self.selected {
            Selected::All => true,
            Selected::These(ids) => ids.is_wide(),
        }
    }

    /// Returns the number of selected symbols.
    #[must_use]
    pub const fn len(&self) -> usize {
        match &self.selected {
            Selected::All => self.seen,
            Selected::These(ids) => ids.len(),
        }
    }

    /// Checks whether no symbol is selected.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the selected symbols, in order of first appearance.
    pub fn ids(&self) -> impl Iterator<Item = SymbolId> + '_ {
        let (all, these) = match &self.selected {
            Selected::All => (self.seen, None),
            Selected::These(ids) => (0, Some(ids)),
        };
        (0..all).map(SymbolId::at).chain(these.into_iter().flat_map(SymbolSet::ids))
    }

    /// Returns the selected symbols in order of their names, starting after `after`.
    pub fn in_order<'m>(
        &'m self,
        market: &'m Market,
        after: Option<Symbol>,
    ) -> impl Iterator<Item = (Symbol, SymbolId)> + 'm {
        // A filter without patterns is already sorted, and short. Patterns may select the whole market.
        let names = self.filter.names();
        let start = after.map_or(0, |after| names.partition_point(|name| *name <= after));
        let (names, all) = match self.filter.has_patterns() {
            true => (None, Some(market.names_after(after).filter(|(_, id)| self.contains(*id)))),
            false => (Some(names[start..].iter().filter_map(|name| Some((*name, market.id(name)?)))), None),
        };
        names.into_iter().flatten().chain(all.into_iter().flatten())
    }

    /// Checks whether the symbol is selected.
    #[must_use]
    pub fn contains(&self, id: SymbolId) -> bool {
        match &self.selected {
            Selected::All => true,
            Selected::These(ids) => ids.contains(id),
        }
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
            let id = market.add_symbol(*name);
            let mut added = Vec::new();
            growing.extend(&market, 1 + i % 2, |id| added.push(id));
            assert_eq!(added, if filter.matches(name) { vec![id] } else { vec![] });
            assert_eq!(growing.contains(id), filter.matches(name));
            if i % 997 == 0 {
                assert_eq!(growing.ids().count(), growing.len());
            }
        }
        let prepared = Selection::of_first(filter.clone(), &names);
        let in_steps =
            Selection::of_first(filter.clone(), &names[..1234]).extended(&names).extended(&names[..9]);
        let at_once = Selection::new(filter.clone(), &market);
        let selected: Vec<_> =
            names.iter().zip(market.ids_from(0)).filter(|(name, _)| filter.matches(name)).collect();
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
