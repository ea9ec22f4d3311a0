//! A filter applied to a market.

use crate::{Filter, Market, Symbol, SymbolId};

/// A filter, and the symbols of one market that it wants so far.
#[derive(Debug, Clone)]
pub struct Selection {
    filter: Filter,
    /// Ascending.
    ids: Vec<SymbolId>,
    /// How many symbols of the market have been looked at.
    seen: usize,
}

impl Selection {
    /// The symbols of `market` that `filter` wants.
    #[must_use]
    pub fn new(filter: Filter, market: &Market) -> Self {
        let mut selection = Self { ids: Vec::new(), seen: 0, filter };
        if selection.filter.has_patterns() {
            selection.extend(market);
        } else {
            selection.ids = selection.filter.names().iter().filter_map(|name| market.id(name)).collect();
            selection.ids.sort_unstable();
            selection.seen = market.len();
        }
        selection
    }

    /// Looks at the symbols that came to `market` since; returns those that are wanted.
    pub fn extend(&mut self, market: &Market) -> &[SymbolId] {
        let before = self.ids.len();
        let fresh = market.ids_from(self.seen).filter(|id| self.filter.matches(&market.symbol(*id)));
        self.ids.extend(fresh);
        self.seen = market.len();
        &self.ids[before..]
    }

    /// The filter.
    #[must_use]
    pub const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// The wanted symbols, in order of first appearance.
    #[must_use]
    pub fn ids(&self) -> &[SymbolId] {
        &self.ids
    }

    /// The wanted symbols in order of their names, beginning after `after`.
    pub fn in_order<'m>(
        &'m self,
        market: &'m Market,
        after: Option<Symbol>,
    ) -> impl Iterator<Item = (Symbol, SymbolId)> + 'm {
        // A filter of names alone is in order already, and short; patterns may want the whole market.
        let names = self.filter.names();
        let start = after.map_or(0, |after| names.partition_point(|name| *name <= after));
        let (names, all) = match self.filter.has_patterns() {
            true => (None, Some(market.names_after(after).filter(|(_, id)| self.contains(*id)))),
            false => (Some(names[start..].iter().filter_map(|name| Some((*name, market.id(name)?)))), None),
        };
        names.into_iter().flatten().chain(all.into_iter().flatten())
    }

    /// Whether the symbol is wanted.
    #[must_use]
    pub fn contains(&self, id: SymbolId) -> bool {
        self.filter.is_all() || self.ids.binary_search(&id).is_ok()
    }
}
