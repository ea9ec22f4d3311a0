//! The trait of all protocols, the reply to a client, and the helpers that the protocols share.

use std::sync::Arc;

use crate::events::MarkedTrade;
use crate::market::Tick;

/// The response to a control message.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// Acknowledgements and errors.
    pub(crate) acks: Vec<String>,
    /// Snapshots.
    pub(crate) data: Vec<String>,
    /// Whether the message was a request to subscribe, even if the request failed.
    pub(crate) subscribes: bool,
}

impl Reply {
    /// Returns a reply with this text only.
    pub(super) fn of(text: String) -> Self {
        Self {
            acks: vec![text],
            ..Self::default()
        }
    }
}

/// The protocol of one exchange on one connection.
pub(crate) trait Protocol: Send {
    /// Returns the first message of the server, and the message after a change of the trading
    /// engine's state.
    fn system(&mut self, _system: &str) -> Vec<String> {
        Vec::new()
    }

    /// Answers a message of the client.
    fn control(&mut self, text: &str, latest: &[Arc<Tick>], now: i64) -> Reply;

    /// Returns the messages about a trade to which the client is subscribed.
    fn trade(&mut self, marked: &MarkedTrade) -> Vec<String>;

    /// Returns a ticker of a symbol without a quote, if the client is subscribed to the symbol.
    fn unquoted(&mut self, tick: &Tick, now: i64) -> Vec<String>;

    /// Returns the heartbeats that are due once a second.
    fn heartbeat(&mut self, _latest: &[Arc<Tick>], _now: i64) -> Vec<String> {
        Vec::new()
    }

    /// Returns the announcement of a planned restart.
    fn restart_notice(&mut self, _now: i64) -> Vec<String> {
        Vec::new()
    }

    /// Sets the sequence number of a message, if messages have a number on this connection. A
    /// second call changes nothing.
    fn set_number(&mut self, text: String) -> String {
        text
    }
}

/// Returns the index of the symbol with this name.
pub(super) fn find(latest: &[Arc<Tick>], name: &str) -> Option<usize> {
    latest.iter().position(|tick| tick.instrument.name == name)
}

/// Returns a text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Returns a list of names as JSON.
pub(super) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(quoted).collect();
    format!("[{}]", names.join(","))
}
