//! Candles (open, high, low, close): the prices of a symbol within each second, minute, hour and
//! day.

mod bar;
mod candles;
mod compact_price;

use std::str::FromStr;

use crate::{Price, Time};
pub use candles::Candles;

/// Length of a candle. Every candle starts at a whole multiple of its length since 1970, in UTC.
/// Pass it to [`Candles::within`]. `"1m".parse()` reads the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interval {
    /// `1s`: 1 second. At most 900 closed candles of a symbol are kept.
    Second,
    /// `1m`: 1 minute. At most 1,440 closed candles of a symbol are kept.
    Minute,
    /// `5m`: 5 minutes. At most 2,016 closed candles of a symbol are kept.
    FiveMinutes,
    /// `1h`: 1 hour. At most 2,160 closed candles of a symbol are kept.
    Hour,
    /// `1d`: 1 day. At most 3,650 closed candles of a symbol are kept.
    Day,
}

/// Number of intervals.
const LEVELS: usize = Interval::ALL.len();

impl Interval {
    /// All intervals, shortest first. Each interval is a whole multiple of the interval before it.
    pub const ALL: [Self; 5] = [
        Self::Second,
        Self::Minute,
        Self::FiveMinutes,
        Self::Hour,
        Self::Day,
    ];

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

    /// Returns the name of the interval as used in a URL: `1s`, `1m`, `5m`, `1h` or `1d`.
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

/// Error for a text that is not the name of an [`Interval`]. Returned by its `parse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1s, 1m, 5m, 1h or 1d")]
pub struct IntervalError;

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, IntervalError> {
        Self::ALL
            .into_iter()
            .find(|interval| interval.as_str() == text)
            .ok_or(IntervalError)
    }
}

/// The prices of a symbol within one interval. Returned by [`Candles::within`].
#[derive(Debug, Clone, PartialEq)]
pub struct Candle {
    /// Start of the interval, included. The interval ends before the start of the next one.
    pub time: Time,
    /// Price of the tick that was accepted first.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Price of the tick that was accepted last.
    pub close: Price,
    /// Number of accepted ticks.
    pub count: u64,
}

/// Returns the start of the candle that contains `time`, at the interval with index `level`.
const fn begin(time: i64, level: usize) -> i64 {
    let length = Interval::ALL[level].millis();
    time - time.rem_euclid(length)
}

#[cfg(test)]
mod tests;
