//! Candles (open, high, low, close): the prices of a symbol within each second, minute, hour and day.

mod bar;
mod candles;
mod compact_price;

use std::str::FromStr;

use crate::{Price, Time};
pub use candles::Candles;

/// Length of a candle. Every candle starts at a whole multiple of its length since 1970, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interval {
    /// `1s`
    Second,
    /// `1m`
    Minute,
    /// `5m`
    FiveMinutes,
    /// `1h`
    Hour,
    /// `1d`
    Day,
}

/// Number of intervals.
const LEVELS: usize = Interval::ALL.len();

impl Interval {
    /// All intervals, shortest first. Each interval is a whole multiple of the interval before it.
    pub const ALL: [Self; 5] = [Self::Second, Self::Minute, Self::FiveMinutes, Self::Hour, Self::Day];

    /// Returns the length in milliseconds.
    #[must_use]
    pub const fn millis(self) -> i64 {
        match self {
            Self::Second => 1_000,
            Self::Minute => 60_000,
            Self::FiveMinutes => 300_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }

    /// Returns the name of the interval as used in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "1s",
            Self::Minute => "1m",
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
            Self::Day => "1d",
        }
    }
}

/// Error for a text that is not an [`Interval`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1s, 1m, 5m, 1h or 1d")]
pub struct IntervalError;

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, IntervalError> {
        Self::ALL.into_iter().find(|interval| interval.as_str() == text).ok_or(IntervalError)
    }
}

/// The prices of a symbol within one interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Candle {
    /// Start of the interval.
    pub time: Time,
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Number of ticks.
    pub count: u64,
}

/// Returns the start of the candle that contains `time`, at the interval with index `level`.
const fn begin(time: i64, level: usize) -> i64 {
    let length = Interval::ALL[level].millis();
    time - time.rem_euclid(length)
}

#[cfg(test)]
mod tests;
