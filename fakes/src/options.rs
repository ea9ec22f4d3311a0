//! The exchange that a fake stands in for, and the settings with which a fake starts.

use std::time::{Duration, SystemTime};

/// An exchange that a fake can stand in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Exchange {
    /// Binance Spot: `@ticker`, `@bookTicker`, `@aggTrade` and `@trade` streams.
    Binance,
    /// Coinbase Exchange: the channels `ticker`, `matches` and `heartbeat`.
    Coinbase,
    /// Coinbase Advanced Trade: the channels `ticker` and `heartbeats`.
    Advanced,
    /// Kraken Spot, WebSocket v2: the channels `ticker` and `trade`.
    Kraken,
}

/// The settings of a fake.
#[derive(Debug, Clone)]
pub struct Options {
    /// The exchange that the fake stands in for.
    pub exchange: Exchange,
    /// The symbols that are traded, as the exchange writes them: `BTCUSDT`, `BTC-USD`, `BTC/USD`.
    pub symbols: Vec<String>,
    /// The time between two trades of a symbol.
    pub interval: Duration,
    /// The seed of the random walks.
    pub seed: u64,
    /// The age at which a connection is cut.
    pub life: Duration,
    /// The time, in milliseconds since 1970, at which the clock of the fake starts. The clock
    /// advances with tokio's clock.
    pub start: i64,
}

impl Options {
    /// Returns default settings: one trade per second, a clock that starts now, and the exchange's
    /// own maximum age of a connection.
    #[must_use]
    pub fn new(exchange: Exchange, symbols: &[&str]) -> Self {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            exchange,
            symbols: symbols.iter().map(|&symbol| symbol.to_owned()).collect(),
            interval: Duration::from_secs(1),
            seed: 1,
            life: match exchange {
                Exchange::Binance => Duration::from_secs(24 * 60 * 60),
                Exchange::Coinbase | Exchange::Advanced | Exchange::Kraken => Duration::MAX,
            },
            start: i64::try_from(since.as_millis()).unwrap_or(0),
        }
    }
}
