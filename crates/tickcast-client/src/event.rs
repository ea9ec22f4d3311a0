//! What a stream says, typed.

use serde::Deserialize;
use tickcast_core::{Price, Symbol, TickView, Time};

/// What has happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A price.
    Tick(Tick),
    /// What was there has been sent; from here on it is live.
    Ready(Ready),
    /// Nothing else happened for a while.
    Heartbeat {
        /// The server's clock, in ms since 1970.
        time: i64,
        /// Every source.
        sources: Vec<SourceStatus>,
    },
    /// A source has turned.
    Status(SourceStatus),
    /// A symbol has turned, with its source.
    SymbolStatus(SymbolStatus),
    /// A symbol was taken off.
    Gone(String),
    /// It could not be gone on from where this reader left: there may be a hole. The newest tick of each symbol comes next.
    Reset {
        /// Why: `expired`, `epoch` or `invalid`.
        reason: String,
        /// The cursor that was no good.
        last: String,
    },
    /// The server ended the stream: `draining`, `lagging`, `busy`. It is come back to.
    Bye(String),
    /// The connection was lost, or could not be made: a sentence that says which, and why. It is tried again.
    Disconnected(String),
}

/// A price.
#[derive(Debug, Clone)]
pub struct Tick {
    /// What moved.
    pub symbol: Symbol,
    /// Its price.
    pub price: Price,
    /// The change from the reference.
    pub change: Price,
    /// The same in percent.
    pub change_pct: Option<Price>,
    /// When it happened.
    pub time: Time,
    /// Its number among its symbol's ticks: a hole says that ticks were merged.
    pub n: u64,
    /// All of it as it came, extras included: a JSON object.
    pub json: String,
}

/// What a stream is about.
#[derive(Debug, Clone, Deserialize)]
pub struct Ready {
    /// Its name, by which it can be changed.
    pub stream: String,
    /// Where it stands.
    pub cursor: String,
    /// How many symbols it is about.
    pub symbols: usize,
    /// `latest` or `all`.
    pub mode: String,
    /// At most so many updates a second of each symbol.
    pub rate: Option<f64>,
    /// Seconds of quiet after which there is a heartbeat.
    pub heartbeat: u64,
    /// Whether it goes on without a break.
    pub resumed: bool,
    /// Who serves it.
    pub server: String,
}

/// How a source is doing.
#[derive(Debug, Clone, Deserialize)]
pub struct SourceStatus {
    /// Its name.
    pub source: String,
    /// `live`, `stale`, `down` or `gone`.
    pub state: String,
    /// Since when, in ms since 1970.
    pub since: i64,
    /// Why, where the server says more; never in a heartbeat.
    pub reason: Option<String>,
}

/// How a symbol's price is.
#[derive(Debug, Clone, Deserialize)]
pub struct SymbolStatus {
    /// Which.
    pub symbol: String,
    /// `live`, `stale`, `down` or `gone`.
    pub state: String,
    /// Since when, in ms since 1970.
    pub since: i64,
    /// Why, where the server says more: an exchange's own words, perhaps.
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
    /// Reads an event of this name; `None` for one that is not known here, or makes no sense.
    pub(crate) fn read(name: &str, data: &str) -> Option<Self> {
        fn json<'a, T: Deserialize<'a>>(data: &'a str) -> Option<T> {
            serde_json::from_str(data).ok()
        }
        Some(match name {
            "tick" => Self::Tick(Tick::read(data)?),
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

impl Tick {
    fn read(data: &str) -> Option<Self> {
        let facts = TickView::read(data.as_bytes())?;
        let (price, change, change_pct) = facts.amounts()?;
        Some(Self {
            symbol: facts.symbol,
            price,
            change,
            change_pct,
            time: facts.time,
            n: facts.n,
            json: data.to_owned(),
        })
    }
}
