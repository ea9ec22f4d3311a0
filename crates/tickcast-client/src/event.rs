//! Typed events of a stream.

use serde::Deserialize;
use tickcast_core::PublishedTick;

/// An event of the stream. Returned by [`PriceStream::next`](crate::PriceStream::next).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A new price. Contains the tick.
    Tick(PublishedTick),
    /// Everything that existed at the start was sent. From now on, the stream is live. Contains the
    /// description of the stream.
    Ready(Ready),
    /// Heartbeat (keep-alive): there was no other event for a while.
    Heartbeat {
        /// Time of the server's clock, in ms since 1970.
        time: i64,
        /// Status of every source.
        sources: Vec<SourceStatus>,
    },
    /// The state of a source has changed. Contains the new status.
    Status(SourceStatus),
    /// The state of a symbol has changed, alone or together with its source. Contains the new
    /// status.
    SymbolStatus(SymbolStatus),
    /// A symbol was removed. Contains its name.
    Gone(String),
    /// The stream could not continue at the reader's cursor, so ticks may be missing. The newest
    /// tick of each symbol follows.
    Reset {
        /// Reason: `expired` (the server no longer has the ticks after the cursor), `epoch` (the
        /// cursor is from another tape) or `invalid`.
        reason: String,
        /// The cursor that the server did not accept.
        last: String,
    },
    /// The server ended the stream. Contains the reason: `draining` (the server stops), `lagging`
    /// (the reader fell behind the tape), `busy` (too many streams) or `expired` (the permission to
    /// read has ended). The client connects again.
    Bye(String),
    /// The connection was lost or could not be made. Contains what failed, and why. The next call
    /// connects again.
    Disconnected(String),
}

/// Description of a stream. Contained in [`Event::Ready`].
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Ready {
    /// Name of the stream. `PATCH /v1/streams/{stream}` changes the symbols of the stream.
    pub stream: String,
    /// Position of the stream: a cursor.
    pub cursor: String,
    /// Number of symbols that the stream selects.
    pub symbols: usize,
    /// Delivery mode: `latest` or `all`.
    pub mode: String,
    /// Maximum number of updates per second and symbol. `None`: no limit.
    pub rate: Option<f64>,
    /// Number of seconds without an event after which the server sends a heartbeat.
    pub heartbeat: u64,
    /// Whether the stream continues from the cursor of the request without a gap. False for a new
    /// stream, and after a reset.
    pub resumed: bool,
    /// How far the prices are behind the market, in seconds. `None`: they are live.
    pub delay: Option<u64>,
    /// Name of the server.
    pub server: String,
}

/// Status of a source. Contained in [`Event::Status`] and [`Event::Heartbeat`].
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct SourceStatus {
    /// Name of the source.
    pub source: String,
    /// State: `live` (prices arrive), `stale` (no price for too long), `down` (the source has
    /// failed) or `gone` (no more prices will arrive).
    pub state: String,
    /// Start of this state, in ms since 1970.
    pub since: i64,
    /// Reason for this state, if the server sends a reason; never in a heartbeat.
    pub reason: Option<String>,
}

/// Status of the price of a symbol. Contained in [`Event::SymbolStatus`].
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct SymbolStatus {
    /// The symbol.
    pub symbol: String,
    /// State: `live` (prices arrive), `stale` (no price for too long), `down` (the source has
    /// failed) or `gone` (no more prices will arrive).
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
    /// Reads an event of the stream from the fields `event` and `data` of a Server-Sent Event.
    /// Returns `None` if the name is unknown or the data is invalid.
    #[must_use]
    pub fn read(name: &str, data: &str) -> Option<Self> {
        fn json<'a, T: Deserialize<'a>>(data: &'a str) -> Option<T> {
            serde_json::from_str(data).ok()
        }
        Some(match name {
            "tick" => Self::Tick(PublishedTick::read(data.to_owned().into())?),
            "ready" => Self::Ready(json(data)?),
            "heartbeat" => {
                json(data).map(|Heartbeat { time, sources }| Self::Heartbeat { time, sources })?
            }
            "status" => json(data)
                .map(Self::Status)
                .or_else(|| json(data).map(Self::SymbolStatus))?,
            "gone" => Self::Gone(json::<Gone>(data)?.symbol),
            "reset" => json(data).map(|Reset { reason, last }| Self::Reset { reason, last })?,
            "bye" => Self::Bye(json::<Bye>(data)?.reason),
            _ => return None,
        })
    }
}
