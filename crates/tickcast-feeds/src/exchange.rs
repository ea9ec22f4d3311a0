//! What a feed must know about an exchange. A new exchange implements these traits.

use std::time::Duration;

use tickcast::{Symbol, Tick};

/// An exchange's messages and limits.
pub trait Exchange: Send + Sync + 'static {
    /// Returns the limits of the exchange and the expected heartbeat.
    fn limits(&self) -> ExchangeLimits;

    /// Returns the path of the stream. The feed uses this path if the server's URL has none.
    fn path(&self) -> &'static str;

    /// Returns another host of the exchange, for clients that the exchange refuses because of their country.
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

/// The protocol of one connection: encodes requests and decodes frames.
pub trait ExchangeProtocol: Send {
    /// Returns the first messages to send: the subscriptions.
    fn open(&mut self) -> Vec<String>;

    /// Decodes a text frame and appends the events of this frame.
    ///
    /// # Errors
    /// If the frame is invalid.
    fn on_text(&mut self, frame: &str, heard: &mut Vec<FeedEvent>) -> Result<(), DecodeError>;
}

/// The limits of an exchange, and the expected heartbeat.
#[derive(Debug, Clone, Copy)]
pub struct ExchangeLimits {
    /// Minimum time between two connections from this client.
    pub connect_interval: Duration,
    /// Minimum time between two messages to the exchange over one connection. Pongs are extra.
    pub send_interval: Duration,
    /// Maximum silence of a healthy connection. Heartbeats or pings are part of the protocol.
    pub heartbeat_timeout: Duration,
    /// Maximum age of a connection. The feed replaces a connection at this age, before the exchange cuts the
    /// connection.
    pub max_connection_age: Option<Duration>,
    /// Maximum number of symbols per connection.
    pub symbols: usize,
}

/// One event in a frame.
#[derive(Debug)]
pub enum FeedEvent {
    /// A price.
    Price(Box<FeedPrice>),
    /// An empty price: the exchange reports that no participant quotes the symbol.
    NoQuote,
    /// A part of the frame was invalid. Other parts may be valid.
    Undecodable(DecodeError),
    /// The number of messages that were lost on this connection.
    Lost(u64),
    /// The exchange does not offer this symbol. The reason is the exchange's text.
    Refused {
        /// The refused symbol.
        symbol: Symbol,
        /// The exchange's text.
        why: String,
    },
    /// The exchange sends nothing over this connection. The reason is the exchange's text.
    Failed(String),
    /// The exchange is closed for a while, and prices will come again. The reason is the exchange's text.
    Halted(String),
    /// The exchange is open.
    Open,
    /// The exchange will soon cut the connection. The feed must open another connection.
    GoingAway,
    /// A message to send next.
    Send(String),
    /// A known message without a price: a heartbeat or an acknowledgement.
    Nothing,
    /// The kind of an unknown message.
    Unknown(String),
}

/// A price that an exchange sent.
#[derive(Debug)]
pub struct FeedPrice {
    /// The tick without its time.
    pub tick: Tick,
    /// When the price occurred.
    pub when: EventTime,
    /// The kind of the price. Sequences are compared only within a kind.
    pub kind: Kind,
    /// The position among other prices of the same symbol and kind.
    pub place: Sequence,
    /// Whether the price is a part of a snapshot of the current state, not a new event.
    pub snapshot: bool,
}

/// When a price occurred, in ms since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventTime {
    /// The time from the exchange.
    At(i64),
    /// The exchange sends no time.
    Unsaid,
    /// The exchange sent an invalid time.
    Unreadable,
}

/// The kind of a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A summary: last price, bid and ask, and the day's range.
    Ticker,
    /// Best bid and ask.
    Quote,
    /// A trade.
    Trade,
}

/// The position of a price among other prices of the same symbol and kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sequence {
    /// A sequence number that increases by one, so that a gap is a loss.
    Each(u64),
    /// A sequence number that increases, with gaps.
    Rising(u64),
    /// Only a time, in any unit. A time is never before the previous time.
    Time(u64),
}

/// Which input was invalid, and why.
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
