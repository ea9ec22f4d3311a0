//! The market's side of a connection: market events, and the faults of a connection.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::select;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::{Connection, End};
use crate::script::{Marked, Order, Pulse};
use crate::timers::{NOTICE, until};

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    pub(super) async fn pulse(&mut self, pulse: Result<Pulse, RecvError>) -> Result<(), End> {
        match pulse {
            Ok(Pulse::Trade(marked)) => {
                let texts = self.write(&marked);
                self.send_data(texts).await
            }
            Ok(Pulse::Twice(marked)) => {
                let texts = self.write(&marked);
                self.send_data(texts.clone()).await?;
                self.send_data(texts).await
            }
            Ok(Pulse::Swapped(first, second)) => {
                // The messages are written in order, so that their sequence numbers are in the wrong order
                // when they are sent.
                let (first, mut texts) = (self.write(&first), self.write(&second));
                texts.extend(first);
                self.send_data(texts).await
            }
            Ok(Pulse::Withheld(marked)) => {
                drop(self.write(&marked));
                Ok(())
            }
            Ok(Pulse::Unquoted(_)) if self.silent => Ok(()),
            Ok(Pulse::Unquoted(tick)) => {
                let texts = self.dialect.unquoted(&tick, self.shared.now());
                let texts = self.seal(texts);
                self.send_data(texts).await
            }
            Ok(Pulse::Order(order)) => self.obey(order).await,
            Err(RecvError::Lagged(lost)) => {
                let what = format!(
                    "{lost} events behind the market: the fake is broken, or its client does not read"
                );
                self.shared.violate(self.number, &what);
                Ok(())
            }
            Err(RecvError::Closed) => Err(End::Cut("the market has closed")),
        }
    }

    async fn obey(&mut self, order: Order) -> Result<(), End> {
        match order {
            Order::Silence => self.silent = true,
            Order::Dead => return Err(self.play_dead().await),
            Order::Frame(message) => {
                self.feed(message).await?;
                self.flush().await?;
            }
            Order::Abrupt => return Err(End::Cut("abruptly")),
            Order::Close(code, reason) => return Err(End::Close(code, reason)),
            Order::System(system) => {
                let texts = self.dialect.system(&system);
                self.send(texts).await?;
            }
            Order::Shutdown => {
                self.timers.cut = Some(Instant::now() + NOTICE);
                let texts = self.dialect.farewell(self.shared.now());
                self.send(texts).await?;
            }
        }
        Ok(())
    }

    /// Stops reading and writing. Only the maximum age of the connection and an abrupt cut end the
    /// connection.
    async fn play_dead(&mut self) -> End {
        loop {
            select! {
                biased;
                () = until(self.timers.life) => return End::Cut("the connection has reached its age"),
                pulse = self.pulses.recv() => match pulse {
                    Ok(Pulse::Order(Order::Abrupt)) | Err(RecvError::Closed) => return End::Cut("abruptly"),
                    Ok(_) | Err(RecvError::Lagged(_)) => (),
                },
            }
        }
    }

    /// Returns this connection's messages about a trade, with sequence numbers.
    fn write(&mut self, marked: &Marked) -> Vec<String> {
        self.latest[marked.tick.instrument.index] = marked.tick.clone();
        if self.silent {
            return Vec::new();
        }
        let texts = self.dialect.trade(marked);
        self.seal(texts)
    }

    fn seal(&mut self, texts: Vec<String>) -> Vec<String> {
        texts.into_iter().map(|text| self.dialect.seal(text)).collect()
    }
}
