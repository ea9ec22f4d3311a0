//! What each exchange says, and how. Dialects are pure: text in, text out.

mod advanced;
mod binance;
mod coinbase;
mod kraken;

use std::sync::Arc;

use crate::Exchange;
use crate::market::Tick;
use crate::script::Marked;

/// What a control message is answered with.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) acks: Vec<String>,
    /// Snapshots.
    pub(crate) data: Vec<String>,
    /// Whether it was a request to subscribe, even a failed one.
    pub(crate) subscribes: bool,
}

impl Reply {
    /// A plain answer.
    fn of(text: String) -> Self {
        Self { acks: vec![text], ..Self::default() }
    }
}

/// One connection as one exchange speaks on it.
pub(crate) trait Dialect: Send {
    /// What the server says first, and when the state of its trading engine changes.
    fn system(&mut self, _system: &str) -> Vec<String> {
        Vec::new()
    }

    /// Answers a message of the client.
    fn control(&mut self, text: &str, latest: &[Arc<Tick>], now: i64) -> Reply;

    /// What the subscriptions make of a trade.
    fn trade(&mut self, marked: &Marked) -> Vec<String>;

    /// A ticker of a symbol nobody quotes, if there is a subscription to it.
    fn unquoted(&mut self, tick: &Tick, now: i64) -> Vec<String>;

    /// What is said once a second.
    fn heartbeat(&mut self, _latest: &[Arc<Tick>], _now: i64) -> Vec<String> {
        Vec::new()
    }

    /// Announces a planned restart.
    fn farewell(&mut self, _now: i64) -> Vec<String> {
        Vec::new()
    }

    /// Gives a message its number on this connection, where messages have one. Does nothing the second time.
    fn seal(&mut self, text: String) -> String {
        text
    }
}

/// Whether the exchange has a WebSocket at this path.
pub(crate) fn answers(exchange: Exchange, path: &str) -> bool {
    match exchange {
        Exchange::Binance => {
            path == "/ws" || path.starts_with("/ws/") || path == "/stream" || path == "/stream/"
        }
        Exchange::Coinbase | Exchange::Advanced => path == "/",
        Exchange::Kraken => path == "/v2" || path == "/v2/",
    }
}

/// The dialect of a connection that was opened with this path and query.
pub(crate) fn of(exchange: Exchange, path: &str, latest: &[Arc<Tick>], now: i64) -> Box<dyn Dialect> {
    match exchange {
        Exchange::Binance => Box::new(binance::Binance::new(path, latest)),
        Exchange::Coinbase => Box::new(coinbase::Coinbase::default()),
        Exchange::Advanced => Box::new(advanced::Advanced::new(now)),
        Exchange::Kraken => Box::new(kraken::Kraken::new(now)),
    }
}

/// Which symbol this is.
fn find(latest: &[Arc<Tick>], name: &str) -> Option<usize> {
    latest.iter().position(|tick| tick.instrument.name == name)
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A list of names as JSON.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(quoted).collect();
    format!("[{}]", names.join(","))
}
