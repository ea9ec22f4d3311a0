//! The market's side of a connection: market events, and the faults of a connection.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::select;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::{Connection, End};
use crate::events::{ConnectionFault, MarkedTrade, MarketEvent};
use crate::timers::{RESTART_NOTICE, until};

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    pub(super) async fn handle_event(
        &mut self,
        event: Result<MarketEvent, RecvError>,
    ) -> Result<(), End> {
        match event {
            Ok(MarketEvent::Trade(marked)) => {
                let texts = self.write(&marked);
                self.send_data(texts).await
            }
            Ok(MarketEvent::Twice(marked)) => {
                let texts = self.write(&marked);
                self.send_data(texts.clone()).await?;
                self.send_data(texts).await
            }
            Ok(MarketEvent::Swapped(first, second)) => {
                // The messages are written in order, so that their sequence numbers are in the
                // wrong order when they are sent.
                let (first, mut texts) = (self.write(&first), self.write(&second));
                texts.extend(first);
                self.send_data(texts).await
            }
            Ok(MarketEvent::Withheld(marked)) => {
                drop(self.write(&marked));
                Ok(())
            }
            Ok(MarketEvent::Unquoted(_)) if self.silent => Ok(()),
            Ok(MarketEvent::Unquoted(tick)) => {
                let texts = self.protocol.unquoted(&tick, self.shared.now());
                let texts = self.set_number(texts);
                self.send_data(texts).await
            }
            Ok(MarketEvent::Fault(fault)) => self.apply_fault(fault).await,
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

    async fn apply_fault(&mut self, fault: ConnectionFault) -> Result<(), End> {
        match fault {
            ConnectionFault::Silence => self.silent = true,
            ConnectionFault::Dead => return Err(self.play_dead().await),
            ConnectionFault::Frame(message) => {
                self.feed(message).await?;
                self.flush().await?;
            }
            ConnectionFault::Abrupt => return Err(End::Cut("abruptly")),
            ConnectionFault::Close(code, reason) => return Err(End::Close(code, reason)),
            ConnectionFault::System(system) => {
                let texts = self.protocol.system(&system);
                self.send(texts).await?;
            }
            ConnectionFault::Shutdown => {
                self.timers.cut = Some(Instant::now() + RESTART_NOTICE);
                let texts = self.protocol.restart_notice(self.shared.now());
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
                event = self.events.recv() => match event {
                    Ok(MarketEvent::Fault(ConnectionFault::Abrupt)) | Err(RecvError::Closed) => {
                        return End::Cut("abruptly");
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => (),
                },
            }
        }
    }

    /// Returns this connection's messages about a trade, with sequence numbers.
    fn write(&mut self, marked: &MarkedTrade) -> Vec<String> {
        self.latest[marked.tick.instrument.index] = marked.tick.clone();
        if self.silent {
            return Vec::new();
        }
        let texts = self.protocol.trade(marked);
        self.set_number(texts)
    }

    fn set_number(&mut self, texts: Vec<String>) -> Vec<String> {
        texts
            .into_iter()
            .map(|text| self.protocol.set_number(text))
            .collect()
    }
}
