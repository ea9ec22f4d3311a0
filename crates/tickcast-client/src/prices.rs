//! A stream that reconnects automatically.

use std::pin::Pin;
use std::time::Duration;

use eventsource_stream::Eventsource;
use futures_util::{Stream, StreamExt};
use reqwest::StatusCode;
use tickcast_core::{Backoff, Mode};
use tokio::time::{sleep, timeout};

use crate::event::Event;

/// Maximum time to connect and to receive the head of the response.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Number of missed heartbeats after which the connection counts as dead, 5 s later.
const MISSED_HEARTBEATS: u64 = 2;

/// First delay before a reconnection, if the server has not sent a delay.
const FIRST_DELAY: Duration = Duration::from_millis(500);

/// Maximum delay before a reconnection, unless the server asks for more. A server that returns
/// after an hour is found within 30 s.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// A stream of events that reconnects automatically. Made by [`PriceStream::builder`]; needs a
/// tokio runtime.
///
/// ```no_run
/// # async fn example() -> Result<(), tickcast_client::Error> {
/// use tickcast_client::{Event, PriceStream};
///
/// let mut prices = PriceStream::builder("http://127.0.0.1:8080").symbols(["AAPL"]).try_build()?;
/// loop {
///     if let Event::Tick(tick) = prices.next().await? {
///         println!("{} {}", tick.symbol, tick.price);
///     }
/// }
/// # }
/// ```
///
/// The type is not a `futures` `Stream`, because a reconnection is a sequence of waits.
/// `futures_util::stream::unfold` makes one from [`next`](Self::next).
pub struct PriceStream {
    request: PriceStreamBuilder,
    /// Cursor of the last received event.
    cursor: Option<String>,
    backoff: Backoff,
    /// Delay to wait before the next connection, if any.
    due: Option<Duration>,
    events: Option<Events>,
    /// The delay of the prices, as of the last connection.
    delay: Option<u64>,
}

impl std::fmt::Debug for PriceStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PriceStream")
            .field("url", &self.request.url)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

type Events = Pin<Box<dyn Stream<Item = Result<eventsource_stream::Event, String>> + Send>>;

/// Options of a stream. Made by [`PriceStream::builder`]; [`try_build`](Self::try_build) makes the
/// stream.
#[derive(Debug, Clone)]
pub struct PriceStreamBuilder {
    url: String,
    http: reqwest::Client,
    symbols: Vec<String>,
    mode: Mode,
    rate: Option<f64>,
    heartbeat: u64,
    since: Option<String>,
    token: Option<Token>,
}

/// A token, which is never shown.
#[derive(Clone)]
struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Reason why a [`PriceStream`] cannot continue or cannot be built. Returned by
/// [`PriceStream::next`] and [`PriceStreamBuilder::try_build`]. Errors that a reconnection may mend
/// are not here, but an [`Event::Disconnected`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server rejects the request, and would reject it again: its status is neither 200, 408,
    /// 429 nor 5xx. Or the server answers with 200, but not with a stream of events.
    #[error("{status}: {detail}")]
    Refused {
        /// HTTP status of the answer, for example 400 for an invalid symbol.
        status: u16,
        /// Reason for the rejection, from the server.
        detail: String,
    },
    /// The request cannot be built, for example because the URL is invalid. Contains the error of
    /// the HTTP client.
    #[error("{}", root_cause(.0))]
    Request(reqwest::Error),
}

impl PriceStream {
    /// Returns a builder for a stream of the server at `url`, such as `http://127.0.0.1:8080`. The
    /// path `/v1/stream` is added. The defaults are all symbols, the newest ticks
    /// ([`Mode::Latest`]), no maximum rate and a heartbeat every 10 s. An invalid URL is reported
    /// by [`try_build`](PriceStreamBuilder::try_build).
    #[must_use]
    pub fn builder(url: &str) -> PriceStreamBuilder {
        PriceStreamBuilder {
            url: url.trim_end_matches('/').to_owned(),
            http: reqwest::Client::new(),
            symbols: Vec::new(),
            mode: Mode::Latest,
            rate: None,
            heartbeat: 10,
            since: None,
            token: None,
        }
    }

    /// Returns the cursor of the last received event, or `None` before the first event with a
    /// cursor. To continue there in a later run, store the cursor and pass it to
    /// [`PriceStreamBuilder::since`].
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Returns how far the prices of the last connection are behind the market, in seconds, or `None`
    /// if they are live. It is known before the first tick, and [`Ready`](crate::Ready) says it,
    /// too.
    #[must_use]
    pub const fn delay(&self) -> Option<u64> {
        self.delay
    }

    /// Returns the next event. The first call connects. The stream never ends by itself.
    ///
    /// After the loss of a connection, the call returns [`Event::Disconnected`]. The next call
    /// waits, connects again and continues after the last event. The wait is 0.25 to 0.5 s after
    /// the first loss and doubles with each further loss until the next [`Event::Ready`], up to 15
    /// to 30 s. A delay that the server asks for replaces the 0.5 s. If the server no longer has
    /// the position, it sends [`Event::Reset`] and then the newest tick of each symbol.
    ///
    /// The future may be dropped at any time, and no event is lost. If it is dropped while it waits
    /// or connects, the next call starts the wait or the connection attempt again. A caller that
    /// often drops the future, for example in `select!`, should run the stream in a task of its
    /// own.
    ///
    /// # Errors
    /// [`Error::Refused`] if the server rejects the request, or [`Error::Request`] if the request
    /// cannot be built. The cursor stays valid. A further call connects again at once, without a
    /// wait.
    pub async fn next(&mut self) -> Result<Event, Error> {
        loop {
            let Some(events) = &mut self.events else {
                if let Some(wait) = self.due {
                    sleep(wait).await;
                    self.due = None;
                }
                match self.request.connect(self.cursor.as_deref()).await? {
                    Ok((events, delay)) => (self.events, self.delay) = (Some(events), delay),
                    Err(why) => return Ok(self.disconnected(why)),
                }
                continue;
            };
            let idle_timeout = Duration::from_secs(self.request.heartbeat * MISSED_HEARTBEATS + 5);
            let event = match timeout(idle_timeout, events.next()).await {
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(why))) => return Ok(self.connection_lost(&why)),
                Ok(None) => return Ok(self.connection_lost("the stream ended")),
                Err(_) => {
                    return Ok(self.connection_lost(&format!(
                        "no data was received for {} s",
                        idle_timeout.as_secs()
                    )));
                }
            };
            if let Some(retry) = event.retry {
                self.backoff.set_requested(retry);
            }
            if !event.id.is_empty() && self.cursor.as_deref() != Some(&event.id) {
                self.cursor = Some(event.id.clone());
            }
            if let Some(event) = Event::read(&event.event, &event.data) {
                if matches!(event, Event::Ready(_)) {
                    self.backoff.reset();
                }
                return Ok(event);
            }
        }
    }

    /// Records the loss of an existing connection.
    fn connection_lost(&mut self, why: &str) -> Event {
        self.disconnected(format!(
            "the connection to {} was lost: {why}",
            self.request.url
        ))
    }

    fn disconnected(&mut self, why: String) -> Event {
        self.events = None;
        self.due = Some(self.backoff.next(fastrand::f64()));
        Event::Disconnected(why)
    }
}

impl PriceStreamBuilder {
    /// Selects only these symbols: names, and patterns such as `BTC*`. At most 1,000 symbols, of
    /// which at most 100 are patterns. Further calls add symbols. Default: all symbols.
    #[must_use]
    pub fn symbols<S: Into<String>>(mut self, symbols: impl IntoIterator<Item = S>) -> Self {
        self.symbols.extend(symbols.into_iter().map(Into::into));
        self
    }

    /// Sets the mode: the newest ticks (conflation) or every tick. Default: the newest ticks.
    #[must_use]
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets the maximum number of updates per second and symbol, 0.1 to 100. Default: no limit. The
    /// server refuses other numbers, and refuses a rate with [`Mode::All`].
    #[must_use]
    pub const fn rate(mut self, rate: f64) -> Self {
        self.rate = Some(rate);
        self
    }

    /// Sets the number of seconds without an event after which the server sends a heartbeat, 3 to
    /// 60. Default: 10. The server refuses other numbers. If nothing arrives for two heartbeats and
    /// 5 s, the connection counts as lost.
    #[must_use]
    pub const fn heartbeat(mut self, seconds: u64) -> Self {
        self.heartbeat = seconds;
        self
    }

    /// Continues after this cursor, or from `start`, the oldest tick on the server. Pass the result
    /// of [`PriceStream::cursor`]. Default: the stream starts with the newest tick of each symbol.
    #[must_use]
    pub fn since(mut self, since: impl Into<String>) -> Self {
        self.since = Some(since.into());
        self
    }

    /// Sends this token, as `Authorization: Bearer`, to a server whose readers need one. After the
    /// end of the token, [`PriceStream::next`] returns [`Error::Refused`] with the status 401:
    /// build another stream with a new token, which continues at [`PriceStream::cursor`]. Default:
    /// no token.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(Token(token.into()));
        self
    }

    /// Uses this HTTP client, for example with proxies or certificates. It must not have a total
    /// timeout, because a stream does not end. Default: `reqwest::Client::new()`.
    #[must_use]
    pub fn http(mut self, http: reqwest::Client) -> Self {
        self.http = http;
        self
    }

    /// Returns the stream. The stream connects at the first call of [`PriceStream::next`].
    ///
    /// # Errors
    /// [`Error::Request`] if the URL is invalid.
    pub fn try_build(self) -> Result<PriceStream, Error> {
        self.request(None).build().map_err(Error::Request)?;
        let backoff = Backoff::new(FIRST_DELAY, MAX_DELAY, 0.5..=1.0);
        Ok(PriceStream {
            request: self,
            cursor: None,
            backoff,
            due: None,
            events: None,
            delay: None,
        })
    }

    fn request(&self, cursor: Option<&str>) -> reqwest::RequestBuilder {
        let mut query = vec![
            ("mode", self.mode.as_str().to_owned()),
            ("heartbeat", self.heartbeat.to_string()),
        ];
        if !self.symbols.is_empty() {
            query.push(("symbols", self.symbols.join(",")));
        }
        query.extend(self.rate.map(|rate| ("rate", rate.to_string())));
        if cursor.is_none() {
            query.extend(self.since.clone().map(|since| ("since", since)));
        }
        let request = self
            .http
            .get(format!("{}/v1/stream", self.url))
            .query(&query);
        let mut request = request.header("accept", "text/event-stream");
        if let Some(Token(token)) = &self.token {
            request = request.bearer_auth(token);
        }
        match cursor {
            Some(cursor) => request.header("last-event-id", cursor),
            None => request,
        }
    }

    /// Connects to the server. Returns the events and the delay of the prices. The inner error is
    /// temporary: a later try may succeed.
    async fn connect(
        &self,
        cursor: Option<&str>,
    ) -> Result<Result<(Events, Option<u64>), String>, Error> {
        let url = &self.url;
        let response = match timeout(CONNECT_TIMEOUT, self.request(cursor).send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_builder() => return Err(Error::Request(error)),
            Ok(Err(error)) => {
                return Ok(Err(format!(
                    "cannot connect to {url}: {}",
                    root_cause(&error)
                )));
            }
            Err(_) => {
                return Ok(Err(format!(
                    "no answer from {url} within {} s",
                    CONNECT_TIMEOUT.as_secs()
                )));
            }
        };
        let status = response.status();
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        let is_stream =
            header("content-type").is_some_and(|value| value.starts_with("text/event-stream"));
        let delay = header("tickcast-delay").and_then(|seconds| seconds.parse().ok());
        let not_tickcast = || format!("{url} does not answer like a tickcast server");
        if status == StatusCode::OK && !is_stream {
            return Err(Error::Refused {
                status: status.as_u16(),
                detail: not_tickcast(),
            });
        }
        if status == StatusCode::OK {
            let events = response.bytes_stream().eventsource();
            let events = events.map(|event| event.map_err(|error| error.to_string()));
            return Ok(Ok((Box::pin(events), delay)));
        }
        let is_temporary = status.is_server_error()
            || matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
            );
        if is_temporary {
            return Ok(Err(format!("{url} answers {status}")));
        }
        let body = response.text().await.unwrap_or_default();
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
        let detail = problem["detail"]
            .as_str()
            .map_or_else(not_tickcast, str::to_owned);
        Err(Error::Refused {
            status: status.as_u16(),
            detail,
        })
    }
}

/// Returns the innermost source of an error, which names the cause. The outer errors only name the
/// layers.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
