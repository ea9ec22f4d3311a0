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
mod options;
mod record;
mod script;
mod shared;
mod stamp;
#[cfg(test)]
mod tests;
mod timers;

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

pub use crate::fault::{BadTime, Fault};
pub use crate::options::{Exchange, Options};
pub use crate::record::{Connect, Record, Trade};
use crate::shared::Shared;

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
