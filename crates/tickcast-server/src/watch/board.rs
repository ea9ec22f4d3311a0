//! The contents of the screen: rows, their order, and the filter. The board uses no clock and no
//! terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use tickcast::{Symbol, Time};
use tickcast_client::{Event, PublishedTick};

use super::row::Row;

/// The time over which updates per second are averaged.
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// The state of a removed symbol.
const GONE: &str = "gone";

/// The sort key of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Name,
    Change,
    Rate,
}

impl Sort {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Change => "change",
            Self::Rate => "rate",
        }
    }

    const fn next(self) -> Self {
        match self {
            Self::Name => Self::Change,
            Self::Change => Self::Rate,
            Self::Rate => Self::Name,
        }
    }
}

/// The complete contents of the screen.
pub(super) struct Board {
    pub(super) url: String,
    /// Symbols that the user requested by name. These symbols have a row before they have a price.
    named: Vec<Symbol>,
    rows: BTreeMap<Symbol, Row>,
    /// States of symbols that are not live, as the server reported them. Symbols without a price
    /// are included.
    states: BTreeMap<Symbol, String>,
    /// Requested symbols that were removed, until they have a price again.
    off: BTreeSet<Symbol>,
    pub(super) sort: Sort,
    pub(super) reversed: bool,
    pub(super) filter: String,
    /// Whether keys go into the filter.
    pub(super) typing: bool,
    /// Number of rows above the first visible row.
    pub(super) top: usize,
    /// Reason of the lost connection; empty while there is a connection.
    pub(super) lost: String,
    pub(super) connected: bool,
    /// Whether the server simulates prices.
    pub(super) simulated: bool,
    /// Sources that are not live, as the server reported them.
    pub(super) troubles: BTreeMap<String, String>,
    /// Updates per second.
    pub(super) rate: f64,
    /// How far the prices are behind the market, in seconds. `None`: they are live.
    pub(super) delay: Option<u64>,
    /// Time from the last tick to its arrival here, in ms.
    pub(super) lag: Option<i64>,
    aged: Duration,
}

impl Board {
    /// Creates a board for the requested names and patterns.
    pub(super) fn new(url: &str, asked: &[String]) -> Self {
        let mut board = Self {
            url: url.to_owned(),
            named: asked
                .iter()
                .filter_map(|name| Symbol::new(name).ok())
                .collect(),
            rows: BTreeMap::new(),
            states: BTreeMap::new(),
            off: BTreeSet::new(),
            sort: Sort::Name,
            reversed: false,
            filter: String::new(),
            typing: false,
            top: 0,
            lost: String::new(),
            connected: false,
            simulated: false,
            troubles: BTreeMap::new(),
            rate: 0.0,
            delay: None,
            lag: None,
            aged: Duration::ZERO,
        };
        board.clear();
        board
    }

    /// Removes every price.
    fn clear(&mut self) {
        self.off.clear();
        self.rows = self
            .named
            .iter()
            .map(|symbol| (*symbol, Row::new(*symbol)))
            .collect();
    }

    /// Removes every state, because a new connection first reports everything that is not live.
    fn disconnected(&mut self) {
        self.connected = false;
        self.states.clear();
        self.troubles.clear();
    }

    /// Applies an event of the stream.
    pub(super) fn take(&mut self, event: &Event, now: Duration) {
        match event {
            Event::Tick(tick) => self.tick(tick, now),
            Event::Ready(ready) => {
                self.connected = true;
                self.delay = ready.delay;
                self.lost.clear();
            }
            Event::Disconnected(why) => {
                // The reason that the server gave says more than the end of the connection.
                if self.connected || self.lost.is_empty() {
                    self.lost.clone_from(why);
                }
                self.disconnected();
            }
            Event::Bye(reason) => {
                self.disconnected();
                self.lost = format!("the server ended the stream: {reason}");
            }
            // After a reset the server may be a different run, in which the displayed symbols may
            // not exist.
            Event::Reset { .. } => self.clear(),
            Event::Gone(symbol) => self.gone(symbol),
            Event::Status(status) => {
                if status.state == "live" {
                    self.troubles.remove(&status.source);
                } else {
                    self.troubles
                        .insert(status.source.clone(), status.state.clone());
                }
            }
            Event::SymbolStatus(status) => {
                let Ok(symbol) = Symbol::new(&status.symbol) else {
                    return;
                };
                if status.state == "live" {
                    self.states.remove(&symbol);
                } else {
                    self.states.insert(symbol, status.state.clone());
                }
            }
            // A heartbeat, or an event of a later version.
            _ => {}
        }
    }

    fn tick(&mut self, tick: &PublishedTick, now: Duration) {
        let wall = Time::from(SystemTime::now());
        self.lag = Some(wall.as_millis() - tick.time.as_millis());
        // A removed symbol that has a price again is no longer removed. A price does not change a
        // reported state.
        self.off.remove(&tick.symbol);
        self.rows
            .entry(tick.symbol)
            .or_insert_with(|| Row::new(tick.symbol))
            .take(tick, now);
    }

    fn gone(&mut self, symbol: &str) {
        let Ok(symbol) = Symbol::new(symbol) else {
            return;
        };
        self.rows.remove(&symbol);
        self.states.remove(&symbol);
        if self.named.contains(&symbol) {
            self.rows.insert(symbol, Row::new(symbol));
            self.off.insert(symbol);
        }
    }

    /// Returns `stale`, `down`, `gone` or another reported state. Returns an empty text if the
    /// symbol is live.
    pub(super) fn state(&self, symbol: &Symbol) -> &str {
        let taken_off = if self.off.contains(symbol) { GONE } else { "" };
        self.states.get(symbol).map_or(taken_off, String::as_str)
    }

    /// Updates the rates if a rate window has passed.
    pub(super) fn age(&mut self, now: Duration) {
        let span = now.saturating_sub(self.aged);
        if span < RATE_WINDOW {
            return;
        }
        self.aged = now;
        self.rate = 0.0;
        for row in self.rows.values_mut() {
            row.age(span);
            self.rate += row.rate;
        }
    }

    /// Returns the rows that match the filter, in order.
    pub(super) fn shown(&self) -> Vec<&Row> {
        let wanted = self.filter.to_ascii_uppercase();
        let matches = |row: &&Row| row.symbol.as_str().to_ascii_uppercase().contains(&wanted);
        let mut rows: Vec<_> = self.rows.values().filter(matches).collect();
        // Sorting by change or rate starts with the highest value.
        match self.sort {
            Sort::Name => {}
            Sort::Change => {
                rows.sort_by_key(|row| {
                    std::cmp::Reverse(row.quote.as_ref().and_then(|quote| quote.change_pct))
                });
            }
            Sort::Rate => rows.sort_by(|a, b| b.rate.total_cmp(&a.rate)),
        }
        if self.reversed {
            rows.reverse();
        }
        rows
    }

    /// Selects the next sort key.
    pub(super) fn sort_next(&mut self) {
        self.sort = self.sort.next();
        self.top = 0;
    }

    /// Scrolls by this number of rows.
    pub(super) fn scroll(&mut self, rows: isize) {
        let last = self.shown().len().saturating_sub(1);
        self.top = self.top.saturating_add_signed(rows).min(last);
    }

    pub(super) fn count(&self) -> usize {
        self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(symbol: &str, price: &str, pct: &str) -> Event {
        let json = format!(
            r#"{{"symbol":"{symbol}","price":{price},"change":0,"change_pct":{pct},"time":0,"n":1}}"#
        );
        Event::read("tick", &json).unwrap()
    }

    fn names(board: &Board) -> Vec<&str> {
        board
            .shown()
            .iter()
            .map(|row| row.symbol.as_str())
            .collect()
    }

    #[test]
    fn rows_are_sorted_and_filtered() {
        let mut board = Board::new("http://x", &[]);
        for (symbol, pct) in [("B", "-3"), ("A", "1"), ("C", "2"), ("D", "none")] {
            board.take(&tick(symbol, "1", pct), Duration::ZERO);
        }
        assert_eq!(names(&board), ["A", "B", "C", "D"]);
        board.sort_next();
        assert_eq!(names(&board), ["C", "A", "B", "D"]);
        board.reversed = true;
        assert_eq!(names(&board), ["D", "B", "A", "C"]);
        board.filter = "c".to_owned();
        assert_eq!(names(&board), ["C"]);
    }

    #[test]
    fn rates_cover_the_last_second() {
        let mut board = Board::new("http://x", &[]);
        (0..30).for_each(|n| board.take(&tick("A", "1", "0"), Duration::from_millis(n * 50)));
        board.age(Duration::from_millis(1500));
        assert!((board.rate - 20.0).abs() < 0.1, "{}", board.rate);
        board.age(Duration::from_millis(2600));
        assert!(board.rate.abs() < 0.1, "{}", board.rate);
    }

    #[test]
    fn moves_and_histories_are_recorded() {
        let mut board = Board::new("http://x", &[]);
        for (n, price) in [1, 2, 2, 1].into_iter().enumerate() {
            board.take(
                &tick("A", &price.to_string(), "0"),
                Duration::from_millis(n as u64 * 300),
            );
        }
        let row = board.shown()[0];
        assert_eq!(row.moved(Duration::from_millis(1000)), Some(false));
        assert_eq!(row.moved(Duration::from_millis(1600)), None);
        assert_eq!(row.history, [1.0, 2.0]);
        board.take(
            &Event::Reset {
                reason: "epoch".to_owned(),
                last: String::new(),
            },
            Duration::ZERO,
        );
        assert_eq!(board.count(), 0);
    }

    fn symbol_status(symbol: &str, state: &str) -> Event {
        let data = format!(r#"{{"symbol":"{symbol}","state":"{state}","since":0}}"#);
        Event::read("status", &data).unwrap()
    }

    #[test]
    fn a_reported_state_stays_until_the_connection_is_lost() {
        let mut board = Board::new("http://x", &[]);
        board.take(&symbol_status("A", "stale"), Duration::ZERO);
        board.take(&tick("A", "1", "0"), Duration::ZERO);
        assert_eq!(board.state(&board.shown()[0].symbol), "stale");
        board.take(&Event::Disconnected("reset".to_owned()), Duration::ZERO);
        board.take(&tick("A", "1", "0"), Duration::ZERO);
        assert_eq!(board.state(&board.shown()[0].symbol), "");
        // The source has ended. An ended source does not mean that the symbol was removed.
        board.take(&symbol_status("A", "gone"), Duration::ZERO);
        board.take(&tick("A", "1", "0"), Duration::ZERO);
        assert_eq!(board.state(&board.shown()[0].symbol), "gone");
        board.take(&symbol_status("A", "live"), Duration::ZERO);
        assert_eq!(board.state(&board.shown()[0].symbol), "");
    }

    #[test]
    fn a_symbol_requested_by_name_keeps_its_row() {
        let mut board = Board::new("http://x", &["NOSUCH".to_owned(), "B*".to_owned()]);
        assert_eq!(names(&board), ["NOSUCH"]);
        board.take(&tick("NOSUCH", "1", "0"), Duration::ZERO);
        board.take(&tick("BTC", "1", "0"), Duration::ZERO);
        for symbol in ["NOSUCH", "BTC"] {
            board.take(&Event::Gone(symbol.to_owned()), Duration::ZERO);
        }
        assert_eq!(names(&board), ["NOSUCH"]);
        assert!(board.shown()[0].quote.is_none());
        assert_eq!(board.state(&board.shown()[0].symbol), "gone");
        board.take(&tick("NOSUCH", "2", "0"), Duration::ZERO);
        assert_eq!(board.state(&board.shown()[0].symbol), "");
    }
}
