//! Narrows a filter to the symbols that its reader may read.

use std::sync::Arc;

use super::glob::Glob;
use super::{Filter, MAX_FILTER_ENTRIES, MAX_FILTER_PATTERNS};
use crate::Symbol;

/// Maximum number of symbols that a [`NotAllowed`] names: 10.
const MAX_NAMED: usize = 10;

/// Reason why a filter cannot be narrowed: it names symbols that its reader may not read. Returned
/// by [`Filter::narrowed_to`]. As a `tickcast::http::Problem`, the error has the status 403.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("you may not read {}{}", self.listed(), self.rest())]
pub struct NotAllowed {
    symbols: Box<[Symbol]>,
    count: usize,
}

impl NotAllowed {
    fn of(symbols: &[Symbol]) -> Self {
        Self {
            symbols: symbols.iter().take(MAX_NAMED).copied().collect(),
            count: symbols.len(),
        }
    }

    /// Returns the symbols, in order of names; at most the first 10.
    #[must_use]
    pub const fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    fn listed(&self) -> String {
        let names: Vec<_> = self.symbols.iter().map(Symbol::as_str).collect();
        names.join(", ")
    }

    fn rest(&self) -> String {
        match self.count - self.symbols.len() {
            0 => String::new(),
            rest => format!(" and {rest} more"),
        }
    }
}

impl Filter {
    /// Returns the filter that selects what both this filter and `allowed` select: what a reader
    /// asks for, narrowed to what this reader may read. Patterns are narrowed in silence, because
    /// they ask for whatever there is.
    ///
    /// Where possible, the result is written with names and patterns only, so that readers with
    /// different requests and permissions still share their bytes.
    ///
    /// # Errors
    /// If this filter names a symbol that `allowed` does not select. Whether the symbol exists does
    /// not matter.
    ///
    /// ```
    /// # use tickcast_core::Filter;
    /// let allowed = Filter::parse(["AAPL", "BTC*"]).unwrap();
    /// assert_eq!(Filter::all().narrowed_to(&allowed), Ok(allowed.clone()));
    /// assert!(Filter::parse(["MSFT"]).unwrap().narrowed_to(&allowed).is_err());
    /// ```
    pub fn narrowed_to(&self, allowed: &Self) -> Result<Self, NotAllowed> {
        let matcher = allowed.matcher();
        let refused: Vec<_> = self
            .names
            .iter()
            .filter(|name| !matcher.matches(name))
            .copied()
            .collect();
        if !refused.is_empty() {
            return Err(NotAllowed::of(&refused));
        }
        if allowed.is_all() {
            return Ok(self.clone());
        }
        let own = Self::of(Arc::clone(&self.names), Arc::clone(&self.globs));
        let narrowed = match own.written_within(allowed) {
            Some(narrowed) => narrowed,
            None => own.and_within(Some(&Arc::new(allowed.clone()))),
        };
        let other = self.within.as_ref().filter(|within| ***within != *allowed);
        Ok(narrowed.and_within(other))
    }

    /// Returns what this filter and `allowed` select, written with names and patterns only, or
    /// `None` if that takes patterns that neither of them has.
    fn written_within(&self, allowed: &Self) -> Option<Self> {
        if allowed.within.is_some() && self.has_patterns() {
            return None;
        }
        let mut names = self.names.to_vec();
        let own = Self::of(Arc::default(), Arc::clone(&self.globs));
        let matcher = own.matcher();
        names.extend(allowed.names.iter().filter(|name| matcher.matches(name)));
        let mut globs = Vec::new();
        for glob in self.globs.iter() {
            globs.extend(both(glob, &allowed.globs)?);
        }
        let narrowed = Self::canonical(names, globs);
        let entries = narrowed.names.len() + narrowed.globs.len();
        let fits = entries <= MAX_FILTER_ENTRIES && narrowed.globs.len() <= MAX_FILTER_PATTERNS;
        Some(narrowed).filter(|_| fits)
    }

    /// Returns this filter with one more filter that must match as well. Every name of the result
    /// matches it.
    pub(super) fn and_within(self, other: Option<&Arc<Self>>) -> Self {
        let Some(other) = other else { return self };
        let matcher = other.matcher();
        let names = self.names.iter().filter(|name| matcher.matches(name));
        let names = names.copied().collect();
        let within = match self.within {
            _ if self.globs.is_empty() => None,
            Some(within) => Some(Arc::new(
                Arc::unwrap_or_clone(within).and_within(Some(other)),
            )),
            None => Some(Arc::clone(other)),
        };
        Self {
            names,
            globs: self.globs,
            within,
        }
    }
}

/// Returns patterns for the names that match `glob` and one of `allowed`, or `None` if that takes
/// other patterns than these.
fn both(glob: &Glob, allowed: &[Glob]) -> Option<Vec<Glob>> {
    if allowed.iter().any(|allowed| allowed.covers(glob)) {
        return Some(vec![glob.clone()]);
    }
    let overlapping = allowed
        .iter()
        .filter(|allowed| !allowed.is_disjoint_from(glob));
    overlapping
        .map(|allowed| glob.covers(allowed).then(|| allowed.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::TestCaseError;

    use super::*;
    use crate::{FilterError, Market, Selection};

    fn filter(text: &str) -> Filter {
        Filter::parse(text.split(',')).unwrap()
    }

    #[test]
    fn a_request_is_narrowed_to_what_is_allowed() {
        let allowed = filter("AAPL,BTC*,ETH-*");
        let narrowed = |text: &str| filter(text).narrowed_to(&allowed);
        assert_eq!(narrowed("AAPL,BTC-USD"), Ok(filter("AAPL,BTC-USD")));
        assert_eq!(narrowed("*"), Ok(allowed.clone()));
        assert_eq!(narrowed("BTC-*"), Ok(filter("BTC-*")));
        assert_eq!(narrowed("B*,A*"), Ok(filter("AAPL,BTC*")));
        assert_eq!(narrowed("X*"), Ok(Filter::none()));
        let both = narrowed("*-USD").unwrap();
        let symbol = |name: &str| Symbol::new(name).unwrap();
        assert!(both.matches(&symbol("BTC-USD")) && !both.matches(&symbol("SOL-USD")));
        assert_eq!((both.to_string().as_str(), both.patterns()), ("*-USD", 3));
        assert_ne!(both.filter_hash(), filter("*-USD").filter_hash());
        assert_eq!(both.narrowed_to(&allowed), Ok(both));
        let refused = narrowed("MSFT,AAPL,BTC*,GOOG").unwrap_err();
        assert_eq!(refused.to_string(), "you may not read GOOG, MSFT");
        let many: Vec<_> = (0..12).map(|n| format!("S{n:02}")).collect();
        let refused = narrowed(&many.join(",")).unwrap_err().to_string();
        assert!(refused.ends_with("S08, S09 and 2 more"), "{refused}");
    }

    /// A filter of short names and patterns over two letters, so that many of them overlap.
    fn any_filter() -> impl Strategy<Value = Filter> {
        prop::collection::vec("[AB*]{1,5}", 1..6)
            .prop_map(|entries| Filter::parse(entries.iter().map(String::as_str)).unwrap())
    }

    /// Checks that every way to select symbols agrees with the definition.
    fn check_selection(
        filter: &Filter,
        names: impl Iterator<Item = Symbol>,
    ) -> Result<(), TestCaseError> {
        let mut market = Market::default();
        let names: Vec<_> = names.collect();
        names.iter().for_each(|name| _ = market.list_symbol(*name));
        let selection = Selection::new(filter.clone(), &market);
        for name in &names {
            let id = market.id(name).unwrap();
            prop_assert_eq!(
                selection.contains(id),
                filter.matches(name),
                "{} in {}",
                name,
                filter
            );
        }
        let listed = selection
            .in_order(&market, None)
            .map(|id| market.symbol(id));
        let mut expected: Vec<_> = names
            .iter()
            .filter(|name| filter.matches(name))
            .copied()
            .collect();
        expected.sort();
        prop_assert_eq!(listed.collect::<Vec<_>>(), expected);
        if filter.has_patterns() {
            let first = Selection::of_first(filter.clone(), &names);
            prop_assert_eq!(
                first.ids().collect::<Vec<_>>(),
                selection.ids().collect::<Vec<_>>()
            );
        }
        prop_assert!(!filter.is_all() || names.iter().all(|name| filter.matches(name)));
        Ok(())
    }

    proptest! {
        #[test]
        fn a_narrowed_filter_selects_what_both_select(
            wanted in any_filter(), allowed in any_filter(), more in any_filter(),
        ) {
            let names = || (1..=5u32).flat_map(|length| (0..1 << length).map(move |bits: u32| {
                let name: String = (0..length).map(|i| if bits >> i & 1 == 0 { 'A' } else { 'B' }).collect();
                Symbol::new(&name).unwrap()
            }));
            let named = wanted.names().iter().all(|name| allowed.matches(name));
            let Ok(narrowed) = wanted.narrowed_to(&allowed) else {
                prop_assert!(!named);
                return Ok(());
            };
            prop_assert!(named);
            let matcher = narrowed.matcher();
            for name in names() {
                let expected = wanted.matches(&name) && allowed.matches(&name);
                prop_assert_eq!(narrowed.matches(&name), expected, "{} of {} in {}", name, wanted, allowed);
                prop_assert_eq!(matcher.matches(&name), expected);
            }
            // What a narrowed filter permits is a permission like any other.
            for again in [narrowed.narrowed_to(&more), more.narrowed_to(&narrowed)].into_iter().flatten() {
                for name in names() {
                    prop_assert_eq!(again.matches(&name), narrowed.matches(&name) && more.matches(&name));
                }
                check_selection(&again, names())?;
            }
            // A change, and narrowing again, never selects more than what is allowed.
            let changed = [narrowed.with(&more), narrowed.without(&more), Filter::all().narrowed_to(&narrowed).map_err(|_| FilterError::Empty)];
            for changed in changed.into_iter().flatten() {
                check_selection(&changed, names())?;
                let Ok(changed) = changed.narrowed_to(&allowed) else { continue };
                for name in names() {
                    prop_assert!(!changed.matches(&name) || allowed.matches(&name), "{} of {}", name, changed);
                }
                check_selection(&changed, names())?;
            }
        }
    }
}
