//! Sources of a [`tickcast::Hub`]: live prices from exchanges, ticks from files and ticks over UDP.
//!
//! - [`Feed`] receives the prices of an exchange.
//! - [`replay`] publishes the ticks of a file or of standard input. [`records`] reads such files.
//! - [`udp`] publishes the ticks of datagrams.
//!
//! A [`Feed`] keeps one exchange's prices coming: the feed connects, subscribes, monitors the
//! connection and reconnects. An [`Exchange`] knows only the format of an exchange's messages and
//! does no IO. To add an exchange, implement [`Exchange`] and [`ExchangeProtocol`].
//! `docs/sources.md` explains the example `kraken.rs`.
//!
//! ```no_run
//! use tickcast::{Hub, SourceOptions};
//! use tickcast_feeds::{Feed, Kraken, SymbolMap, Network};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = Hub::builder().build();
//! let names = SymbolMap::new(["BTC/USD", "ETH/USD"].map(|name| (name.to_owned(), None)))?;
//! let url = "wss://ws.kraken.com/v2".parse()?;
//! let feed = Feed::new(Kraken::ticker(names.clone()), url, names, hub.source("kraken", SourceOptions::default()));
//! feed.run(&Network::new()).await;
//! # Ok(())
//! # }
//! ```

mod advanced;
mod binance;
mod coinbase;
mod connection;
mod exchange;
mod feed;
mod kraken;
mod names;
mod network;
pub mod records;
mod rename;
pub mod replay;
mod sequence_tracker;
mod subscription_probe;
#[cfg(test)]
mod tests;
pub mod udp;
mod wire;

pub use advanced::Advanced;
pub use binance::{Binance, BinanceStream};
pub use coinbase::{Coinbase, CoinbaseChannel};
pub use exchange::{
    DecodeError, EventTime, Exchange, ExchangeLimits, ExchangeProtocol, FeedEvent, FeedPrice, Kind,
    Sequence,
};
pub use feed::{DEFAULT_PRICE_TIMEOUT, Feed};
pub use kraken::{Kraken, KrakenChannel};
pub use names::{SymbolMap, SymbolMapError};
pub use network::{ByteStream, Dial, DialError, DialFuture, Network};
pub use rename::Rename;
/// The URL of an exchange, for example `"wss://ws.kraken.com/v2".parse()`. Pass it to
/// [`Feed::new`]; a [`Dial`] receives it. It must be absolute, with the scheme `wss` or `ws`.
///
/// This type comes from the crate `http`. Its own documentation follows.
///
/// ---
pub use tokio_tungstenite::tungstenite::http::Uri;
