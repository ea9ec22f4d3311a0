//! The client's side of a connection: handles the client's messages and checks them against the
//! rules.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Connection, End};
use crate::timers::MAX_ACK_DELAY;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    pub(super) async fn handle_message(
        &mut self,
        message: Option<Result<Message, Error>>,
    ) -> Result<(), End> {
        let message = match message {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(End::Gone(format!("the client went away: {error}"))),
            None => return Err(End::Gone("the client went away".to_owned())),
        };
        if let Message::Text(text) = &message {
            self.shared.record_message(self.number, text);
        }
        self.check_rate(&message)?;
        match message {
            Message::Text(text) => self.control(&text).await,
            Message::Pong(payload) => {
                self.pong(&payload);
                Ok(())
            }
            // Tungstenite has queued the pong already; only the flush is missing.
            Message::Ping(_) => self.flush().await,
            Message::Close(frame) => {
                let why =
                    frame.map(|frame| format!(" with {}: {}", u16::from(frame.code), frame.reason));
                Err(End::Gone(format!(
                    "the client closed{}",
                    why.unwrap_or_default()
                )))
            }
            Message::Binary(_) | Message::Frame(_) => {
                self.shared
                    .violate(self.number, "a binary frame, where only text is understood");
                Ok(())
            }
        }
    }

    /// Counts a message against the limit.
    fn check_rate(&mut self, message: &Message) -> Result<(), End> {
        let counts = match message {
            Message::Text(_) | Message::Binary(_) => true,
            Message::Ping(_) | Message::Pong(_) => self.rules.frames,
            Message::Close(_) | Message::Frame(_) => false,
        };
        let Some(max) = self.rules.messages.filter(|_| counts) else {
            return Ok(());
        };
        let count = if self.rules.shared {
            self.shared.count_message()
        } else {
            self.meter.message(Instant::now())
        };
        if count <= max {
            return Ok(());
        }
        self.shared.violate(
            self.number,
            &format!("{count} messages within a second, at most {max} are allowed"),
        );
        Err(End::Close(1008, "Too many requests".to_owned()))
    }

    async fn control(&mut self, text: &str) -> Result<(), End> {
        self.restart_idle_timer();
        let reply = self.protocol.control(text, &self.latest, self.shared.now());
        if reply.subscribes {
            self.timers.subscribe = None;
        }
        let data = if self.silent { Vec::new() } else { reply.data };
        if !reply.subscribes || !self.shared.late_ack() {
            self.send(reply.acks).await?;
            return self.send_data(data).await;
        }
        self.late.extend(reply.acks);
        self.timers.late = Some(Instant::now() + MAX_ACK_DELAY);
        self.send_data(data).await
    }

    fn pong(&mut self, payload: &[u8]) {
        self.shared.record_pong(self.number);
        match self
            .pings
            .iter()
            .position(|(ping, _)| ping.as_bytes() == payload)
        {
            // A pong also answers all earlier pings: a client may answer only the last of several
            // pings.
            Some(answered) => drop(self.pings.drain(..=answered)),
            None if payload.is_empty() => (),
            None => self
                .shared
                .violate(self.number, "a pong that echoes no ping"),
        }
        self.timers.pong = self.pings.front().map(|(_, due)| *due);
    }
}
