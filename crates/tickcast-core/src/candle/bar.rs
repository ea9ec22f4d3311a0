//! Candles in a compact form, open or closed.

use super::compact_price::CompactPrice;
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
    pub(super) fn new(time: i64, price: CompactPrice) -> Self {
        let [open, high, low] = [(); 3].map(|()| price.clone());
        Self {
            time,
            open,
            high,
            low,
            close: price,
            count: 1,
        }
    }

    /// Returns this bar as a part of the longer bar at `level`.
    pub(super) fn at_level(&self, level: usize) -> Self {
        Self {
            time: begin(self.time, level),
            ..self.clone()
        }
    }

    /// Adds one tick.
    pub(super) fn add_price(&mut self, price: CompactPrice) {
        self.widen(&price);
        self.close = price;
        self.count += 1;
    }

    /// Adds a bar of ticks that were accepted after the ticks of this bar.
    pub(super) fn merge(&mut self, next: &Self) {
        self.widen(&next.high);
        self.widen(&next.low);
        self.close = next.close.clone();
        self.count += next.count;
    }

    fn widen(&mut self, price: &CompactPrice) {
        if *price > self.high {
            self.high = price.clone();
        }
        if *price < self.low {
            self.low = price.clone();
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
        let Candle {
            time,
            open,
            high,
            low,
            close,
            count,
        } = candle;
        let compact = |price: &Price| CompactPrice::from(*price);
        Self {
            time: time.as_millis(),
            open: compact(open),
            high: compact(high),
            low: compact(low),
            close: compact(close),
            count: *count,
        }
    }
}
