//! What a feed has to know about an exchange: the seam at which a new one is added.

use std::time::Duration;

use tickcast::{Symbol, Tick};

/// An exchange, as far as its messages go.
pub trait Exchange: Send + Sync + 'static {
    /// What it allows, and what may be expected of it.
    fn limits(&self) -> ExchangeLimits;

    /// Where its stream lies on a server that is given without a path.
    fn path(&self) -> &'static str;

    /// Another host of it, for whoever it refuses for the place they are in.
    fn elsewhere(&self) -> Option<&'static str> {
        None
    }

    /// What is said and understood over one new connection.
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

/// What is said and understood over one connection.
pub trait ExchangeProtocol: Send {
    /// What is said first: the subscriptions.
    fn open(&mut self) -> Vec<String>;

    /// Takes a text frame, and appends what it says.
    ///
    /// # Errors
    /// Where it makes no sense.
    fn on_text(&mut self, frame: &str, heard: &mut Vec<FeedEvent>) -> Result<(), DecodeError>;
}

/// What an exchange allows, and what may be expected of it.
#[derive(Debug, Clone, Copy)]
pub struct ExchangeLimits {
    /// Least time between two connections from here.
    pub connect_interval: Duration,
    /// Least time between two messages of ours over one connection. Pongs come on top.
    pub send_interval: Duration,
    /// A healthy connection is never quieter than this: its heartbeats or pings are part of the protocol.
    pub heartbeat_timeout: Duration,
    /// A connection is replaced when it is this old, before the exchange cuts it.
    pub max_connection_age: Option<Duration>,
    /// Most symbols of one connection.
    pub symbols: usize,
}

/// One thing that a frame says.
#[derive(Debug)]
pub enum FeedEvent {
    /// A price.
    Price(Box<FeedPrice>),
    /// A price is said to be none: nobody quotes it.
    NoQuote,
    /// A part of the frame made no sense. The others may.
    Undecodable(DecodeError),
    /// So many messages were lost on this connection.
    Lost(u64),
    /// The exchange does not give this symbol, in its own words.
    Refused {
        /// Which.
        symbol: Symbol,
        /// Its words.
        why: String,
    },
    /// The exchange gives nothing over this connection, in its own words.
    Failed(String),
    /// It is closed for a while, in its own words: prices will come again.
    Halted(String),
    /// It is open.
    Open,
    /// The connection will soon be cut: another one has to be ready.
    GoingAway,
    /// This has to be said next.
    Send(String),
    /// Something that is known, and no price: a heartbeat, an acknowledgement.
    Nothing,
    /// Something that is not known: its kind.
    Unknown(String),
}

/// A price as an exchange gave it.
#[derive(Debug)]
pub struct FeedPrice {
    /// The tick, but for its time.
    pub tick: Tick,
    /// When it happened.
    pub when: EventTime,
    /// What sort it is of: places are compared within a sort.
    pub kind: Kind,
    /// Where it stands among others of its symbol and sort.
    pub place: Sequence,
    /// It is not new: it says where things stand.
    pub snapshot: bool,
}

/// When a price happened, in ms since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventTime {
    /// As the exchange says.
    At(i64),
    /// The exchange does not say.
    Unsaid,
    /// The exchange says something that is no time.
    Unreadable,
}

/// What sort a price is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A summary: last price, bid and ask, the day's range.
    Ticker,
    /// Best bid and ask.
    Quote,
    /// A trade.
    Trade,
}

/// Where a price stands among others of its symbol and sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sequence {
    /// Numbered: one more each time, so that a hole is a loss.
    Each(u64),
    /// Numbered: each time more than before.
    Rising(u64),
    /// By its time alone, in whatever unit: not before the one before.
    Time(u64),
}

/// What made no sense, and how.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(pub String);

impl From<serde_json::Error> for DecodeError {
    fn from(error: serde_json::Error) -> Self {
        Self(format!("not the JSON that was expected: {error}"))
    }
}

impl FeedEvent {
    /// A price, or what became of it.
    pub(crate) fn from_print(print: Result<Option<FeedPrice>, DecodeError>) -> Self {
        match print {
            Ok(Some(print)) => Self::Price(Box::new(print)),
            Ok(None) => Self::NoQuote,
            Err(garbled) => Self::Undecodable(garbled),
        }
    }
}
