//! All candles of one symbol.

use std::collections::VecDeque;

use super::bar::Bar;
use super::compact_price::CompactPrice;
use super::{Candle, Interval, LEVELS, begin};
use crate::{Price, Time};

/// Maximum number of closed candles per symbol and interval. The maxima are 15 minutes of seconds,
/// a day of minutes, a week of five minutes, ninety days of hours, and ten years of days.
const MAX_BARS: [usize; LEVELS] = [900, 1440, 2016, 2160, 3650];

/// Share of a symbol's candle budget, in percent, that each interval keeps even if shorter
/// intervals need more room.
const BUDGET_PERCENT: [usize; LEVELS] = [30, 25, 20, 15, 10];

/// Candles of every interval of one symbol, updated with each tick. A tick only changes the open
/// candle of its second. When that second is over, its candle is merged into the longer candles.
///
/// Ticks count in the order in which they were accepted. The last accepted tick is the close of
/// every candle that contains the tick's time, even if other ticks happened later.
///
/// Returned by [`Sequencer::candles`](crate::Sequencer::candles). Default: no candles.
#[derive(Debug, Clone, Default)]
pub struct Candles {
    /// The open candle of each interval. Its newest part is only in the open candles of the shorter
    /// intervals.
    open: [Option<Bar>; LEVELS],
    closed: [VecDeque<Bar>; LEVELS],
    /// Time and price of the last accepted tick, if the tick happened before the open second.
    late: Option<(i64, CompactPrice)>,
    /// No candle of any interval begins after this time. If a clock went back, a longer candle can
    /// begin after all seconds, because the candle can stay when its seconds are dropped.
    latest: i64,
}

impl Candles {
    /// Minimum budget of a symbol: one closed candle of each interval.
    pub(crate) const MIN_BARS: usize = LEVELS;

    /// Makes an empty set of candles.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tick that happened at `time`. Candles that begin after `horizon` come from a wrong
    /// clock and are dropped. At most `max` closed candles stay. Returns by how many the number of
    /// closed candles has grown.
    pub(crate) fn add(&mut self, time: Time, price: Price, horizon: Time, max: usize) -> isize {
        let before = self.len();
        if self.latest > horizon.as_millis() {
            self.discard_after(horizon.as_millis());
        }
        let (compact, second) = (CompactPrice::from(price), begin(time.as_millis(), 0));
        self.late = None;
        self.latest = self.latest.max(second);
        match &mut self.open[0] {
            Some(bar) if bar.time == second => bar.add_price(compact),
            Some(bar) if bar.time > second => {
                self.late = Some((time.as_millis(), compact.clone()));
                self.close(0, Bar::new(second, compact));
            }
            open => {
                if let Some(closed) = open.replace(Bar::new(second, compact)) {
                    self.close(0, closed);
                }
            }
        }
        self.shrink(max);
        self.len() as isize - before as isize
    }

    /// Returns the candles of `interval` that began between `from` and `to`, both included, oldest
    /// first: at most the newest `max` candles. The open candle is included.
    #[must_use]
    pub fn within(&self, interval: Interval, (from, to): (Time, Time), max: usize) -> Vec<Candle> {
        let level = interval as usize;
        let newest = self.newest(level);
        let older = newest.first().map_or(i64::MAX, |bar| bar.time);
        let closed = self.closed[level]
            .iter()
            .rev()
            .skip_while(|bar| bar.time >= older);
        let wanted = |bar: &&Bar| (from.as_millis()..=to.as_millis()).contains(&bar.time);
        let all = newest.iter().rev().chain(closed);
        let mut candles: Vec<_> = all.filter(wanted).take(max).map(Bar::candle).collect();
        candles.reverse();
        candles
    }

    /// Returns the candles of an interval that are not complete yet. The open candles of shorter
    /// intervals are parts of them. If a clock went back, closed candles that begin at the same
    /// time or later are also included.
    fn newest(&self, level: usize) -> Vec<Bar> {
        let mut newest: Vec<Bar> = Vec::new();
        let open = self.open[..=level].iter().rev().flatten();
        let oldest = open
            .clone()
            .map(|bar| begin(bar.time, level))
            .min()
            .unwrap_or(i64::MAX);
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

    /// Returns the number of closed candles.
    #[must_use]
    pub fn len(&self) -> usize {
        self.closed.iter().map(VecDeque::len).sum()
    }

    /// Checks whether there are no closed candles.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns every candle, with the number of its interval and whether the candle is open. The
    /// order is the order that [`restore`](Self::restore) needs. The newest part of an open candle
    /// is only in the candles of shorter intervals.
    pub fn bars(&self) -> impl Iterator<Item = (usize, bool, Candle)> {
        let closed = self.closed.iter().enumerate();
        let closed = closed
            .flat_map(|(level, bars)| bars.iter().map(move |bar| (level, false, bar.candle())));
        let open = self.open.iter().enumerate();
        closed.chain(open.filter_map(|(level, bar)| Some((level, true, bar.as_ref()?.candle()))))
    }

    /// Restores one candle that [`bars`](Self::bars) has returned. Candles that cannot come from
    /// `bars` are ignored.
    pub fn restore(&mut self, level: usize, open: bool, candle: &Candle) {
        let bar = Bar::from(candle);
        if level >= LEVELS {
            return;
        }
        self.latest = self.latest.max(bar.time);
        if open {
            self.open[level] = Some(bar);
        } else if self.closed[level]
            .back()
            .is_none_or(|last| last.time < bar.time)
        {
            self.closed[level].push_back(bar);
        }
    }

    /// Restores which tick was accepted last.
    pub(crate) fn restore_newest(&mut self, time: Time, price: Price) {
        let second = begin(time.as_millis(), 0);
        let late = self.open[0].as_ref().is_some_and(|bar| bar.time > second);
        self.late = late.then(|| (time.as_millis(), CompactPrice::from(price)));
    }

    /// Drops the oldest candles if there are more than `max`. The shortest interval that has more
    /// than its share loses candles first.
    pub(crate) fn shrink(&mut self, max: usize) {
        let mut surplus = self.len().saturating_sub(max);
        if surplus == 0 {
            return;
        }
        for (level, bars) in self.closed.iter_mut().enumerate() {
            let share = (max * BUDGET_PERCENT[level] / 100).max(1);
            let dropped = surplus.min(bars.len().saturating_sub(share));
            bars.drain(..dropped);
            surplus -= dropped;
        }
    }

    /// Closes a bar: stores the bar and merges it into the next longer bar. A late tick is a bar
    /// whose interval is already over.
    fn close(&mut self, level: usize, closed: Bar) {
        if level + 1 < LEVELS {
            let longer = closed.at_level(level + 1);
            match &mut self.open[level + 1] {
                Some(bar) if bar.time == longer.time => bar.merge(&closed),
                Some(bar) if bar.time > longer.time => self.close(level + 1, longer),
                open => {
                    if let Some(closed) = open.replace(longer) {
                        self.close(level + 1, closed);
                    }
                }
            }
        }
        let bars = &mut self.closed[level];
        match bars.binary_search_by_key(&closed.time, |bar| bar.time) {
            Ok(at) => bars[at].merge(&closed),
            Err(at) => bars.insert(at, closed),
        }
        if bars.len() > MAX_BARS[level] {
            bars.pop_front();
        }
    }

    /// Drops the candles that began after `horizon`.
    fn discard_after(&mut self, horizon: i64) {
        for (open, closed) in self.open.iter_mut().zip(&mut self.closed) {
            open.take_if(|bar| bar.time > horizon);
            while closed.back().is_some_and(|bar| bar.time > horizon) {
                closed.pop_back();
            }
        }
        self.latest = horizon;
    }
}
