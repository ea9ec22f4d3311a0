//! What is on the screen: rows, how they are sorted, which of them are wanted. No clock and no terminal in it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use tickcast::{Price, Symbol, Time};
use tickcast_client::{Event, Tick};

/// How many prices a row remembers for its sparkline, and how far apart they are at least.
const HISTORY: usize = 48;
const HISTORY_EVERY: Duration = Duration::from_millis(500);

/// How long a row that has moved is shown as such.
pub(super) const FLASH: Duration = Duration::from_millis(600);

/// What updates a second are averaged over.
const WINDOW: Duration = Duration::from_secs(1);

/// One symbol.
pub(super) struct Row {
    pub(super) symbol: Symbol,
    pub(super) price: Price,
    pub(super) change: Price,
    pub(super) change_pct: Option<Price>,
    pub(super) time: Time,
    /// Prices at even distances, oldest first.
    pub(super) history: VecDeque<f64>,
    sampled: Duration,
    /// When it moved last, and whether up.
    pub(super) moved: Option<(Duration, bool)>,
    /// Of a second.
    pub(super) rate: f64,
    updates: u32,
    /// `stale`, `down`, `gone`; empty where all is well.
    pub(super) state: String,
}

/// What rows are sorted by.
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

/// Everything on the screen.
pub(super) struct Board {
    pub(super) url: String,
    rows: BTreeMap<Symbol, Row>,
    pub(super) sort: Sort,
    pub(super) reversed: bool,
    pub(super) filter: String,
    /// Keys go into the filter.
    pub(super) typing: bool,
    /// Rows above the first that is shown.
    pub(super) top: usize,
    /// Why there is no connection; empty while there is one.
    pub(super) lost: String,
    pub(super) connected: bool,
    /// Sources that are not live, as they are told.
    pub(super) troubles: BTreeMap<String, String>,
    /// Updates of a second.
    pub(super) rate: f64,
    /// How late the last tick was, in ms.
    pub(super) lag: Option<i64>,
    aged: Duration,
}

impl Board {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            rows: BTreeMap::new(),
            sort: Sort::Name,
            reversed: false,
            filter: String::new(),
            typing: false,
            top: 0,
            lost: String::new(),
            connected: false,
            troubles: BTreeMap::new(),
            rate: 0.0,
            lag: None,
            aged: Duration::ZERO,
        }
    }

    /// Takes in what a stream says.
    pub(super) fn take(&mut self, event: &Event, now: Duration) {
        match event {
            Event::Tick(tick) => self.tick(tick, now),
            Event::Ready(_) => {
                self.connected = true;
                self.lost.clear();
            }
            Event::Lost(why) => {
                // What the server gave as its reason says more than that the connection ended.
                if self.connected || self.lost.is_empty() {
                    self.lost.clone_from(why);
                }
                self.connected = false;
            }
            Event::Bye(reason) => {
                self.connected = false;
                self.lost = format!("the server ended the stream: {reason}");
            }
            // Another life of the server: what is shown may be gone.
            Event::Reset { .. } => self.rows.clear(),
            Event::Gone(symbol) => self.rows.retain(|name, _| name.as_str() != symbol),
            Event::Status(status) => {
                if status.state == "live" {
                    self.troubles.remove(&status.source);
                } else {
                    self.troubles.insert(status.source.clone(), status.state.clone());
                }
            }
            Event::SymbolStatus(status) => {
                let row = Symbol::new(&status.symbol).ok().and_then(|symbol| self.rows.get_mut(&symbol));
                if let Some(row) = row {
                    row.state = if status.state == "live" { String::new() } else { status.state.clone() };
                }
            }
            Event::Heartbeat { .. } => {}
        }
    }

    fn tick(&mut self, tick: &Tick, now: Duration) {
        let wall = Time::from(SystemTime::now());
        self.lag = Some(wall.as_millis() - tick.time.as_millis());
        let row = self.rows.entry(tick.symbol).or_insert_with(|| Row {
            symbol: tick.symbol,
            price: tick.price,
            change: tick.change,
            change_pct: tick.change_pct,
            time: tick.time,
            history: VecDeque::with_capacity(HISTORY),
            sampled: Duration::ZERO,
            moved: None,
            rate: 0.0,
            updates: 0,
            state: String::new(),
        });
        if tick.price != row.price {
            row.moved = Some((now, tick.price > row.price));
        }
        row.updates += 1;
        (row.price, row.change, row.change_pct, row.time) =
            (tick.price, tick.change, tick.change_pct, tick.time);
        if row.history.is_empty() || row.sampled + HISTORY_EVERY <= now {
            if row.history.len() == HISTORY {
                row.history.pop_front();
            }
            row.history.push_back(tick.price.to_f64());
            row.sampled = now;
        }
    }

    /// Time goes by: counts what there was in it.
    pub(super) fn age(&mut self, now: Duration) {
        let span = now.saturating_sub(self.aged);
        if span < WINDOW {
            return;
        }
        self.aged = now;
        self.rate = 0.0;
        for row in self.rows.values_mut() {
            row.rate = f64::from(std::mem::take(&mut row.updates)) / span.as_secs_f64();
            self.rate += row.rate;
        }
    }

    /// The rows that are wanted, in order.
    pub(super) fn shown(&self) -> Vec<&Row> {
        let wanted = self.filter.to_ascii_uppercase();
        let matches = |row: &&Row| row.symbol.as_str().to_ascii_uppercase().contains(&wanted);
        let mut rows: Vec<_> = self.rows.values().filter(matches).collect();
        // What is sorted by more than its name begins with the most.
        match self.sort {
            Sort::Name => {}
            Sort::Change => rows.sort_by_key(|row| std::cmp::Reverse(row.change_pct)),
            Sort::Rate => rows.sort_by(|a, b| b.rate.total_cmp(&a.rate)),
        }
        if self.reversed {
            rows.reverse();
        }
        rows
    }

    /// Sorts by the next there is.
    pub(super) fn sort_next(&mut self) {
        self.sort = self.sort.next();
        self.top = 0;
    }

    /// Moves by so many rows.
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
        Event::Tick(Tick {
            symbol: Symbol::new(symbol).unwrap(),
            price: price.parse().unwrap(),
            change: "0".parse().unwrap(),
            change_pct: pct.parse().ok(),
            time: Time::default(),
            n: 1,
            json: String::new(),
        })
    }

    fn names(board: &Board) -> Vec<&str> {
        board.shown().iter().map(|row| row.symbol.as_str()).collect()
    }

    #[test]
    fn rows_are_sorted_and_filtered() {
        let mut board = Board::new("http://x");
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
    fn rates_are_of_the_last_second() {
        let mut board = Board::new("http://x");
        (0..30).for_each(|n| board.take(&tick("A", "1", "0"), Duration::from_millis(n * 50)));
        board.age(Duration::from_millis(1500));
        assert!((board.rate - 20.0).abs() < 0.1, "{}", board.rate);
        board.age(Duration::from_millis(2600));
        assert!(board.rate.abs() < 0.1, "{}", board.rate);
    }

    #[test]
    fn moves_and_histories() {
        let mut board = Board::new("http://x");
        for (n, price) in [1, 2, 2, 1].into_iter().enumerate() {
            board.take(&tick("A", &price.to_string(), "0"), Duration::from_millis(n as u64 * 300));
        }
        let row = board.shown()[0];
        assert_eq!(row.moved, Some((Duration::from_millis(900), false)));
        assert_eq!(row.history, [1.0, 2.0]);
        board.take(&Event::Reset { reason: "epoch".to_owned(), last: String::new() }, Duration::ZERO);
        assert_eq!(board.count(), 0);
    }
}
