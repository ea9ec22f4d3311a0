//! What a source's symbols are called here.

use std::collections::HashMap;

use tickcast::{Rejected, Symbol, SymbolError, Tick};

/// What a source's symbols are called here.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rename {
    /// Put before every name that the map does not hold.
    pub(crate) prefix: String,
    /// From the source's name to ours.
    pub(crate) map: HashMap<String, String>,
}

impl Rename {
    /// The tick by the name its symbol has here; rejected where that is none.
    pub(crate) fn tick(&self, mut tick: Tick) -> Result<Tick, Rejected> {
        let symbol = Some(tick.symbol);
        tick.symbol = self.symbol(tick.symbol).map_err(|error| Rejected { symbol, error: error.into() })?;
        Ok(tick)
    }

    pub(crate) fn symbol(&self, symbol: Symbol) -> Result<Symbol, SymbolError> {
        self.name(symbol.as_str()).map_or(Ok(symbol), |name| Symbol::new(&name))
    }

    /// What `name` is called here, where that is something else.
    pub(crate) fn name(&self, name: &str) -> Option<String> {
        let mapped = self.map.get(name).cloned();
        mapped.or_else(|| (!self.prefix.is_empty()).then(|| format!("{}{name}", self.prefix)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ones_own() {
        let map = HashMap::from([("BTCUSDT".to_owned(), "BTC/USD".to_owned())]);
        let rename = Rename { prefix: "B:".to_owned(), map };
        let called = |name| rename.symbol(Symbol::new(name).unwrap()).map(|symbol| symbol.to_string());
        assert_eq!(called("BTCUSDT").unwrap(), "BTC/USD");
        assert_eq!(called("ETHUSDT").unwrap(), "B:ETHUSDT");
        assert!(called(&"x".repeat(32)).is_err());
    }
}
