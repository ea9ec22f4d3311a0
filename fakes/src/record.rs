//! What has happened so far, for a test to compare with what its client made of it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::market::{Market, Tick};

/// A day of two symbols at five trades a second fits twice over.
const KEPT: usize = 2_000_000;

/// A snapshot of what has happened.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Every attempt to connect, in order.
    pub connects: Vec<Connect>,
    /// What the clients did that an exchange forbids, and what the fake itself got wrong.
    pub violations: Vec<String>,
    /// Every trade that was offered to subscribers, once, whether or not anybody was subscribed.
    pub sent: Vec<Trade>,
    /// Every trade that was kept back under [`Fault::Gap`](crate::Fault::Gap).
    pub withheld: Vec<Trade>,
}

/// One attempt to connect.
#[derive(Debug, Clone, Default)]
pub struct Connect {
    /// Since the fake was started.
    pub at: Duration,
    /// Whether it became a WebSocket.
    pub accepted: bool,
    /// The text messages the client sent, and when (since the fake was started).
    pub messages: Vec<(Duration, String)>,
    /// How many pong frames the client sent.
    pub pongs: u32,
    /// Why it ended; `None` while it lasts.
    pub ended: Option<String>,
}

/// One trade of the market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trade {
    /// As the exchange writes it.
    pub symbol: String,
    /// Trade id: one more for each trade of a symbol.
    pub id: u64,
    /// Sequence number of the symbol: rises, and skips.
    pub sequence: u64,
    /// The exact text sent.
    pub price: String,
    /// Milliseconds since 1970.
    pub time: i64,
    /// Best bid right after, the exact text sent.
    pub bid: String,
    /// Best ask right after, the exact text sent.
    pub ask: String,
}

/// A trade without its texts, of which there are too many to keep.
#[derive(Debug)]
struct Entry {
    symbol: usize,
    id: u64,
    sequence: u64,
    price: i64,
    time: i64,
    bid: i64,
    ask: i64,
}

/// A list of trades that forgets the oldest when it is full.
#[derive(Debug, Default)]
pub(crate) struct Ledger(VecDeque<Entry>);

impl Ledger {
    pub(crate) fn push(&mut self, tick: &Tick) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        let &Tick { id, sequence, price, time, bid, ask, .. } = tick;
        self.0.push_back(Entry { symbol: tick.instrument.index, id, sequence, price, time, bid, ask });
    }

    pub(crate) fn trades(&self, market: &Market) -> Vec<Trade> {
        let trade = |entry: &Entry| {
            let instrument = market.instrument(entry.symbol);
            Trade {
                symbol: instrument.name.clone(),
                id: entry.id,
                sequence: entry.sequence,
                price: instrument.price(entry.price).to_string(),
                time: entry.time,
                bid: instrument.price(entry.bid).to_string(),
                ask: instrument.price(entry.ask).to_string(),
            }
        };
        self.0.iter().map(trade).collect()
    }
}
