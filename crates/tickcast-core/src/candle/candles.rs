//! All candles of one symbol.

use std::collections::VecDeque;

use super::amount::CompactPrice;
use super::bar::Bar;
use super::{Candle, Interval, LEVELS, begin};
use crate::{Price, Time};

/// How many closed candles of each interval are kept of a symbol: a quarter of an hour of seconds, a day of minutes, a week of
/// five minutes, ninety days of hours, ten years of days.
const MAX_BARS: [usize; LEVELS] = [900, 1440, 2016, 2160, 3650];

/// The part of a symbol's budget, in percent, that an interval keeps whatever the shorter ones need.
const BUDGET_PERCENT: [usize; LEVELS] = [30, 25, 20, 15, 10];

/// A symbol's candles of every interval, brought up to date tick by tick. A tick touches the second it is in; what is longer
/// takes in each second once that is over.
///
/// Ticks count in the order in which they were taken: the newest one taken is the close of every candle it falls into, also when
/// it happened before others.
#[derive(Debug, Clone, Default)]
pub struct Candles {
    /// The one of each interval that has not been closed. Of its last part, the shorter ones know.
    open: [Option<Bar>; LEVELS],
    closed: [VecDeque<Bar>; LEVELS],
    /// The newest tick taken, if it happened before the second that is open.
    late: Option<(i64, CompactPrice)>,
}

impl Candles {
    /// The least budget of a symbol: one closed candle of each interval.
    pub(crate) const MIN_BARS: usize = LEVELS;

    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a tick that happened at `time`. Candles that begin after `horizon` are of a clock that was wrong: they are
    /// dropped. At most `most` closed candles are kept; says how many more there are than before.
    pub(crate) fn add(&mut self, time: Time, price: Price, horizon: Time, most: usize) -> isize {
        let before = self.len();
        // Where a clock went back twice, a closed one may be later than the open one.
        let mut latest = self.open[0].iter().chain(self.closed[0].back());
        if latest.any(|bar| bar.time > horizon.as_millis()) {
            self.discard_after(horizon.as_millis());
        }
        let (amount, second) = (CompactPrice::from(price), begin(time.as_millis(), 0));
        self.late = None;
        match &mut self.open[0] {
            Some(bar) if bar.time == second => bar.add_price(amount),
            Some(bar) if bar.time > second => {
                self.late = Some((time.as_millis(), amount.clone()));
                self.close(0, Bar::new(second, amount));
            }
            open => {
                if let Some(over) = open.replace(Bar::new(second, amount)) {
                    self.close(0, over);
                }
            }
        }
        self.shrink(most);
        self.len() as isize - before as isize
    }

    /// The candles of `interval` that began from `from` to `to`, oldest first; the newest `most` of them.
    #[must_use]
    pub fn within(&self, interval: Interval, (from, to): (Time, Time), most: usize) -> Vec<Candle> {
        let level = interval as usize;
        let newest = self.newest(level);
        let older = newest.first().map_or(i64::MAX, |bar| bar.time);
        let closed = self.closed[level].iter().rev().skip_while(|bar| bar.time >= older);
        let wanted = |bar: &&Bar| (from.as_millis()..=to.as_millis()).contains(&bar.time);
        let all = newest.iter().rev().chain(closed);
        let mut candles: Vec<_> = all.filter(wanted).take(most).map(Bar::candle).collect();
        candles.reverse();
        candles
    }

    /// The candles of an interval that are still in parts: those open on shorter intervals belong to them, and, where a clock went
    /// back, closed ones that begin no earlier.
    fn newest(&self, level: usize) -> Vec<Bar> {
        let mut newest: Vec<Bar> = Vec::new();
        let open = self.open[..=level].iter().rev().flatten();
        let oldest = open.clone().map(|bar| begin(bar.time, level)).min().unwrap_or(i64::MAX);
        let from = self.closed[level].partition_point(|bar| bar.time < oldest);
        for bar in self.closed[level].range(from..).chain(open) {
            let time = begin(bar.time, level);
            match newest.binary_search_by_key(&time, |known| known.time) {
                Ok(at) => newest[at].merge(bar),
                Err(at) => newest.insert(at, bar.at_level(level)),
            }
        }
        if let Some((time, close)) = &self.late
            && let Ok(at) = newest.binary_search_by_key(&begin(*time, level), |bar| bar.time)
        {
            newest[at].close = close.clone();
        }
        newest
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

    /// Puts back which tick was the newest one taken.
    pub(crate) fn restore_newest(&mut self, time: Time, price: Price) {
        let second = begin(time.as_millis(), 0);
        let late = self.open[0].as_ref().is_some_and(|bar| bar.time > second);
        self.late = late.then(|| (time.as_millis(), CompactPrice::from(price)));
    }

    /// Drops the oldest candles where there are more than `most`: of the shortest interval that has more than its share.
    pub(crate) fn shrink(&mut self, most: usize) {
        let mut surplus = self.len().saturating_sub(most);
        if surplus == 0 {
            return;
        }
        for (level, bars) in self.closed.iter_mut().enumerate() {
            let share = (most * BUDGET_PERCENT[level] / 100).max(1);
            let dropped = surplus.min(bars.len().saturating_sub(share));
            bars.drain(..dropped);
            surplus -= dropped;
        }
    }

    /// A bar is over: it is kept, and becomes a part of the next longer one. A late tick is a bar that was over long ago.
    fn close(&mut self, level: usize, over: Bar) {
        if level + 1 < LEVELS {
            let longer = over.at_level(level + 1);
            match &mut self.open[level + 1] {
                Some(bar) if bar.time == longer.time => bar.merge(&over),
                Some(bar) if bar.time > longer.time => self.close(level + 1, longer),
                open => {
                    if let Some(over) = open.replace(longer) {
                        self.close(level + 1, over);
                    }
                }
            }
        }
        let bars = &mut self.closed[level];
        match bars.binary_search_by_key(&over.time, |bar| bar.time) {
            Ok(at) => bars[at].merge(&over),
            Err(at) => bars.insert(at, over),
        }
        if bars.len() > MAX_BARS[level] {
            bars.pop_front();
        }
    }

    /// Drops what began after `horizon`.
    fn discard_after(&mut self, horizon: i64) {
        for (open, closed) in self.open.iter_mut().zip(&mut self.closed) {
            open.take_if(|bar| bar.time > horizon);
            while closed.back().is_some_and(|bar| bar.time > horizon) {
                closed.pop_back();
            }
        }
    }
}
