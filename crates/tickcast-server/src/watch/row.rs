//! A row of the board: one symbol.

use std::collections::VecDeque;
use std::time::Duration;

use tickcast::{Price, Symbol};
use tickcast_client::PublishedTick;

/// Maximum number of prices in a row's sparkline. The next constant is the minimum time between
/// these prices.
const HISTORY: usize = 24;
const HISTORY_EVERY: Duration = Duration::from_millis(500);

/// Time for which a price move is marked.
const FLASH: Duration = Duration::from_millis(600);

/// A symbol with a price, or a symbol that was requested by name and has no price yet.
pub(super) struct Row {
    pub(super) symbol: Symbol,
    pub(super) quote: Option<Quote>,
    /// Prices at regular times, oldest first.
    pub(super) history: VecDeque<f64>,
    sampled: Duration,
    /// Time of the last price move, and whether the price went up.
    moved: Option<(Duration, bool)>,
    /// Updates per second.
    pub(super) rate: f64,
    updates: u32,
}

/// The newest price of a symbol.
pub(super) struct Quote {
    pub(super) price: Price,
    pub(super) change: Price,
    pub(super) change_pct: Option<Price>,
}

impl Row {
    pub(super) const fn new(symbol: Symbol) -> Self {
        Self {
            symbol,
            quote: None,
            history: VecDeque::new(),
            sampled: Duration::ZERO,
            moved: None,
            rate: 0.0,
            updates: 0,
        }
    }

    pub(super) fn take(&mut self, tick: &PublishedTick, now: Duration) {
        if let Some(before) = self
            .quote
            .as_ref()
            .filter(|before| before.price != tick.price)
        {
            self.moved = Some((now, tick.price > before.price));
        }
        self.updates += 1;
        self.quote = Some(Quote {
            price: tick.price,
            change: tick.change,
            change_pct: tick.change_pct,
        });
        if self.history.is_empty() || self.sampled + HISTORY_EVERY <= now {
            if self.history.len() == HISTORY {
                self.history.pop_front();
            }
            self.history.push_back(tick.price.to_f64());
            self.sampled = now;
        }
    }

    /// Computes the updates per second within `span`.
    pub(super) fn age(&mut self, span: Duration) {
        self.rate = f64::from(std::mem::take(&mut self.updates)) / span.as_secs_f64();
    }

    /// Checks whether the price has just gone up (`true`) or down (`false`).
    pub(super) fn moved(&self, now: Duration) -> Option<bool> {
        self.moved
            .filter(|(at, _)| now.saturating_sub(*at) < FLASH)
            .map(|(_, up)| up)
    }
}
