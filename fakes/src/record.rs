//! The events so far. A test compares them with the results of its client.

use std::collections::VecDeque;
use std::time::Duration;

use crate::market::{Market, Tick};

/// Maximum number of trades in a list: more than two days of two symbols at five trades per second.
const MAX_TRADES: usize = 2_000_000;

/// A snapshot of all events so far.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Every attempt to connect, in order.
    pub connects: Vec<Connect>,
    /// Violations of an exchange's rules by clients, and errors of the fake itself.
    pub violations: Vec<String>,
    /// Every trade that was offered to subscribers, once, even if no client was subscribed.
    pub sent: Vec<Trade>,
    /// Every trade that was withheld under [`Fault::Gap`](crate::Fault::Gap).
    pub withheld: Vec<Trade>,
}

/// One attempt to connect.
#[derive(Debug, Clone, Default)]
pub struct Connect {
    /// Time since the start of the fake.
    pub at: Duration,
    /// Whether the connection became a WebSocket.
    pub accepted: bool,
    /// The client's text messages, each with the time since the start of the fake.
    pub messages: Vec<(Duration, String)>,
    /// The number of the client's pong frames.
    pub pongs: u32,
    /// Why the connection ended; `None` while the connection is open.
    pub ended: Option<String>,
}

/// One trade of the market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trade {
    /// The symbol as the exchange writes it.
    pub symbol: String,
    /// Trade id; increases by one with each trade of a symbol.
    pub id: u64,
    /// Sequence number of the symbol; increases, with gaps.
    pub sequence: u64,
    /// The exact text of the price.
    pub price: String,
    /// Milliseconds since 1970.
    pub time: i64,
    /// The exact text of the best bid after the trade.
    pub bid: String,
    /// The exact text of the best ask after the trade.
    pub ask: String,
}

/// A trade in compact form, because the texts of all trades would need too much memory.
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

/// A list of trades that drops the oldest trade when the list is full.
#[derive(Debug, Default)]
pub(crate) struct TradeList(VecDeque<Entry>);

impl TradeList {
    pub(crate) fn push(&mut self, tick: &Tick) {
        if self.0.len() == MAX_TRADES {
            self.0.pop_front();
        }
        let &Tick {
            id,
            sequence,
            price,
            time,
            bid,
            ask,
            ..
        } = tick;
        self.0.push_back(Entry {
            symbol: tick.instrument.index,
            id,
            sequence,
            price,
            time,
            bid,
            ask,
        });
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
