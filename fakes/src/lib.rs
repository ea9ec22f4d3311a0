//! Exchanges that are not real: WebSocket servers which follow the exchanges' documents, and misbehave on command.
//!
//! A [`Fake`] has one market, a seeded random walk per symbol, and serves it to any number of connections in the
//! words of one [`Exchange`]. It holds its clients to that exchange's rules and notes in its [`Record`] where they
//! break them. A [`Fault`] makes it misbehave.
//!
//! All its time is tokio's, so that under a paused clock a day passes in seconds. It serves any byte stream, a
//! `tokio::io::duplex` as well as a TCP socket.

mod connection;
mod decimal;
mod dialect;
mod door;
mod fault;
mod instrument;
mod limits;
mod market;
mod record;
mod script;
mod shared;
mod stamp;
#[cfg(test)]
mod tests;
mod timers;

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

pub use crate::fault::{BadTime, Fault};
pub use crate::record::{Connect, Record, Trade};
use crate::shared::Shared;

/// Which exchange a fake stands in for.
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

/// How a fake is to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// The exchange it stands in for.
    pub exchange: Exchange,
    /// What is traded, as the exchange writes it: `BTCUSDT`, `BTC-USD`, `BTC/USD`.
    pub symbols: Vec<String>,
    /// Each symbol is traded once every so often.
    pub interval: Duration,
    /// Of the random walks.
    pub seed: u64,
    /// A connection is cut after so long.
    pub life: Duration,
    /// Milliseconds since 1970 at which its clock starts; it advances by tokio's.
    pub start: i64,
}

impl Options {
    /// A trade a second, starting now, and the exchange's own limit on the life of a connection.
    #[must_use]
    pub fn new(exchange: Exchange, symbols: &[&str]) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
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

/// An exchange that is not real. Its clones are the same one.
#[derive(Clone)]
pub struct Fake(Arc<Shared>);

impl Fake {
    /// Opens the market, on the current tokio runtime. It closes when the last clone and connection are gone.
    #[must_use]
    pub fn start(options: Options) -> Self {
        let shared = Arc::new(Shared::new(options));
        tokio::spawn(trade(Arc::downgrade(&shared), shared.options.interval, shared.began));
        Self(shared)
    }

    /// Serves one connection until it ends.
    pub async fn serve<S>(&self, io: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        connection::serve(self.0.clone(), io).await;
    }

    /// Serves whoever connects, each in a task of its own.
    ///
    /// # Errors
    ///
    /// When the listener cannot accept any more.
    pub async fn listen(self, listener: TcpListener) -> std::io::Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let fake = self.clone();
            tokio::spawn(async move { fake.serve(stream).await });
        }
    }

    /// Makes it misbehave, from now on or once, as the fault has it.
    pub fn misbehave(&self, fault: Fault) {
        self.0.misbehave(fault);
    }

    /// What has happened so far.
    #[must_use]
    pub fn record(&self) -> Record {
        self.0.record()
    }
}

/// Trades every symbol once per interval for as long as anybody holds the fake.
async fn trade(shared: Weak<Shared>, interval: Duration, began: tokio::time::Instant) {
    let interval = interval.max(Duration::from_micros(1));
    // Bursts make up for what the timer is too coarse for; the nominal times keep the trades evenly spaced.
    let mut interval = tokio::time::interval_at(began + interval, interval);
    loop {
        let at = interval.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        shared.step(at);
    }
}
