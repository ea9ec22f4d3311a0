//! Notices: the events of a resumable stream other than ticks.

use serde::Serialize;

use super::fields::{DATA, EVENT, finish};
use crate::{
    CloseReason, EventId, FilterHash, Mode, ResumeError, SourceStatus, State, Symbol, Time,
};

/// An event of a resumable stream other than a tick. Encode it with [`write`](Self::write).
#[derive(Debug, Clone, Copy)]
pub enum Notice<'a> {
    /// Everything that existed when the reader connected or returned was sent. From now on, the
    /// stream is live.
    Ready {
        /// Name of the stream, used to change the stream.
        stream: &'a str,
        /// Number of symbols of the market that the stream selects.
        symbols: usize,
        /// Hash of the stream's filter. A reader that returns with other symbols sends this hash
        /// after the cursor.
        filter: FilterHash,
        /// Delivery mode of the stream.
        mode: Mode,
        /// Maximum number of updates per second and symbol. `None`: no limit.
        rate: Option<f64>,
        /// Number of seconds without an event after which the server sends a heartbeat.
        heartbeat: u64,
        /// Whether the stream continues from the reader's cursor without a gap.
        resumed: bool,
        /// Number of seconds by which the stream is behind the market, if it is delayed.
        delay: Option<u64>,
        /// Name of the server.
        server: &'a str,
    },
    /// Heartbeat (keep-alive): sent if there was no other event for a while.
    Heartbeat {
        /// Time of the server's clock.
        time: Time,
        /// Status of every source.
        sources: &'a [SourceStatus],
    },
    /// The data of the reader may have a gap, so the stream starts from the beginning. The event's
    /// position is before the first tick.
    Reset {
        /// Reason for the reset.
        reason: ResumeError,
        /// The cursor that the reader sent.
        last: &'a str,
    },
    /// The state of a source has changed. Contains the new status.
    Status(&'a SourceStatus),
    /// The state of a symbol has changed, alone or together with its source.
    SymbolStatus {
        /// The symbol.
        symbol: Symbol,
        /// State of the symbol.
        state: State,
        /// Start of this state.
        since: Time,
        /// Reason for this state, if there is more to say: for example the message of an exchange.
        reason: Option<&'a str>,
    },
    /// A symbol was removed. Contains the symbol.
    Gone(Symbol),
    /// The server closes the stream.
    Bye {
        /// Reason for the end of the stream.
        reason: CloseReason,
        /// Time to wait before the next connection, in milliseconds.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<u64>,
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
        Self {
            source: &status.source,
            state: status.state.as_str(),
            since: status.since.as_millis(),
        }
    }
}

impl Notice<'_> {
    /// Appends the notice as an event. `id` is the position of the stream, or `None` if the stream
    /// has no position yet.
    pub fn write(&self, id: Option<EventId>, out: &mut Vec<u8>) {
        let cursor = || id.map(|id| id.cursor.to_string());
        match *self {
            Self::Ready {
                stream,
                symbols,
                filter,
                mode,
                rate,
                heartbeat,
                resumed,
                delay,
                server,
            } => {
                let (mode, filter) = (mode.as_str(), filter.to_string());
                event(
                    "ready",
                    &Ready {
                        stream,
                        cursor: cursor(),
                        symbols,
                        filter,
                        mode,
                        rate,
                        heartbeat,
                        resumed,
                        delay,
                        server,
                    },
                    out,
                );
            }
            Self::Heartbeat { time, sources } => {
                let sources = sources.iter().map(Source::from).collect();
                event(
                    "heartbeat",
                    &Heartbeat {
                        time: time.as_millis(),
                        cursor: cursor(),
                        sources,
                    },
                    out,
                );
            }
            Self::Reset { reason, last } => event(
                "reset",
                &Reset {
                    reason: reason.as_str(),
                    last,
                },
                out,
            ),
            Self::Status(status) => {
                let (source, reason) = (Source::from(status), status.reason.as_deref());
                event("status", &SourceChange { source, reason }, out);
            }
            Self::SymbolStatus {
                symbol,
                state,
                since,
                reason,
            } => {
                let (symbol, state, since) = (symbol.as_str(), state.as_str(), since.as_millis());
                event(
                    "status",
                    &SymbolChange {
                        symbol,
                        state,
                        since,
                        reason,
                    },
                    out,
                );
            }
            Self::Gone(symbol) => event(
                "gone",
                &Gone {
                    symbol: symbol.as_str(),
                },
                out,
            ),
            Self::Bye { reason, retry } => {
                event(
                    "bye",
                    &Bye {
                        reason: reason.as_str(),
                        retry,
                    },
                    out,
                );
                out.extend_from_slice(format!("\nretry: {retry}").as_bytes());
            }
        }
        finish(id, out);
    }
}

/// Appends the lines of an event up to its data. The output is ASCII only, because some readers
/// also end lines at other Unicode characters.
fn event(name: &str, data: &impl Serialize, out: &mut Vec<u8>) {
    // Serialization cannot fail: all keys are strings, and all numbers are finite.
    let json = serde_json::to_string(data).unwrap_or_default();
    out.extend_from_slice(EVENT);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(DATA);
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
    fn each_notice_is_written_as_its_event() {
        let ready = Notice::Ready {
            stream: "5f",
            symbols: 3,
            filter: FilterHash::new(0),
            mode: Mode::All,
            rate: None,
            heartbeat: 10,
            resumed: true,
            delay: None,
            server: "tickcast",
        };
        assert_eq!(
            written(ready, "000000000abc-42.x7Q_"),
            "event: ready\ndata: {\"stream\":\"5f\",\"cursor\":\"000000000abc-42.x7Q_\",\"symbols\":3,\"filter\":\"AAAA\",\"mode\":\"all\",\"rate\":null,\
             \"heartbeat\":10,\"resumed\":true,\"server\":\"tickcast\"}\nid: 000000000abc-42.x7Q_\n\n"
        );
        let since = Time::from_millis(7).unwrap();
        let status = SourceStatus {
            source: "sim".to_owned(),
            state: State::Stale,
            since,
            reason: None,
        };
        assert_eq!(
            written(
                Notice::Heartbeat {
                    time: since,
                    sources: std::slice::from_ref(&status)
                },
                "000000000abc-1.x7Q_"
            ),
            "event: heartbeat\ndata: {\"time\":7,\"cursor\":\"000000000abc-1.x7Q_\",\"sources\":[{\"source\":\"sim\",\
             \"state\":\"stale\",\"since\":7}]}\nid: 000000000abc-1.x7Q_\n\n"
        );
        assert_eq!(
            written(
                Notice::Bye {
                    reason: CloseReason::Busy,
                    retry: 5000
                },
                ""
            ),
            "event: bye\ndata: {\"reason\":\"busy\",\"retry\":5000}\nretry: 5000\n\n"
        );
    }

    proptest! {
        #[test]
        fn text_from_a_reader_cannot_forge_an_event(last: String) {
            let text = written(Notice::Reset { reason: ResumeError::Invalid, last: &last }, "000000000abc-0.AAAA");
            prop_assert!(text.is_ascii());
            let lines: Vec<_> = text.lines().collect();
            prop_assert_eq!((lines.len(), lines[0], lines[2]), (4, "event: reset", "id: 000000000abc-0.AAAA"));
            let data: serde_json::Value = serde_json::from_str(lines[1].strip_prefix("data: ").unwrap()).unwrap();
            prop_assert_eq!(data["last"].as_str(), Some(last.as_str()));
        }
    }
}
