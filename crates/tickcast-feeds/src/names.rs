//! The exchange's name and the local name of each symbol.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tickcast::Symbol;
use tickcast::error::SymbolError;

use crate::exchange::DecodeError;
use crate::wire::excerpt;

/// The symbols of a feed: the exchange's name and the local name of each symbol. Made by
/// [`SymbolMap::new`]. Pass it to an exchange such as [`Kraken::ticker`](crate::Kraken::ticker) and
/// to [`Feed::new`](crate::Feed::new). Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct SymbolMap(Arc<Inner>);

#[derive(Debug, PartialEq)]
struct Inner {
    list: Vec<(String, Symbol)>,
    by_name: HashMap<String, Symbol>,
}

/// An error in the names of symbols. Returned by [`SymbolMap::new`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SymbolMapError {
    /// The list is empty, or a name is empty.
    #[error("a symbol is missing")]
    None,
    /// A name of the exchange occurs twice. Contains the name.
    #[error("symbol {0:?} appears twice")]
    Twice(String),
    /// Two symbols would have the same local name. Contains the exchange's name of the second
    /// symbol, and the local name.
    #[error("symbol {0:?} and another symbol would both have the name {1:?}")]
    Same(String, String),
    /// The exchange's name is not valid as a local name, and no local name was given. Contains the
    /// name and the reason.
    #[error("symbol {0:?} needs another name here, as in {0}=NAME, or a map: {1}")]
    VenueName(String, SymbolError),
    /// The chosen local name is not valid. Contains the exchange's name, the local name and the
    /// reason.
    #[error("symbol {0:?} cannot have the name {1:?} here: {2}")]
    LocalName(String, String, SymbolError),
}

impl SymbolMap {
    /// Creates a map from pairs of the exchange's name and the local name. Without a local name,
    /// the exchange's name is the local name. The exchange's name may be any text.
    ///
    /// # Errors
    /// If the list is empty, or a name is empty or occurs twice. If two symbols have the same local
    /// name, or a local name is not a valid [`Symbol`].
    pub fn new(
        names: impl IntoIterator<Item = (String, Option<String>)>,
    ) -> Result<Self, SymbolMapError> {
        let (mut list, mut by_name, mut taken) = (Vec::new(), HashMap::new(), HashSet::new());
        for (theirs, ours) in names {
            if theirs.is_empty() {
                return Err(SymbolMapError::None);
            }
            let symbol =
                Symbol::new(ours.as_deref().unwrap_or(&theirs)).map_err(|error| match ours {
                    Some(ours) => SymbolMapError::LocalName(theirs.clone(), ours, error),
                    None => SymbolMapError::VenueName(theirs.clone(), error),
                })?;
            if by_name.insert(theirs.clone(), symbol).is_some() {
                return Err(SymbolMapError::Twice(theirs));
            }
            if !taken.insert(symbol) {
                return Err(SymbolMapError::Same(theirs, symbol.to_string()));
            }
            list.push((theirs, symbol));
        }
        if list.is_empty() {
            Err(SymbolMapError::None)
        } else {
            Ok(Self(Arc::new(Inner { list, by_name })))
        }
    }

    /// Returns the local name for this name of the exchange, or `None` if the map does not have the
    /// name.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<Symbol> {
        self.0.by_name.get(name).copied()
    }

    /// Returns the symbol with this exchange's name, or an error if the feed did not request the
    /// symbol.
    pub(crate) fn asked_for(&self, name: &str) -> Result<Symbol, DecodeError> {
        self.symbol(name)
            .ok_or_else(|| DecodeError(format!("{} was not requested", excerpt(name))))
    }

    /// Returns the exchange's names, in order.
    pub fn venue_names(&self) -> impl Iterator<Item = &str> {
        self.0.list.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the local names, in order.
    pub fn local(&self) -> impl Iterator<Item = Symbol> {
        self.0.list.iter().map(|(_, symbol)| *symbol)
    }

    /// Returns the number of symbols; at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.list.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pairs: &[(&str, Option<&str>)]) -> Result<SymbolMap, SymbolMapError> {
        SymbolMap::new(
            pairs
                .iter()
                .map(|(theirs, ours)| ((*theirs).to_owned(), ours.map(str::to_owned))),
        )
    }

    #[test]
    fn each_name_maps_to_its_symbol_and_back() {
        let names = names(&[("BTCUSDT", Some("BTC/USD")), ("ETHUSDT", None)]).unwrap();
        assert_eq!(names.symbol("BTCUSDT").unwrap().as_str(), "BTC/USD");
        assert_eq!(names.local().last().unwrap().as_str(), "ETHUSDT");
        assert_eq!(names.symbol("BTC/USD"), None);
        let any = [("币安人生USDT", Some("BNB/USD")), ("WFC+", Some("WFC.P"))];
        let names =
            SymbolMap::new(any.map(|(theirs, ours)| (theirs.to_owned(), ours.map(str::to_owned))));
        assert_eq!(
            names.unwrap().symbol("币安人生USDT").unwrap().as_str(),
            "BNB/USD",
            "a name there is no symbol"
        );
    }

    #[test]
    fn each_error_names_the_symbol() {
        let says = |pairs: &[_]| names(pairs).unwrap_err().to_string();
        assert_eq!(says(&[]), "a symbol is missing");
        assert_eq!(says(&[("", Some("A"))]), "a symbol is missing");
        assert_eq!(
            says(&[("A", None), ("A", None)]),
            "symbol \"A\" appears twice"
        );
        assert_eq!(
            says(&[("A", None), ("B", Some("A"))]),
            "symbol \"B\" and another symbol would both have the name \"A\""
        );
        let refused = says(&[("币安USDT", None)]);
        assert!(
            refused.starts_with("symbol \"币安USDT\" needs another name here, as in 币安USDT=NAME")
        );
        assert!(
            says(&[("A", Some("币"))])
                .starts_with("symbol \"A\" cannot have the name \"币\" here: symbol holds '币'")
        );
    }
}
