//! Ticks in the form that readers receive.

use bytes::Bytes;

use crate::{Price, Symbol, TickView, Time};

/// One tick, in the form that readers receive. A server, a reader in the same program and a client all use this
/// type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishedTick {
    /// The symbol of the tick.
    pub symbol: Symbol,
    /// The price of the symbol.
    pub price: Price,
    /// The change from the reference price.
    pub change: Price,
    /// The change in percent, if the reference price is not zero.
    pub change_pct: Option<Price>,
    /// The time of the price.
    pub time: Time,
    /// The number of the tick within its symbol. A gap in the numbers means that ticks were conflated.
    pub n: u64,
    /// The whole tick with its extras, as the JSON object that every reader receives.
    pub json: Bytes,
}

impl PublishedTick {
    /// Reads the JSON that readers receive. Returns `None` for any other JSON.
    ///
    /// ```
    /// use tickcast_core::PublishedTick;
    ///
    /// let json = r#"{"symbol":"AAPL","price":189.50,"change":0.25,"time":1782907200000,"n":2,"bid":189.49}"#;
    /// let tick = PublishedTick::read(json.into()).unwrap();
    /// assert_eq!((tick.symbol.as_str(), tick.price.to_string(), tick.n), ("AAPL", "189.50".to_owned(), 2));
    /// ```
    #[must_use]
    pub fn read(json: Bytes) -> Option<Self> {
        let view = TickView::read(&json)?;
        let (price, change, change_pct) = view.amounts()?;
        let TickView { symbol, time, n, .. } = view;
        Some(Self { symbol, price, change, change_pct, time, n, json })
    }
}
