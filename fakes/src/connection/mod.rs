//! One connection: links the market's events and the exchange's rules to one client.

mod client;
mod clock;
mod market;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::select;
use tokio::sync::broadcast::Receiver;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::events::MarketEvent;
use crate::handshake::{self, Admission};
use crate::limits::{Meter, Rules};
use crate::market::Tick;
use crate::protocol::{self, Protocol};
use crate::shared::Shared;
use crate::timers::Timers;

/// Maximum time for the client's handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum time that a client may leave the socket full.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum time for a client to answer a close frame. After this time the socket is dropped.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How a connection ends.
enum End {
    /// The client closed the connection, or started to close the connection.
    Gone(String),
    /// The server drops the socket without a close frame.
    Cut(&'static str),
    /// The server closes the connection with a close frame.
    Close(u16, String),
}

/// Serves one connection until the connection ends.
pub(crate) async fn serve<S>(shared: Arc<Shared>, io: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (number, admission) = shared.admit();
    let opened = timeout(
        HANDSHAKE_TIMEOUT,
        handshake::open(shared.options.exchange, admission, io),
    )
    .await;
    match opened {
        Ok(Ok((socket, path))) => {
            let mut connection = Connection::new(shared, number, socket, &path);
            let flap = matches!(admission, Admission::Flap);
            let end = if flap {
                End::Close(1000, String::new())
            } else {
                connection.run().await
            };
            connection.finish(end).await;
        }
        Ok(Err(why)) => shared.ended(number, why),
        Err(_) => shared.ended(number, "the handshake took too long".to_owned()),
    }
}

struct Connection<S> {
    shared: Arc<Shared>,
    number: usize,
    socket: WebSocketStream<S>,
    events: Receiver<MarketEvent>,
    /// The newest tick of each symbol on this connection, which may be a little behind the market.
    latest: Vec<Arc<Tick>>,
    protocol: Box<dyn Protocol>,
    rules: Rules,
    timers: Timers,
    meter: Meter,
    /// Pings without an answer, and the deadline of each pong.
    pings: VecDeque<(String, Instant)>,
    /// Acknowledgements that wait until data has been sent.
    late: Vec<String>,
    silent: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    fn new(shared: Arc<Shared>, number: usize, socket: WebSocketStream<S>, path: &str) -> Self {
        let (events, latest) = shared.open_connection(number);
        let rules = Rules::of(shared.options.exchange);
        Self {
            protocol: protocol::of(shared.options.exchange, path, &latest, shared.now()),
            timers: Timers::new(&rules, shared.options.life),
            meter: Meter::default(),
            pings: VecDeque::new(),
            late: Vec::new(),
            silent: false,
            shared,
            number,
            socket,
            events,
            latest,
            rules,
        }
    }

    async fn run(&mut self) -> End {
        let greeting = self.protocol.system(&self.shared.system());
        let mut result = self.send(greeting).await;
        loop {
            if let Err(end) = result {
                return end;
            }
            // The order makes a run repeatable. A flood of trades delays neither reads nor pings.
            result = select! {
                biased;
                message = self.socket.next() => self.handle_message(message).await,
                () = self.timers.next() => self.timer().await,
                event = self.events.recv() => self.handle_event(event).await,
            };
        }
    }

    /// Records the end of the connection, sends a close frame if required, and waits for the client
    /// to close.
    async fn finish(mut self, end: End) {
        let (why, close) = match end {
            End::Cut(why) => return self.shared.ended(self.number, format!("cut: {why}")),
            End::Gone(why) => (why, None),
            End::Close(code, reason) => {
                // A control frame has room for 125 bytes; the code takes two of them.
                let cut = &reason[..reason.floor_char_boundary(123)];
                let frame = CloseFrame {
                    code: code.into(),
                    reason: cut.into(),
                };
                (
                    format!("closed with {code}: {reason}"),
                    Some(Message::Close(Some(frame))),
                )
            }
        };
        self.shared.ended(self.number, why);
        if let Some(close) = close {
            let _ = timeout(CLOSE_TIMEOUT, self.socket.send(close)).await;
        }
        // If a socket with unread bytes is dropped, the OS sends a reset. The client could then
        // lose the close frame.
        let _ = timeout(CLOSE_TIMEOUT, async {
            while let Some(Ok(_)) = self.socket.next().await {}
        })
        .await;
    }

    /// Sends messages that are numbered already or need no number. Then sends the acknowledgements
    /// that waited for data.
    async fn send_data(&mut self, texts: Vec<String>) -> Result<(), End> {
        if texts.is_empty() {
            return Ok(());
        }
        if self.rules.idle_heartbeat {
            self.timers.heartbeat = self.rules.heartbeat.map(|every| Instant::now() + every);
        }
        self.send(texts).await?;
        self.acknowledge().await
    }

    async fn acknowledge(&mut self) -> Result<(), End> {
        self.timers.late = None;
        let late = std::mem::take(&mut self.late);
        self.send(late).await
    }

    async fn send(&mut self, texts: Vec<String>) -> Result<(), End> {
        if texts.is_empty() {
            return Ok(());
        }
        self.restart_idle_timer();
        for text in texts {
            let text = self.protocol.set_number(text);
            self.feed(Message::text(text)).await?;
        }
        self.flush().await
    }

    /// Restarts the idle timer.
    fn restart_idle_timer(&mut self) {
        self.timers.idle = self.rules.idle.map(|after| Instant::now() + after);
    }

    async fn feed(&mut self, message: Message) -> Result<(), End> {
        written(timeout(WRITE_TIMEOUT, self.socket.feed(message)).await)
    }

    async fn flush(&mut self) -> Result<(), End> {
        written(timeout(WRITE_TIMEOUT, self.socket.flush()).await)
    }
}

fn written(result: Result<Result<(), Error>, tokio::time::error::Elapsed>) -> Result<(), End> {
    match result {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(End::Gone(format!("the client went away: {error}"))),
        Err(_) => Err(End::Gone("the client does not read".to_owned())),
    }
}
