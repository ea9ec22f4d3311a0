//! Timed events on a connection.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::{Connection, End};
use crate::limits::PONG_TIMEOUT;
use crate::timers::due;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    pub(super) async fn timer(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if due(self.timers.life, now) {
            return Err(End::Cut("the connection has reached its age"));
        }
        if due(self.timers.cut, now) {
            return Err(End::Cut("the server shuts down"));
        }
        if due(self.timers.subscribe, now) {
            self.shared
                .violate(self.number, "no subscribe message in time");
            return Err(End::Close(1008, "no subscribe message in time".to_owned()));
        }
        if due(self.timers.pong, now) {
            self.shared.violate(self.number, "no pong in time");
            return Err(End::Close(1008, "Pong timeout".to_owned()));
        }
        if due(self.timers.idle, now) {
            return Err(End::Close(1001, "idle".to_owned()));
        }
        if due(self.timers.late, now) {
            self.acknowledge().await?;
        }
        if due(self.timers.ping, now) {
            self.timers.ping = self.rules.ping.map(|every| now + every);
            self.ping(now).await?;
        }
        if due(self.timers.heartbeat, now) {
            let every = self.timers.heartbeat.zip(self.rules.heartbeat);
            self.timers.heartbeat = every.map(|(last, every)| last + every);
            let texts = self.protocol.heartbeat(&self.latest, self.shared.now());
            self.send(texts).await?;
        }
        Ok(())
    }

    async fn ping(&mut self, now: Instant) -> Result<(), End> {
        let payload = self.shared.now().to_string();
        self.pings.push_back((payload.clone(), now + PONG_TIMEOUT));
        self.timers.pong = self.pings.front().map(|(_, due)| *due);
        self.feed(Message::Ping(payload.into())).await?;
        self.flush().await
    }
}
