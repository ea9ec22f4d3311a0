//! Fake exchanges: WebSocket servers that follow the exchanges' documents and misbehave on command.
//!
//! A [`Fake`] has one market with a seeded random walk per symbol. The fake serves the market to
//! any number of connections in the protocol of one [`Exchange`]. The fake checks its clients
//! against the exchange's rules and lists violations in its [`Record`]. A [`Fault`] makes the fake
//! misbehave.
//!
//! All time is tokio's time, so under a paused clock a day passes in seconds. A fake serves any
//! byte stream: a `tokio::io::duplex` as well as a TCP socket.
//!
//! [`skipped`] is a helper of all tests that need an exchange, a recording or a tool.

mod connection;
mod decimal;
mod events;
mod fault;
mod handshake;
mod instrument;
mod limits;
mod market;
mod options;
mod protocol;
mod record;
mod shared;
mod skipped;
#[cfg(test)]
mod tests;
mod timers;
mod timestamp;

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

pub use crate::fault::{BadTime, Fault};
pub use crate::options::{Exchange, Options};
pub use crate::record::{Connect, Record, Trade};
use crate::shared::Shared;
pub use crate::skipped::skipped;

/// A fake exchange. All clones share one exchange.
#[derive(Clone)]
pub struct Fake(Arc<Shared>);

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fake")
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

impl Fake {
    /// Starts a fake on the current tokio runtime. The market stops when the last clone and the
    /// last connection are gone.
    #[must_use]
    pub fn start(options: Options) -> Self {
        let shared = Arc::new(Shared::new(options));
        tokio::spawn(trade(
            Arc::downgrade(&shared),
            shared.options.interval,
            shared.started,
        ));
        Self(shared)
    }

    /// Serves one connection until the connection ends.
    pub async fn serve<S>(&self, io: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        connection::serve(self.0.clone(), io).await;
    }

    /// Accepts connections and serves each connection in its own task.
    ///
    /// # Errors
    ///
    /// If the listener cannot accept connections any more.
    pub async fn listen(self, listener: TcpListener) -> std::io::Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let fake = self.clone();
            tokio::spawn(async move { fake.serve(stream).await });
        }
    }

    /// Makes the fake misbehave, once or from now on, as the fault defines.
    pub fn misbehave(&self, fault: Fault) {
        self.0.misbehave(fault);
    }

    /// Returns all events so far.
    #[must_use]
    pub fn record(&self) -> Record {
        self.0.record()
    }
}

/// Trades every symbol once per interval until the fake is dropped.
async fn trade(shared: Weak<Shared>, interval: Duration, started: tokio::time::Instant) {
    let interval = interval.max(Duration::from_micros(1));
    // If the timer is too coarse, several trades follow at once. Their nominal times are still
    // evenly spaced.
    let mut interval = tokio::time::interval_at(started + interval, interval);
    loop {
        let at = interval.tick().await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        shared.step(at);
    }
}
