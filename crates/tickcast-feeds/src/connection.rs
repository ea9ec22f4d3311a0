//! One connection: dialled, spoken over at the exchange's pace, read until it ends.

use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::http::{StatusCode, Uri, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::network::{IoBackend, Network};

/// How long a connection may take to stand.
pub(crate) const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest frame: exchanges' own largest, a whole book, is about 1 MiB.
const MAX_FRAME_BYTES: usize = 4 << 20;

/// Most bytes of ours that wait: who pings without end and reads nothing is given up.
const MAX_UNSENT_BYTES: usize = 512 << 10;

/// Most frames, and about as many bytes, handed over at once.
const MAX_FRAMES_PER_BATCH: usize = 256;
const MAX_BATCH_BYTES: usize = 256 << 10;

/// How long to stay away from who says that we come too often, unless it says how long.
const MIN_TOO_MANY_REQUESTS_DELAY: Duration = Duration::from_secs(60);

/// Nobody is told to stay away longer than this: a ban of days has to be looked into.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Which of a feed's connections.
pub(crate) type LineId = u64;

/// What happens on a connection.
#[derive(Debug)]
pub(crate) enum Event {
    /// It stands.
    Opened,
    /// Frames came; at least one.
    Frames(Vec<Frame>),
    /// Something came that is no frame of data.
    Pulse,
    /// It is over.
    Ended(End),
}

/// A frame of data.
#[derive(Debug)]
pub(crate) enum Frame {
    Text(Utf8Bytes),
    Binary,
}

/// How a connection ended, or why there was none.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) why: String,
    /// How long the exchange wants us to stay away.
    pub(crate) away: Duration,
    /// A frame made no sense, or was too large.
    pub(crate) garbled: bool,
}

/// One connection's task.
pub(crate) struct Connection {
    pub(crate) id: LineId,
    pub(crate) url: Uri,
    pub(crate) network: Network,
    /// When it may be dialled.
    pub(crate) turn: Instant,
    /// Least time between two messages of ours.
    pub(crate) say_every: Duration,
    /// Another host of the exchange.
    pub(crate) elsewhere: Option<&'static str>,
    /// What is to be said.
    pub(crate) outbox: mpsc::UnboundedReceiver<String>,
    pub(crate) events: mpsc::Sender<(LineId, Event)>,
}

type Socket = WebSocketStream<Box<dyn IoBackend>>;

impl Connection {
    pub(crate) async fn run(mut self) {
        sleep_until(self.turn).await;
        let end = match timeout(DIAL_TIMEOUT, self.open()).await {
            Ok(Ok(socket)) => {
                self.send_event(Event::Opened).await;
                self.converse(socket).await
            }
            Ok(Err(end)) => end,
            Err(_) => End::plain(format!("no answer within {DIAL_TIMEOUT:?}")),
        };
        self.send_event(Event::Ended(end)).await;
    }

    async fn open(&self) -> Result<Socket, End> {
        let io = self.network.dial(&self.url).await.map_err(|error| End::plain(error.to_string()))?;
        let request = ClientRequestBuilder::new(self.url.clone())
            .with_header("User-Agent", concat!("tickcast/", env!("CARGO_PKG_VERSION")));
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_FRAME_BYTES))
            .max_frame_size(Some(MAX_FRAME_BYTES))
            .max_write_buffer_size(MAX_UNSENT_BYTES);
        match client_async_with_config(request, io, Some(config)).await {
            Ok((socket, _)) => Ok(socket),
            Err(error) => Err(self.refused(error)),
        }
    }

    /// Why there is no connection. Whoever is refused for the place they are in is told of another host.
    fn refused(&self, error: tungstenite::Error) -> End {
        let banned = matches!(&error, tungstenite::Error::Http(response)
            if response.status() == StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS);
        let mut end = End::of(error);
        if let Some(host) = self.elsewhere.filter(|_| banned) {
            end.why += &format!(": it may not serve this country; another host of it is url={host}");
        }
        end
    }

    /// Says what is to be said, and hands on what is heard, until it ends.
    async fn converse(&mut self, mut socket: Socket) -> End {
        let mut next_say = Instant::now();
        let mut listening = true;
        loop {
            let said = async {
                sleep_until(next_say).await;
                self.outbox.recv().await
            };
            tokio::select! {
                message = socket.next() => {
                    let end = self.handle_message(message, &mut socket).await;
                    if let Some(end) = end {
                        return end;
                    }
                }
                text = said, if listening => match text {
                    Some(text) => {
                        if let Err(error) = socket.send(Message::text(text)).await {
                            return End::of(error);
                        }
                        next_say = Instant::now() + self.say_every;
                    }
                    None => listening = false,
                },
            }
        }
    }

    /// Hands on a message and those that are there already behind it.
    async fn handle_message(
        &self,
        first: Option<Result<Message, tungstenite::Error>>,
        socket: &mut Socket,
    ) -> Option<End> {
        let (mut frames, mut bytes, mut end) = (Vec::new(), 0, None);
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Some(Ok(Message::Text(text))) => {
                    bytes += text.len();
                    frames.push(Frame::Text(text));
                }
                Some(Ok(Message::Binary(_))) => frames.push(Frame::Binary),
                Some(Ok(Message::Close(frame))) => end = Some(End::closed(frame)),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => end = Some(End::of(error)),
                None => end = Some(End::plain("it hung up".to_owned())),
            }
            if end.is_some() || frames.len() >= MAX_FRAMES_PER_BATCH || bytes >= MAX_BATCH_BYTES {
                break;
            }
            next = socket.next().now_or_never();
        }
        self.send_event(if frames.is_empty() { Event::Pulse } else { Event::Frames(frames) }).await;
        if end.is_some() {
            // A close is answered; whether that arrives is no longer our concern.
            let _ = timeout(Duration::from_secs(1), socket.close(None)).await;
        }
        end
    }

    async fn send_event(&self, event: Event) {
        // A feed that is gone aborts this task.
        let _ = self.events.send((self.id, event)).await;
    }
}

impl End {
    /// Nothing more is known than why.
    pub(crate) fn plain(why: String) -> Self {
        Self { why, away: Duration::ZERO, garbled: false }
    }

    fn closed(frame: Option<tungstenite::protocol::CloseFrame>) -> Self {
        let Some(frame) = frame else { return Self::plain("it closed the connection".to_owned()) };
        let code = u16::from(frame.code);
        let away = if code == 1008 { MIN_TOO_MANY_REQUESTS_DELAY } else { Duration::ZERO };
        let says = crate::wire::excerpt(&frame.reason);
        Self { away, ..Self::plain(format!("it closed the connection: {code} {says}")) }
    }

    fn of(error: tungstenite::Error) -> Self {
        use tungstenite::Error;
        match error {
            Error::Http(response) => {
                let status = response.status();
                let asked = response.headers().get(header::RETRY_AFTER);
                let asked = asked.and_then(|value| value.to_str().ok()?.trim().parse().ok());
                let usual = if [429, 418].contains(&status.as_u16()) {
                    MIN_TOO_MANY_REQUESTS_DELAY
                } else {
                    Duration::ZERO
                };
                let away = asked.map_or(usual, Duration::from_secs).min(MAX_RETRY_AFTER);
                Self { away, ..Self::plain(format!("it answers {status}")) }
            }
            Error::Capacity(_) => {
                Self { garbled: true, ..Self::plain(format!("a frame of more than {MAX_FRAME_BYTES} bytes")) }
            }
            Error::Utf8(_) => Self { garbled: true, ..Self::plain("a frame that is not UTF-8".to_owned()) },
            other => Self::plain(other.to_string()),
        }
    }
}
