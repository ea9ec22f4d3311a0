//! Ticks in the form that readers receive.

use bytes::Bytes;

use crate::{Price, Symbol, TickView, Time};

/// One tick in the form that readers receive. A server, a reader in the same program and a client
/// all use this type.
///
/// Returned by `tickcast::Reader::next`, by `tickcast::Publisher::newest` and in
/// `tickcast_client::Event::Tick`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishedTick {
    /// The symbol of the tick.
    pub symbol: Symbol,
    /// The price of the symbol.
    pub price: Price,
    /// The change of the price from the reference price, or the change that the source sent itself.
    ///
    /// The reference price is the last `prev_close` that a source sent for the symbol. Without one,
    /// the reference is the first price of the symbol on the current UTC day. A source that
    /// measures from another price names its basis (`ChangeBasis`).
    pub change: Price,
    /// The change in percent of the reference price: 1.5 means 1.5 %. Rounded to at most 4
    /// decimals. `None` if the reference price is zero; the JSON then has no `change_pct`.
    pub change_pct: Option<Price>,
    /// The time of the price: the time from the source, or the arrival time if the source sent
    /// none.
    pub time: Time,
    /// The number of the tick among the accepted ticks of its symbol. The first tick has 1. The
    /// numbers continue after the symbol was removed, and after a restart if the tape is on disk.
    ///
    /// A gap means that this reader did not receive the ticks in between. A slow consumer receives
    /// only the newest tick of each symbol (conflation). The newest price is never lost.
    pub n: u64,
    /// The whole tick as the JSON object that every reader receives. It also contains the extras:
    /// members that tickcast passes on unchanged, for example `bid`.
    pub json: Bytes,
}

impl PublishedTick {
    /// Reads the JSON that readers receive. Returns `None` for any other JSON: the members from
    /// `symbol` to `n` must be in the order that tickcast writes. Members after `n` are extras.
    /// They stay in [`json`](Self::json).
    ///
    /// ```
    /// # use tickcast_core::PublishedTick;
    /// let json = r#"{"symbol":"AAPL","price":189.50,"change":0.25,"time":1782907200000,"n":2,"bid":189.49}"#;
    /// let tick = PublishedTick::read(json.into()).unwrap();
    /// assert_eq!((tick.symbol.as_str(), tick.price.to_string(), tick.n), ("AAPL", "189.50".to_owned(), 2));
    /// ```
    #[must_use]
    pub fn read(json: Bytes) -> Option<Self> {
        let view = TickView::read(&json)?;
        let (price, change, change_pct) = view.amounts()?;
        let TickView {
            symbol, time, n, ..
        } = view;
        Some(Self {
            symbol,
            price,
            change,
            change_pct,
            time,
            n,
            json,
        })
    }
}
