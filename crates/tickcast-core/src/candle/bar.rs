//! Candles in a compact form, open or closed.

use super::amount::CompactPrice;
use super::{Candle, begin};
use crate::{Price, Time};

/// A [`Candle`] in about 80 bytes for nearly all candles.
#[derive(Debug, Clone)]
pub(super) struct Bar {
    pub(super) time: i64,
    open: CompactPrice,
    high: CompactPrice,
    low: CompactPrice,
    pub(super) close: CompactPrice,
    count: u64,
}

impl Bar {
    /// Makes the bar of a single tick.
    pub(super) fn new(time: i64, amount: CompactPrice) -> Self {
        let [open, high, low] = [(); 3].map(|()| amount.clone());
        Self { time, open, high, low, close: amount, count: 1 }
    }

    /// Returns this bar as a part of the longer bar at `level`.
    pub(super) fn at_level(&self, level: usize) -> Self {
        Self { time: begin(self.time, level), ..self.clone() }
    }

    /// Adds one tick.
    pub(super) fn add_price(&mut self, amount: CompactPrice) {
        self.widen(&amount);
        self.close = amount;
        self.count += 1;
    }

    /// Adds a bar of ticks that were accepted after the ticks of this bar.
    pub(super) fn merge(&mut self, next: &Self) {
        self.widen(&next.high);
        self.widen(&next.low);
        self.close = next.close.clone();
        self.count += next.count;
    }

    fn widen(&mut self, amount: &CompactPrice) {
        if *amount > self.high {
            self.high = amount.clone();
        }
        if *amount < self.low {
            self.low = amount.clone();
        }
    }

    pub(super) fn candle(&self) -> Candle {
        Candle {
            time: Time::from_millis(self.time).unwrap_or_default(),
            open: self.open.price(),
            high: self.high.price(),
            low: self.low.price(),
            close: self.close.price(),
            count: self.count,
        }
    }
}

impl From<&Candle> for Bar {
    fn from(candle: &Candle) -> Self {
        let Candle { time, open, high, low, close, count } = candle;
        let amount = |price: &Price| CompactPrice::from(*price);
        Self {
            time: time.as_millis(),
            open: amount(open),
            high: amount(high),
            low: amount(low),
            close: amount(close),
            count: *count,
        }
    }
}
