//! Open, high, low, close: a symbol's prices within seconds, minutes, hours and days.

mod amount;
mod bar;
mod candles;

use std::str::FromStr;

use crate::{Price, Time};
pub use candles::Candles;

/// How long a candle is. All begin with a whole number of them since 1970, in UTC.
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

/// How many intervals there are.
const LEVELS: usize = Interval::ALL.len();

impl Interval {
    /// All of them, each a whole number of the one before.
    pub const ALL: [Self; 5] = [Self::Second, Self::Minute, Self::FiveMinutes, Self::Hour, Self::Day];

    /// In milliseconds.
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

    /// As it is written in a URL.
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

/// A text that is no [`Interval`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("1s, 1m, 5m, 1h or 1d is expected")]
pub struct IntervalError;

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, IntervalError> {
        Self::ALL.into_iter().find(|interval| interval.as_str() == text).ok_or(IntervalError)
    }
}

/// What a symbol's price did within one interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Candle {
    /// When the interval began.
    pub time: Time,
    /// The first price.
    pub open: Price,
    /// The highest.
    pub high: Price,
    /// The lowest.
    pub low: Price,
    /// The last.
    pub close: Price,
    /// How many ticks there were.
    pub count: u64,
}

/// When the candle of a level began that `time` falls into.
const fn begin(time: i64, level: usize) -> i64 {
    let length = Interval::ALL[level].millis();
    time - time.rem_euclid(length)
}

#[cfg(test)]
mod tests;
