//! Open, high, low, close: a symbol's prices within seconds, minutes, hours and days.

mod amount;

use std::collections::VecDeque;
use std::str::FromStr;

use crate::{Price, Time};
use amount::Amount;

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

/// How many closed candles of each interval are kept of a symbol: a quarter of an hour of seconds, a day of minutes, a week of
/// five minutes, ninety days of hours, ten years of days.
const KEPT: [usize; LEVELS] = [900, 1440, 2016, 2160, 3650];

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

/// The same in little room.
#[derive(Debug, Clone)]
struct Bar {
    time: i64,
    open: Amount,
    high: Amount,
    low: Amount,
    close: Amount,
    count: u64,
}

/// A symbol's candles of every interval, brought up to date tick by tick. A tick touches the second it is in; what is longer
/// takes in each second once that is over.
#[derive(Debug, Clone, Default)]
pub struct Candles {
    /// The one of each interval that has not been closed. Of its last part, the shorter ones know.
    open: [Option<Bar>; LEVELS],
    closed: [VecDeque<Bar>; LEVELS],
}

impl Candles {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a tick; says by how much the number of candles that are kept has grown. Where `full`, it does not: each that is
    /// closed then costs an older one.
    ///
    /// A tick from before the second that is open widens the candles there are for its time; it neither opens nor closes one.
    pub(crate) fn add(&mut self, time: Time, price: Price, full: bool) -> usize {
        let amount = Amount::from(price);
        let second = begin(time.as_millis(), 0);
        match &mut self.open[0] {
            Some(bar) if bar.time == second => bar.take(amount),
            Some(bar) if bar.time > second => self.amend(time.as_millis(), &amount),
            _ => {
                let fresh = Bar::of(second, amount);
                return self.open[0].replace(fresh).map_or(0, |over| self.close(0, over, full));
            }
        }
        0
    }

    /// The candles of `interval` that began from `from` to `to`, oldest first; the newest `most` of them.
    #[must_use]
    pub fn within(&self, interval: Interval, (from, to): (Time, Time), most: usize) -> Vec<Candle> {
        let level = interval as usize;
        let mut newest: Vec<Bar> = Vec::new();
        for bar in self.open[..=level].iter().rev().flatten() {
            let time = begin(bar.time, level);
            match newest.last_mut() {
                Some(last) if last.time == time => last.follow(bar),
                _ => newest.push(Bar { time, ..bar.clone() }),
            }
        }
        let wanted = |bar: &&Bar| (from.as_millis()..=to.as_millis()).contains(&bar.time);
        let all = self.closed[level].iter().chain(&newest).rev();
        let mut candles: Vec<_> = all.filter(wanted).take(most).map(Bar::candle).collect();
        candles.reverse();
        candles
    }

    /// How many candles are kept beyond those that are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.closed.iter().map(VecDeque::len).sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every candle there is, with the number of its interval and whether it is open, in an order in which
    /// [`restore`](Self::restore) takes them. Of an open one the last part stands in those of shorter intervals.
    pub fn bars(&self) -> impl Iterator<Item = (usize, bool, Candle)> {
        let closed = self.closed.iter().enumerate();
        let closed =
            closed.flat_map(|(level, bars)| bars.iter().map(move |bar| (level, false, bar.candle())));
        let open = self.open.iter().enumerate();
        closed.chain(open.filter_map(|(level, bar)| Some((level, true, bar.as_ref()?.candle()))))
    }

    /// Puts back what [`bars`](Self::bars) has told. What cannot have been told is passed over.
    pub fn restore(&mut self, level: usize, open: bool, candle: &Candle) {
        let bar = Bar::from(candle);
        if level >= LEVELS {
            return;
        }
        if open {
            self.open[level] = Some(bar);
        } else if self.closed[level].back().is_none_or(|last| last.time < bar.time) {
            self.closed[level].push_back(bar);
        }
    }

    /// A bar is over: it is kept, and becomes a part of the next longer one.
    fn close(&mut self, level: usize, over: Bar, full: bool) -> usize {
        let mut grown = 0;
        if level + 1 < LEVELS {
            let time = begin(over.time, level + 1);
            match &mut self.open[level + 1] {
                Some(bar) if bar.time == time => bar.follow(&over),
                longer => {
                    let fresh = Bar { time, ..over.clone() };
                    if let Some(over) = longer.replace(fresh) {
                        grown += self.close(level + 1, over, full);
                    }
                }
            }
        }
        let bars = &mut self.closed[level];
        let before = bars.len();
        if before >= KEPT[level] || (full && before > 0) {
            bars.pop_front();
        }
        bars.push_back(over);
        grown + bars.len() - before
    }

    /// A tick came late.
    fn amend(&mut self, time: i64, amount: &Amount) {
        for level in 0..LEVELS {
            let time = begin(time, level);
            let open = self.open[level].as_mut().filter(|bar| bar.time == time);
            let closed = self.closed[level].binary_search_by_key(&time, |bar| bar.time).ok();
            if let Some(bar) = open.or(closed.and_then(|at| self.closed[level].get_mut(at))) {
                bar.widen(amount);
                bar.count += 1;
            }
        }
    }
}

/// When the candle of a level began that `time` falls into.
const fn begin(time: i64, level: usize) -> i64 {
    let length = Interval::ALL[level].millis();
    time - time.rem_euclid(length)
}

impl Bar {
    fn of(time: i64, amount: Amount) -> Self {
        Self {
            time,
            open: amount.clone(),
            high: amount.clone(),
            low: amount.clone(),
            close: amount,
            count: 1,
        }
    }

    fn take(&mut self, amount: Amount) {
        self.widen(&amount);
        self.close = amount;
        self.count += 1;
    }

    /// Takes in one that comes after it.
    fn follow(&mut self, next: &Self) {
        self.widen(&next.high);
        self.widen(&next.low);
        self.close = next.close.clone();
        self.count += next.count;
    }

    fn widen(&mut self, amount: &Amount) {
        if *amount > self.high {
            self.high = amount.clone();
        }
        if *amount < self.low {
            self.low = amount.clone();
        }
    }

    fn candle(&self) -> Candle {
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
        let amount = |price: &Price| Amount::from(*price);
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

#[cfg(test)]
mod tests;
