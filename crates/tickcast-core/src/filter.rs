//! Filters: the symbols that a reader wants.

mod glob;
mod matcher;
mod narrow;
mod selection;
mod symbols;

use std::sync::Arc;

pub use selection::Selection;

use crate::{FilterHash, Symbol, SymbolError};
use glob::Glob;
pub use matcher::Matcher;
pub use narrow::NotAllowed;
pub use symbols::SymbolSet;

/// Maximum number of names and patterns in one filter: 1,000.
pub const MAX_FILTER_ENTRIES: usize = 1000;

/// Maximum number of patterns in one filter: 100. Each pattern must be compared with every symbol
/// of the market.
pub const MAX_FILTER_PATTERNS: usize = 100;

/// Filter for symbols: names, and patterns in which `*` matches any run of characters, including
/// none.
///
/// Make one with [`Filter::parse`] or [`Filter::all`]. Pass it to `tickcast::Subscription::to`. A
/// filter has at most 1,000 entries, of which at most 100 are patterns. Symbols that appear later
/// are included.
///
/// A filter is canonical. Two filters with the same names and patterns are equal, even if they were
/// written differently. The readers of equal filters share the rendered bytes. Filters are cheap to
/// clone: clones share their lists.
///
/// ```
/// # use tickcast_core::{Filter, Symbol};
/// let filter = Filter::parse(["AAPL", "BTC*"]).unwrap();
/// assert!(filter.matches(&Symbol::new("BTC-USD").unwrap()));
/// assert_eq!(filter, Filter::parse(["BTC*", "BTC-EUR", "AAPL", "AAPL"]).unwrap());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Names, sorted, without duplicates; no name is matched by a pattern.
    names: Arc<[Symbol]>,
    /// Patterns, sorted, without duplicates. If `*` is present, `*` is the only pattern.
    globs: Arc<[Glob]>,
    /// A second filter that must match as well, if names and patterns cannot say so themselves: see
    /// [`Filter::narrowed_to`].
    within: Option<Arc<Filter>>,
}

/// Reason why a list is not a [`Filter`]. Returned by [`Filter::parse`], [`Filter::with`] and
/// [`Filter::without`]. As a `tickcast::http::Problem`, the error has the status 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// The list has no entry. To select every symbol, use [`Filter::all`], or leave out the
    /// parameter `symbols` of a request.
    #[error("the list is empty; leave the list out to select all symbols")]
    Empty,
    /// The list has more than 1,000 entries (`MAX_FILTER_ENTRIES`). Contains the number of entries.
    #[error("{0} symbols are named, the limit is {MAX_FILTER_ENTRIES}")]
    TooMany(usize),
    /// The list has more than 100 patterns (`MAX_FILTER_PATTERNS`). Contains the number of
    /// patterns.
    #[error("{0} patterns are given, the limit is {MAX_FILTER_PATTERNS}")]
    TooManyPatterns(usize),
    /// A symbol cannot be removed because a remaining pattern matches it. Only [`Filter::without`]
    /// returns this error.
    #[error("{symbol} cannot be removed while the pattern {pattern} matches this symbol")]
    Covered {
        /// The symbol.
        symbol: Symbol,
        /// The pattern.
        pattern: String,
    },
    /// An entry is neither a symbol nor a pattern.
    #[error("entry {position}: {error}")]
    Entry {
        /// Position of the entry in the list, counted from 1. Empty entries count.
        position: usize,
        /// Reason why the entry is invalid.
        error: SymbolError,
    },
}

impl Filter {
    /// Returns the filter that selects every symbol, now and later.
    #[must_use]
    pub fn all() -> Self {
        Self::of(Arc::default(), [Glob::everything()].into())
    }

    /// Returns the filter that selects no symbol.
    #[must_use]
    pub fn none() -> Self {
        Self::of(Arc::default(), Arc::default())
    }

    const fn of(names: Arc<[Symbol]>, globs: Arc<[Glob]>) -> Self {
        Self {
            names,
            globs,
            within: None,
        }
    }

    /// Returns the number of patterns that a symbol is compared with.
    #[must_use]
    pub fn patterns(&self) -> usize {
        let within = self.within.as_deref();
        self.globs.len() + within.map_or(0, Self::patterns)
    }

    /// Returns the filter that selects what this filter or `other` selects. If this filter was
    /// [narrowed](Self::narrowed_to), narrow the result as well.
    ///
    /// # Errors
    /// If the result has more than 1,000 entries or more than 100 patterns.
    pub fn with(&self, other: &Self) -> Result<Self, FilterError> {
        let names = [&*self.names, &other.names].concat();
        let globs = [&*self.globs, &other.globs].concat();
        let both = Self::canonical(names, globs);
        match both.names.len() + both.globs.len() {
            count if count > MAX_FILTER_ENTRIES => Err(FilterError::TooMany(count)),
            _ if both.globs.len() > MAX_FILTER_PATTERNS => {
                Err(FilterError::TooManyPatterns(both.globs.len()))
            }
            _ => Ok(both.and_within(self.within.as_ref())),
        }
    }

    /// Returns this filter without the names and patterns of `other`. Entries of `other` that this
    /// filter does not have are ignored.
    ///
    /// # Errors
    /// If a remaining pattern matches a name that is removed.
    pub fn without(&self, other: &Self) -> Result<Self, FilterError> {
        let globs: Vec<_> = self
            .globs
            .iter()
            .filter(|glob| !other.globs.contains(glob))
            .cloned()
            .collect();
        let patterns = Self::of(Arc::default(), globs.into());
        let matcher = patterns.matcher();
        for symbol in other.names.iter() {
            if let Some(glob) = matcher.pattern_of(symbol) {
                return Err(FilterError::Covered {
                    symbol: *symbol,
                    pattern: glob.as_str().to_owned(),
                });
            }
        }
        let remains = |name: &&Symbol| other.names.binary_search(name).is_err();
        let names = self.names.iter().filter(remains).copied().collect();
        let rest = Self::of(names, Arc::clone(&patterns.globs));
        Ok(rest.and_within(self.within.as_ref()))
    }

    /// Returns the text of all entries: first the patterns, then the names.
    pub fn entries(&self) -> impl Iterator<Item = &str> {
        self.globs
            .iter()
            .map(Glob::as_str)
            .chain(self.names.iter().map(Symbol::as_str))
    }

    /// Makes a filter from names and patterns, in any order. Empty entries are ignored, for example
    /// after a trailing comma. A pattern has at most 65 bytes.
    ///
    /// # Errors
    /// If there are no entries, more than 1,000 entries or more than 100 patterns. If an entry is
    /// neither a symbol nor a pattern.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, FilterError> {
        let (mut names, mut globs) = (Vec::new(), Vec::new());
        let mut count = 0;
        for (i, text) in entries
            .into_iter()
            .enumerate()
            .filter(|(_, text)| !text.is_empty())
        {
            count += 1;
            if count > MAX_FILTER_ENTRIES {
                continue;
            }
            let entry_error = |error| FilterError::Entry {
                position: i + 1,
                error,
            };
            if text.contains('*') {
                globs.push(Glob::new(text).map_err(entry_error)?);
            } else {
                names.push(Symbol::new(text).map_err(entry_error)?);
            }
        }
        match count {
            0 => Err(FilterError::Empty),
            1..=MAX_FILTER_ENTRIES if globs.len() > MAX_FILTER_PATTERNS => {
                Err(FilterError::TooManyPatterns(globs.len()))
            }
            1..=MAX_FILTER_ENTRIES => Ok(Self::canonical(names, globs)),
            _ => Err(FilterError::TooMany(count)),
        }
    }

    /// Checks whether the filter selects `symbol`.
    #[must_use]
    pub fn matches(&self, symbol: &Symbol) -> bool {
        let matches = self.names.binary_search(symbol).is_ok()
            || self
                .globs
                .iter()
                .any(|glob| glob.matches(symbol.as_bytes()));
        matches
            && self
                .within
                .as_deref()
                .is_none_or(|within| within.matches(symbol))
    }

    /// Returns the hash of the filter. The ids of a changed stream contain it.
    #[must_use]
    pub fn filter_hash(&self) -> FilterHash {
        FilterHash::new(self.hash_after(0))
    }

    fn hash_after(&self, hash: u32) -> u32 {
        let hash = self.entries().fold(hash, |hash, entry| {
            crc32c::crc32c_append(crc32c::crc32c_append(hash, entry.as_bytes()), b",")
        });
        match &self.within {
            Some(within) => within.hash_after(crc32c::crc32c_append(hash, b"&")),
            None => hash,
        }
    }

    /// Checks whether the filter selects every symbol.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.within.is_none() && self.globs.first().is_some_and(Glob::is_everything)
    }

    /// Returns the names in the filter, without the patterns.
    #[must_use]
    pub fn names(&self) -> &[Symbol] {
        &self.names
    }

    /// Checks whether the filter has patterns, and so can match symbols that are not named in it.
    #[must_use]
    pub fn has_patterns(&self) -> bool {
        !self.globs.is_empty()
    }

    fn canonical(mut names: Vec<Symbol>, mut globs: Vec<Glob>) -> Self {
        if globs.iter().any(Glob::is_everything) {
            return Self::all();
        }
        globs.sort();
        globs.dedup();
        names.sort();
        names.dedup();
        let patterns = Self::of(Arc::default(), globs.into());
        let matcher = patterns.matcher();
        names.retain(|name| !matcher.matches(name));
        Self::of(names.into(), Arc::clone(&patterns.globs))
    }
}

impl From<Symbol> for Filter {
    /// Returns the filter that selects one symbol.
    fn from(symbol: Symbol) -> Self {
        Self::of([symbol].into(), Arc::default())
    }
}

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, entry) in self.entries().enumerate() {
            f.write_str(if i == 0 { "" } else { "," })?;
            f.write_str(entry)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Filter {
        Filter::parse(text.split(',')).unwrap()
    }

    #[test]
    fn filters_with_the_same_meaning_are_equal() {
        assert_eq!(filter("A,B,A"), filter("B,A"));
        assert_eq!(filter("A*,AB,B"), filter("B,A*"));
        assert_eq!(filter("A**B"), filter("A*B"));
        assert_eq!(filter("A,*,B*"), Filter::all());
        assert_ne!(filter("A"), filter("a"));
        assert_eq!(filter("B,A*,").to_string(), "A*,B");
    }

    #[test]
    fn a_filter_can_be_extended_and_reduced() {
        assert_eq!(filter("A,B").with(&filter("B,C*")), Ok(filter("A,B,C*")));
        assert_eq!(filter("A").with(&Filter::all()), Ok(Filter::all()));
        assert_eq!(
            filter("A,B,C*").without(&filter("A,C*,NOT")),
            Ok(filter("B"))
        );
        assert_eq!(filter("A").without(&filter("A")), Ok(Filter::none()));
        assert!(!Filter::none().matches(&Symbol::new("A").unwrap()) && !Filter::none().is_all());
        assert_eq!(
            Filter::all().without(&filter("A")).unwrap_err().to_string(),
            "A cannot be removed while the pattern * matches this symbol"
        );
        let names = |from: usize| {
            Filter::parse(
                (from..from + 600)
                    .map(|i| format!("S{i}"))
                    .collect::<Vec<_>>()
                    .iter()
                    .map(String::as_str),
            )
        };
        assert_eq!(
            names(0).unwrap().with(&names(600).unwrap()),
            Err(FilterError::TooMany(1200))
        );
    }

    #[test]
    fn invalid_lists_are_rejected() {
        assert_eq!(Filter::parse([]), Err(FilterError::Empty));
        assert_eq!(Filter::parse(["", ""]), Err(FilterError::Empty));
        let names: Vec<String> = (0..1001).map(|i| format!("S{i}")).collect();
        assert_eq!(
            Filter::parse(names.iter().map(String::as_str)),
            Err(FilterError::TooMany(1001))
        );
        assert!(Filter::parse(names[..1000].iter().map(String::as_str)).is_ok());
        assert_eq!(
            Filter::parse(["A", &"x".repeat(5000)])
                .unwrap_err()
                .to_string(),
            "entry 2: symbol has 5000 bytes, the limit is 32"
        );
        assert!(matches!(
            Filter::parse(["A B*"]),
            Err(FilterError::Entry { position: 1, .. })
        ));
    }
}
