//! Local names for the symbols of a source.

use std::collections::HashMap;

use tickcast::error::SymbolError;
use tickcast::tick::Rejected;
use tickcast::{Symbol, Tick};

/// The local names for the symbols of a source: a prefix for all names, and a map with exceptions.
/// Pass it to [`Replay::run`](crate::replay::Replay::run) or [`udp::run`](crate::udp::run). The
/// default changes no name.
///
/// The names of the source need not be known in advance. In contrast, a
/// [`SymbolMap`](crate::SymbolMap) is the closed list of the symbols that a feed requests, each
/// with its checked local name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rename {
    /// The prefix for every name that is not in the map. Default: empty.
    pub prefix: String,
    /// The map from the source's name to the local name. A name in the map gets no prefix. Default:
    /// empty.
    pub map: HashMap<String, String>,
}

impl Rename {
    /// Replaces the symbol of a tick by its local name.
    ///
    /// # Errors
    /// If the local name is not a valid symbol, for example because it has more than 32 bytes.
    pub fn tick(&self, mut tick: Tick) -> Result<Tick, Rejected> {
        let symbol = Some(tick.symbol);
        tick.symbol = self.symbol(tick.symbol).map_err(|error| Rejected {
            symbol,
            error: error.into(),
        })?;
        Ok(tick)
    }

    /// Returns the local name of a symbol.
    ///
    /// # Errors
    /// If the local name is not a valid symbol.
    pub fn symbol(&self, symbol: Symbol) -> Result<Symbol, SymbolError> {
        self.name(symbol.as_str())
            .map_or(Ok(symbol), |name| Symbol::new(&name))
    }

    /// Returns the local name of `name`, or `None` if the name does not change. Neither name needs
    /// to be a valid symbol.
    #[must_use]
    pub fn name(&self, name: &str) -> Option<String> {
        let mapped = self.map.get(name).cloned();
        mapped.or_else(|| (!self.prefix.is_empty()).then(|| format!("{}{name}", self.prefix)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_comes_before_the_prefix() {
        let map = HashMap::from([("BTCUSDT".to_owned(), "BTC/USD".to_owned())]);
        let rename = Rename {
            prefix: "B:".to_owned(),
            map,
        };
        let called = |name| {
            rename
                .symbol(Symbol::new(name).unwrap())
                .map(|symbol| symbol.to_string())
        };
        assert_eq!(called("BTCUSDT").unwrap(), "BTC/USD");
        assert_eq!(called("ETHUSDT").unwrap(), "B:ETHUSDT");
        assert!(called(&"x".repeat(32)).is_err());
    }
}
