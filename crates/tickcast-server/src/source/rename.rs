//! Local names for the symbols of a source.

use std::collections::HashMap;

use tickcast::{Rejected, Symbol, SymbolError, Tick};

/// The mapping from the symbol names of a source to the local names.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rename {
    /// The prefix for every name that is not in the map.
    pub(crate) prefix: String,
    /// The map from the source's name to the local name.
    pub(crate) map: HashMap<String, String>,
}

impl Rename {
    /// Replaces the symbol of a tick by its local name.
    ///
    /// # Errors
    ///
    /// If the local name is not a valid symbol.
    pub(crate) fn tick(&self, mut tick: Tick) -> Result<Tick, Rejected> {
        let symbol = Some(tick.symbol);
        tick.symbol = self.symbol(tick.symbol).map_err(|error| Rejected { symbol, error: error.into() })?;
        Ok(tick)
    }

    pub(crate) fn symbol(&self, symbol: Symbol) -> Result<Symbol, SymbolError> {
        self.name(symbol.as_str()).map_or(Ok(symbol), |name| Symbol::new(&name))
    }

    /// Returns the local name of `name`, if the local name differs.
    pub(crate) fn name(&self, name: &str) -> Option<String> {
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
        let rename = Rename { prefix: "B:".to_owned(), map };
        let called = |name| rename.symbol(Symbol::new(name).unwrap()).map(|symbol| symbol.to_string());
        assert_eq!(called("BTCUSDT").unwrap(), "BTC/USD");
        assert_eq!(called("ETHUSDT").unwrap(), "B:ETHUSDT");
        assert!(called(&"x".repeat(32)).is_err());
    }
}
