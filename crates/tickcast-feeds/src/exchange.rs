//! What a feed must know about an exchange. A new exchange implements these traits.

use std::time::Duration;

use tickcast::{Symbol, Tick};

/// An exchange's messages and limits. Implement it for a new exchange, and pass the value to
/// [`Feed::new`](crate::Feed::new). [`Kraken`](crate::Kraken), [`Binance`](crate::Binance),
/// [`Coinbase`](crate::Coinbase) and [`Advanced`](crate::Advanced) are implementations.
pub trait Exchange: Send + Sync + 'static {
    /// Returns the limits of the exchange and the expected heartbeat.
    fn limits(&self) -> ExchangeLimits;

    /// Returns the path of the stream, for example `/v2`. The feed uses this path if the server's
    /// URL has none.
    fn path(&self) -> &'static str;

    /// Returns another host of the exchange, for clients that the exchange refuses because of their
    /// country. An error message suggests this host. Default: none.
    fn elsewhere(&self) -> Option<&'static str> {
        None
    }

    /// Creates the protocol state of one new connection.
    fn new_connection(&self) -> Box<dyn ExchangeProtocol>;
}

impl Exchange for Box<dyn Exchange> {
    fn limits(&self) -> ExchangeLimits {
        (**self).limits()
    }

    fn path(&self) -> &'static str {
        (**self).path()
    }

    fn elsewhere(&self) -> Option<&'static str> {
        (**self).elsewhere()
    }

    fn new_connection(&self) -> Box<dyn ExchangeProtocol> {
        (**self).new_connection()
    }
}

/// The protocol of one connection: encodes requests and decodes frames. Made by
/// [`Exchange::new_connection`], once for each connection.
pub trait ExchangeProtocol: Send {
    /// Returns the first messages to send: the subscriptions.
    fn open(&mut self) -> Vec<String>;

    /// Decodes a text frame and appends the events of this frame to `heard`.
    ///
    /// # Errors
    /// If the frame is invalid. The feed counts and logs the error, and keeps the connection.
    fn on_text(&mut self, frame: &str, heard: &mut Vec<FeedEvent>) -> Result<(), DecodeError>;
}

/// The limits of an exchange, and the expected heartbeat. Returned by [`Exchange::limits`].
#[derive(Debug, Clone, Copy)]
pub struct ExchangeLimits {
    /// Minimum time between two connections from this client.
    pub connect_interval: Duration,
    /// Minimum time between two messages to the exchange over one connection. Pongs are extra.
    pub send_interval: Duration,
    /// Maximum time without any message from the exchange; heartbeats and pings count as messages.
    /// After this time, the feed closes the connection and connects again.
    pub heartbeat_timeout: Duration,
    /// Maximum age of a connection. The feed replaces a connection at 90 to 100 % of this age,
    /// before the exchange cuts the connection. `None`: no maximum.
    pub max_connection_age: Option<Duration>,
    /// Maximum number of symbols per connection.
    pub symbols: usize,
}

/// One event in a frame. Appended by [`ExchangeProtocol::on_text`].
#[derive(Debug)]
pub enum FeedEvent {
    /// A price. Contains the price, which the feed checks and publishes.
    Price(Box<FeedPrice>),
    /// An empty price: the exchange reports that no participant quotes the symbol. Only counted, as
    /// `unquoted`.
    NoQuote,
    /// A part of the frame was invalid. Other parts may be valid. Contains the reason.
    Undecodable(DecodeError),
    /// Messages were lost on this connection. Contains their number.
    Lost(u64),
    /// The exchange does not offer this symbol. The reason is the exchange's text.
    Refused {
        /// The refused symbol.
        symbol: Symbol,
        /// The exchange's text.
        why: String,
    },
    /// The exchange sends nothing over this connection. Contains the exchange's text. The feed
    /// closes the connection and connects again.
    Failed(String),
    /// The exchange is closed for a while, and prices will come again. Contains the exchange's
    /// text.
    Halted(String),
    /// The exchange is open again.
    Open,
    /// The exchange will soon cut the connection. The feed must open another connection.
    GoingAway,
    /// The feed must send a message next. Contains the message.
    Send(String),
    /// A known message without a price: a heartbeat or an acknowledgement.
    Nothing,
    /// A message of an unknown kind. Contains the kind.
    Unknown(String),
}

/// A price that an exchange sent. Contained in [`FeedEvent::Price`].
#[derive(Debug)]
pub struct FeedPrice {
    /// The tick without its time. The feed sets the time from [`when`](Self::when).
    pub tick: Tick,
    /// The time of the event at the exchange.
    pub when: EventTime,
    /// The kind of the price. Sequences are compared only within a kind and a symbol.
    pub kind: Kind,
    /// The position among other prices of the same symbol and kind.
    pub place: Sequence,
    /// Whether the price is a part of a snapshot of the current state, not a new event.
    pub snapshot: bool,
}

/// The time at which the exchange says that a price was made, in UTC. An [`ExchangeProtocol`] sets
/// it in [`FeedPrice::when`]. The feed makes the time of the tick from it. The time of a tick is
/// never before the time of the previous tick of its symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventTime {
    /// The exchange sent a time. Contains the milliseconds since 1970. A time before 2010 or more
    /// than a minute ahead of now counts as [`Unreadable`](Self::Unreadable).
    At(i64),
    /// The exchange sends no time with this price. The tick gets its arrival time.
    Missing,
    /// The exchange sent an invalid time. The feed counts it as `bad_times`. The tick gets an
    /// estimated time: the time of the previous tick of the symbol plus the time between the two
    /// arrivals. Without a previous tick, it gets its arrival time.
    Unreadable,
}

/// The kind of a price. Field of a [`FeedPrice`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A summary: last price, bid and ask, and the day's range.
    Ticker,
    /// Best bid and ask.
    Quote,
    /// A trade.
    Trade,
}

/// The position of a price among other prices of the same symbol and kind. The feed uses it to drop
/// repeated and outdated prices and to count lost prices. Field of a [`FeedPrice`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sequence {
    /// A sequence number that increases by one, so that a gap is a loss. Contains the number.
    Each(u64),
    /// A sequence number that increases, with gaps. Contains the number.
    Rising(u64),
    /// Only a time, never before the previous time. Contains the time, in any unit. Several prices
    /// may have the same time.
    Time(u64),
}

/// Which input was invalid, and why. Contains the text. Returned by [`ExchangeProtocol::on_text`].
/// `From<serde_json::Error>` makes one for invalid JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(pub String);

impl From<serde_json::Error> for DecodeError {
    fn from(error: serde_json::Error) -> Self {
        Self(format!("not the expected JSON: {error}"))
    }
}

impl FeedEvent {
    /// Returns the event for the result of decoding a price.
    pub(crate) fn from_print(print: Result<Option<FeedPrice>, DecodeError>) -> Self {
        match print {
            Ok(Some(print)) => Self::Price(Box::new(print)),
            Ok(None) => Self::NoQuote,
            Err(garbled) => Self::Undecodable(garbled),
        }
    }
}
