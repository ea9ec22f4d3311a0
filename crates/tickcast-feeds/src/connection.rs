//! One connection to an exchange. The task dials, sends at the exchange's rate and reads until the
//! connection ends.

use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use tickcast_core::Backoff;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::http::{StatusCode, Uri, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::network::{ByteStream, Network};

/// Maximum time to establish a connection.
pub(crate) const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum size of a frame. The exchanges' largest frame, a whole order book, is about 1 MiB.
const MAX_FRAME_BYTES: usize = 4 << 20;

/// Maximum number of unsent bytes. This closes a connection to a peer that sends pings without end
/// and reads nothing.
const MAX_UNSENT_BYTES: usize = 512 << 10;

/// Maximum number of frames in one batch, and the approximate maximum number of bytes.
const MAX_FRAMES_PER_BATCH: usize = 256;
const MAX_BATCH_BYTES: usize = 256 << 10;

/// Maximum of the first delay between two connections of a feed, and of all delays. The exchange
/// may request a longer delay.
const REDIAL_DELAY: Duration = Duration::from_secs(1);
const MAX_REDIAL_DELAY: Duration = Duration::from_secs(60);

/// Minimum delay between two connections of a feed. Without a minimum, an attempt that fails at
/// once would repeat in a hot loop.
const MIN_REDIAL_DELAY: Duration = Duration::from_millis(100);

/// Minimum delay after a "too many requests" response, unless the exchange sends its own delay.
const MIN_TOO_MANY_REQUESTS_DELAY: Duration = Duration::from_secs(60);

/// Maximum delay that an exchange can request. An operator should look into a ban of several days.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Returns the delays between the connections of a feed. Each delay is random up to its maximum.
pub(crate) const fn redial_backoff() -> Backoff {
    Backoff::new(REDIAL_DELAY, MAX_REDIAL_DELAY, 0.0..=1.0).floor(MIN_REDIAL_DELAY)
}

/// The id of a connection within its feed.
pub(crate) type LineId = u64;

/// An event on a connection.
#[derive(Debug)]
pub(crate) enum Event {
    /// The connection is open.
    Opened,
    /// Frames arrived; at least one.
    Frames(Vec<Frame>),
    /// A message arrived that is no data frame.
    Pulse,
    /// The connection ended.
    Ended(End),
}

/// A data frame.
#[derive(Debug)]
pub(crate) enum Frame {
    Text(Utf8Bytes),
    Binary,
}

/// How a connection ended, or why the connection failed to open.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) why: String,
    /// How long the exchange asks the feed to wait.
    pub(crate) away: Duration,
    /// Whether a frame was invalid or too large.
    pub(crate) garbled: bool,
}

/// The task of one connection.
pub(crate) struct Connection {
    pub(crate) id: LineId,
    pub(crate) url: Uri,
    pub(crate) network: Network,
    /// Earliest time to dial.
    pub(crate) turn: Instant,
    /// Minimum time between two messages to the exchange.
    pub(crate) say_every: Duration,
    /// Another host of the exchange.
    pub(crate) elsewhere: Option<&'static str>,
    /// Messages to send.
    pub(crate) outbox: mpsc::UnboundedReceiver<String>,
    pub(crate) events: mpsc::Sender<(LineId, Event)>,
}

type Socket = WebSocketStream<Box<dyn ByteStream>>;

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
        let io = self
            .network
            .dial(&self.url)
            .await
            .map_err(|error| End::plain(error.to_string()))?;
        let request = ClientRequestBuilder::new(self.url.clone()).with_header(
            "User-Agent",
            concat!("tickcast/", env!("CARGO_PKG_VERSION")),
        );
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_FRAME_BYTES))
            .max_frame_size(Some(MAX_FRAME_BYTES))
            .max_write_buffer_size(MAX_UNSENT_BYTES);
        match client_async_with_config(request, io, Some(config)).await {
            Ok((socket, _)) => Ok(socket),
            Err(error) => Err(self.refused(error)),
        }
    }

    /// Returns why the connection failed. If the exchange refuses the client's country, the reason
    /// names another host.
    fn refused(&self, error: tungstenite::Error) -> End {
        let banned = matches!(&error, tungstenite::Error::Http(response)
            if response.status() == StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS);
        let mut end = End::of(error);
        if let Some(host) = self.elsewhere.filter(|_| banned) {
            end.why += &format!(
                ": the exchange may not serve this country; another host of the exchange is url={host}"
            );
        }
        end
    }

    /// Sends queued messages and forwards received frames until the connection ends.
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

    /// Forwards a message, and the messages that are already available after this message.
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
                None => {
                    end = Some(End::plain(
                        "the exchange ended the connection without a close frame".to_owned(),
                    ));
                }
            }
            if end.is_some() || frames.len() >= MAX_FRAMES_PER_BATCH || bytes >= MAX_BATCH_BYTES {
                break;
            }
            next = socket.next().now_or_never();
        }
        self.send_event(if frames.is_empty() {
            Event::Pulse
        } else {
            Event::Frames(frames)
        })
        .await;
        if end.is_some() {
            // The task answers a close frame. Whether the answer arrives does not matter.
            let _ = timeout(Duration::from_secs(1), socket.close(None)).await;
        }
        end
    }

    async fn send_event(&self, event: Event) {
        // If the feed is gone, this task is aborted.
        let _ = self.events.send((self.id, event)).await;
    }
}

impl End {
    /// Returns an end of which only the reason is known.
    pub(crate) fn plain(why: String) -> Self {
        Self {
            why,
            away: Duration::ZERO,
            garbled: false,
        }
    }

    fn closed(frame: Option<tungstenite::protocol::CloseFrame>) -> Self {
        let Some(frame) = frame else {
            return Self::plain("the exchange closed the connection".to_owned());
        };
        let code = u16::from(frame.code);
        let away = if code == 1008 {
            MIN_TOO_MANY_REQUESTS_DELAY
        } else {
            Duration::ZERO
        };
        let says = crate::wire::excerpt(&frame.reason);
        Self {
            away,
            ..Self::plain(format!("the exchange closed the connection: {code} {says}"))
        }
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
                let away = asked
                    .map_or(usual, Duration::from_secs)
                    .min(MAX_RETRY_AFTER);
                Self {
                    away,
                    ..Self::plain(format!("the exchange answers {status}"))
                }
            }
            Error::Capacity(_) => Self {
                garbled: true,
                ..Self::plain(format!("a frame is larger than {MAX_FRAME_BYTES} bytes"))
            },
            Error::Utf8(_) => Self {
                garbled: true,
                ..Self::plain("a frame is not UTF-8".to_owned())
            },
            other => Self::plain(other.to_string()),
        }
    }
}
