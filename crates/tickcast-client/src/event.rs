//! Typed events of a stream.

use serde::Deserialize;
use tickcast_core::PublishedTick;

/// An event of the stream.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A new price.
    Tick(PublishedTick),
    /// Everything that existed at the start was sent. From now on, the stream is live.
    Ready(Ready),
    /// Heartbeat (keep-alive): there was no other event for a while.
    Heartbeat {
        /// Time of the server's clock, in ms since 1970.
        time: i64,
        /// Status of every source.
        sources: Vec<SourceStatus>,
    },
    /// The state of a source has changed.
    Status(SourceStatus),
    /// The state of a symbol has changed, alone or together with its source.
    SymbolStatus(SymbolStatus),
    /// A symbol was removed.
    Gone(String),
    /// The stream could not continue at the reader's cursor, so there may be a gap. The newest tick of each
    /// symbol follows.
    Reset {
        /// Reason: `expired`, `epoch` or `invalid`.
        reason: String,
        /// The cursor that the server did not accept.
        last: String,
    },
    /// The server ended the stream: `draining`, `lagging` or `busy`. The client connects again.
    Bye(String),
    /// The connection was lost or could not be made. The text says what failed, and why. The client
    /// reconnects.
    Disconnected(String),
}

/// Description of a stream.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Ready {
    /// Name of the stream, used to change the stream.
    pub stream: String,
    /// Position of the stream.
    pub cursor: String,
    /// Number of symbols that the stream selects.
    pub symbols: usize,
    /// Delivery mode: `latest` or `all`.
    pub mode: String,
    /// Maximum number of updates per second and symbol.
    pub rate: Option<f64>,
    /// Number of seconds without an event after which the server sends a heartbeat.
    pub heartbeat: u64,
    /// Whether the stream continues without a gap.
    pub resumed: bool,
    /// Name of the server.
    pub server: String,
}

/// Status of a source.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct SourceStatus {
    /// Name of the source.
    pub source: String,
    /// State: `live`, `stale`, `down` or `gone`.
    pub state: String,
    /// Start of this state, in ms since 1970.
    pub since: i64,
    /// Reason for this state, if the server sends a reason; never in a heartbeat.
    pub reason: Option<String>,
}

/// Status of the price of a symbol.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct SymbolStatus {
    /// The symbol.
    pub symbol: String,
    /// State: `live`, `stale`, `down` or `gone`.
    pub state: String,
    /// Start of this state, in ms since 1970.
    pub since: i64,
    /// Reason for this state, if the server sends a reason: for example the message of an exchange.
    pub reason: Option<String>,
}

#[derive(Deserialize)]
struct Heartbeat {
    time: i64,
    sources: Vec<SourceStatus>,
}

#[derive(Deserialize)]
struct Reset {
    reason: String,
    last: String,
}

#[derive(Deserialize)]
struct Gone {
    symbol: String,
}

#[derive(Deserialize)]
struct Bye {
    reason: String,
}

impl Event {
    /// Reads an event of the stream from its name and its data. Returns `None` if the name is unknown or the data
    /// is invalid.
    #[must_use]
    pub fn read(name: &str, data: &str) -> Option<Self> {
        fn json<'a, T: Deserialize<'a>>(data: &'a str) -> Option<T> {
            serde_json::from_str(data).ok()
        }
        Some(match name {
            "tick" => Self::Tick(PublishedTick::read(data.to_owned().into())?),
            "ready" => Self::Ready(json(data)?),
            "heartbeat" => json(data).map(|Heartbeat { time, sources }| Self::Heartbeat { time, sources })?,
            "status" => json(data).map(Self::Status).or_else(|| json(data).map(Self::SymbolStatus))?,
            "gone" => Self::Gone(json::<Gone>(data)?.symbol),
            "reset" => json(data).map(|Reset { reason, last }| Self::Reset { reason, last })?,
            "bye" => Self::Bye(json::<Bye>(data)?.reason),
            _ => return None,
        })
    }
}
