//! What a resumable stream says besides ticks, as finished events.

use serde::Serialize;

use crate::{EventId, FilterHash, Mode, ResumeError, Symbol, Time};

/// How a source's, or a symbol's, prices are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// They come.
    #[default]
    Live,
    /// None has come for longer than its source may be silent.
    Stale,
    /// Its source has failed: none will come until it is back.
    Down,
    /// There will be no more.
    Gone,
}

impl State {
    /// As readers are told.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Stale => "stale",
            Self::Down => "down",
            Self::Gone => "gone",
        }
    }
}

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The server stops.
    Draining,
    /// The reader has fallen off the tape's end.
    Lagging,
    /// There is no place for another stream.
    Busy,
}

impl CloseReason {
    /// As readers are told.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Lagging => "lagging",
            Self::Busy => "busy",
        }
    }
}

/// How a source is doing, as readers are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStatus {
    /// Its name.
    pub source: String,
    /// Its state.
    pub state: State,
    /// Since when.
    pub since: Time,
    /// Why, where there is more to say.
    pub reason: Option<String>,
}

/// What a stream says besides ticks.
#[derive(Debug, Clone, Copy)]
pub enum Notice<'a> {
    /// What was there when the reader came, or came back, has been sent; from here on it is live.
    Ready {
        /// What the stream can be changed by.
        stream: &'a str,
        /// How many symbols of the market it is about.
        symbols: usize,
        /// The mark of its filter: who comes back with other symbols says it behind the cursor.
        filter: FilterHash,
        /// How it is brought forward.
        mode: Mode,
        /// At most so many updates a second of each symbol.
        rate: Option<f64>,
        /// Seconds of quiet after which it is sent a heartbeat.
        heartbeat: u64,
        /// Whether it goes on without a break from where the reader left.
        resumed: bool,
        /// Who serves it.
        server: &'a str,
    },
    /// Nothing else was to be said.
    Heartbeat {
        /// The server's clock.
        time: Time,
        /// Every source.
        sources: &'a [SourceStatus],
    },
    /// What the reader holds may have a hole: it begins anew. Its place is the one before the first tick.
    Reset {
        /// Why.
        reason: ResumeError,
        /// What it came with.
        last: &'a str,
    },
    /// A source has turned.
    Status(&'a SourceStatus),
    /// A symbol has turned, with its source or by itself.
    SymbolStatus {
        /// Which.
        symbol: Symbol,
        /// How its price is.
        state: State,
        /// Since when.
        since: Time,
        /// Why, where there is more to say: an exchange's own words, perhaps.
        reason: Option<&'a str>,
    },
    /// A symbol was taken off.
    Gone(Symbol),
    /// The stream ends.
    Bye {
        /// Why.
        reason: CloseReason,
        /// When to come back, in milliseconds.
        retry: u32,
    },
}

#[derive(Serialize)]
struct Ready<'a> {
    stream: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    symbols: usize,
    filter: String,
    mode: &'a str,
    rate: Option<f64>,
    heartbeat: u64,
    resumed: bool,
    server: &'a str,
}

#[derive(Serialize)]
struct Heartbeat<'a> {
    time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    sources: Vec<Source<'a>>,
}

#[derive(Serialize)]
struct Source<'a> {
    source: &'a str,
    state: &'a str,
    since: i64,
}

#[derive(Serialize)]
struct SourceChange<'a> {
    #[serde(flatten)]
    source: Source<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct SymbolChange<'a> {
    symbol: &'a str,
    state: &'a str,
    since: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Reset<'a> {
    reason: &'a str,
    last: &'a str,
}

#[derive(Serialize)]
struct Gone<'a> {
    symbol: &'a str,
}

#[derive(Serialize)]
struct Bye<'a> {
    reason: &'a str,
    retry: u32,
}

impl<'a> From<&'a SourceStatus> for Source<'a> {
    fn from(status: &'a SourceStatus) -> Self {
        Self { source: &status.source, state: status.state.as_str(), since: status.since.as_millis() }
    }
}

impl Notice<'_> {
    /// Appends it as an event of a stream that stands at `cursor`; `None` for one that stands nowhere yet.
    pub fn write(&self, id: Option<EventId>, out: &mut Vec<u8>) {
        let cursor = id.map(|id| id.cursor.to_string());
        match *self {
            Self::Ready { stream, symbols, filter, mode, rate, heartbeat, resumed, server } => {
                let (mode, filter) = (mode.as_str(), filter.to_string());
                event(
                    "ready",
                    &Ready { stream, cursor, symbols, filter, mode, rate, heartbeat, resumed, server },
                    out,
                );
            }
            Self::Heartbeat { time, sources } => {
                let sources = sources.iter().map(Source::from).collect();
                event("heartbeat", &Heartbeat { time: time.as_millis(), cursor, sources }, out);
            }
            Self::Reset { reason, last } => event("reset", &Reset { reason: reason.as_str(), last }, out),
            Self::Status(status) => {
                let (source, reason) = (Source::from(status), status.reason.as_deref());
                event("status", &SourceChange { source, reason }, out);
            }
            Self::SymbolStatus { symbol, state, since, reason } => {
                let (symbol, state, since) = (symbol.as_str(), state.as_str(), since.as_millis());
                event("status", &SymbolChange { symbol, state, since, reason }, out);
            }
            Self::Gone(symbol) => event("gone", &Gone { symbol: symbol.as_str() }, out),
            Self::Bye { reason, retry } => {
                event("bye", &Bye { reason: reason.as_str(), retry }, out);
                out.extend_from_slice(format!("\nretry: {retry}").as_bytes());
            }
        }
        if let Some(id) = id {
            out.extend_from_slice(b"\nid: ");
            id.write(out);
        }
        out.extend_from_slice(b"\n\n");
    }
}

/// The lines of an event up to its data. Some readers end lines also at characters beyond ASCII, so there are none.
fn event(name: &str, data: &impl Serialize, out: &mut Vec<u8>) {
    // Nothing in it could be refused: all keys are text, all numbers finite.
    let json = serde_json::to_string(data).unwrap_or_default();
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c as u8);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(notice: Notice<'_>, cursor: &str) -> String {
        let mut out = Vec::new();
        notice.write(cursor.parse().ok(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_as_it_is_sent() {
        let ready = Notice::Ready {
            stream: "5f",
            symbols: 3,
            filter: FilterHash::new(0),
            mode: Mode::All,
            rate: None,
            heartbeat: 10,
            resumed: true,
            server: "tickcast",
        };
        assert_eq!(
            written(ready, "000000000abc-42.x7Q_"),
            "event: ready\ndata: {\"stream\":\"5f\",\"cursor\":\"000000000abc-42.x7Q_\",\"symbols\":3,\"filter\":\"AAAA\",\"mode\":\"all\",\"rate\":null,\
             \"heartbeat\":10,\"resumed\":true,\"server\":\"tickcast\"}\nid: 000000000abc-42.x7Q_\n\n"
        );
        let since = Time::from_millis(7).unwrap();
        let status = SourceStatus { source: "sim".to_owned(), state: State::Stale, since, reason: None };
        assert_eq!(
            written(
                Notice::Heartbeat { time: since, sources: std::slice::from_ref(&status) },
                "000000000abc-1.x7Q_"
            ),
            "event: heartbeat\ndata: {\"time\":7,\"cursor\":\"000000000abc-1.x7Q_\",\"sources\":[{\"source\":\"sim\",\
             \"state\":\"stale\",\"since\":7}]}\nid: 000000000abc-1.x7Q_\n\n"
        );
        assert_eq!(
            written(Notice::Bye { reason: CloseReason::Busy, retry: 5000 }, ""),
            "event: bye\ndata: {\"reason\":\"busy\",\"retry\":5000}\nretry: 5000\n\n"
        );
    }

    proptest! {
        #[test]
        fn nothing_a_reader_brings_can_forge_an_event(last: String) {
            let text = written(Notice::Reset { reason: ResumeError::Invalid, last: &last }, "000000000abc-0.AAAA");
            prop_assert!(text.is_ascii());
            let lines: Vec<_> = text.lines().collect();
            prop_assert_eq!((lines.len(), lines[0], lines[2]), (4, "event: reset", "id: 000000000abc-0.AAAA"));
            let data: serde_json::Value = serde_json::from_str(lines[1].strip_prefix("data: ").unwrap()).unwrap();
            prop_assert_eq!(data["last"].as_str(), Some(last.as_str()));
        }
    }
}
