//! The market: one seeded random walk per symbol, and the statistics of its rolling 24 hours.

use std::collections::VecDeque;
use std::sync::Arc;

use fastrand::Rng;

use crate::instrument::{Instrument, hash};
use crate::options::Exchange;

const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: i64 = 24 * 60;

/// The state of one symbol after a trade. All messages about the symbol are made from this state.
#[derive(Debug, Clone)]
pub(crate) struct Tick {
    pub(crate) instrument: Arc<Instrument>,
    pub(crate) id: u64,
    pub(crate) sequence: u64,
    pub(crate) time: i64,
    pub(crate) price: i64,
    pub(crate) quantity: i64,
    /// Whether the taker bought.
    pub(crate) bought: bool,
    pub(crate) bid: i64,
    pub(crate) bid_quantity: i64,
    pub(crate) ask: i64,
    pub(crate) ask_quantity: i64,
    pub(crate) day: Day,
}

impl Tick {
    /// Returns the change against the price 24 hours ago.
    pub(crate) fn change(&self) -> i64 {
        self.price - self.day.open
    }
}

/// The statistics of the rolling 24 hours before a trade, including the trade.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Day {
    /// Price of the last trade before the window.
    pub(crate) before: i64,
    pub(crate) open: i64,
    pub(crate) high: i64,
    pub(crate) low: i64,
    /// Volume in the base currency.
    pub(crate) volume: i64,
    /// Turnover, in units of price times units of quantity.
    pub(crate) turnover: i128,
    /// Id of the first trade in the window.
    pub(crate) first: u64,
}

impl Day {
    /// Returns the volume-weighted average price, in units of the price.
    pub(crate) fn average(&self) -> i128 {
        if self.volume == 0 {
            0
        } else {
            self.turnover / i128::from(self.volume)
        }
    }
}

/// All trades of one minute. The window moves by whole minutes.
#[derive(Debug)]
struct Minute {
    number: i64,
    close: i64,
    day: Day,
}

/// The random walk of one symbol.
#[derive(Debug)]
struct Walk {
    instrument: Arc<Instrument>,
    rng: Rng,
    minutes: VecDeque<Minute>,
    last: Arc<Tick>,
}

impl Walk {
    /// Creates a walk with a day of past trades, so that the first message has complete statistics.
    fn new(instrument: Instrument, seed: u64, start: i64) -> Self {
        let mut rng = Rng::with_seed(seed ^ hash(&instrument.name));
        let instrument = Arc::new(instrument);
        let last = Tick {
            id: 900_000_000 + rng.u64(0..1_000_000),
            sequence: 99_000_000_000 + rng.u64(0..1_000_000_000),
            time: start,
            price: instrument.start_price,
            quantity: 0,
            bought: true,
            bid: 0,
            bid_quantity: 0,
            ask: 0,
            ask_quantity: 0,
            day: Day {
                before: instrument.start_price,
                ..Day::default()
            },
            instrument: instrument.clone(),
        };
        let mut walk = Self {
            instrument,
            rng,
            minutes: VecDeque::new(),
            last: Arc::new(last),
        };
        for minute in (1..=DAY_MINUTES + 5).rev() {
            walk.advance(start - minute * MINUTE_MS);
        }
        walk
    }

    fn advance(&mut self, time: i64) {
        let mut tick = Tick::clone(&self.last);
        tick.id += 1;
        tick.sequence += self.rng.u64(1..=5);
        tick.time = time;
        tick.price = self.next_price();
        tick.quantity = self.rng.i64(1_000..=50_000_000);
        tick.bought = self.rng.bool();
        let spread = self.instrument.step * self.rng.i64(1..=3);
        // A buying taker pays the ask. A selling taker receives the bid.
        tick.bid = if tick.bought {
            tick.price - spread
        } else {
            tick.price
        };
        tick.ask = tick.bid + spread;
        tick.bid_quantity = self.rng.i64(1_000_000..=300_000_000);
        tick.ask_quantity = self.rng.i64(1_000_000..=300_000_000);
        tick.day = self.count(&tick);
        self.last = Arc::new(tick);
    }

    /// Returns the next price. A step is at most a 20,000th of the price, or two price steps. The
    /// price stays between half and twice the start price.
    fn next_price(&mut self) -> i64 {
        let (step, start_price, price) = (
            self.instrument.step,
            self.instrument.start_price,
            self.last.price,
        );
        let max_step = (price / step / 20_000).max(2);
        let move_by = self.rng.i64(-max_step..=max_step) * step;
        let next = price + move_by;
        if next < start_price / 2 || next > start_price * 2 {
            price - move_by
        } else {
            next
        }
    }

    /// Adds the trade to the window and returns the new statistics.
    fn count(&mut self, tick: &Tick) -> Day {
        let number = tick.time.div_euclid(MINUTE_MS);
        let turnover = i128::from(tick.price) * i128::from(tick.quantity);
        if let Some(minute) = self
            .minutes
            .back_mut()
            .filter(|minute| minute.number == number)
        {
            minute.close = tick.price;
            add_to_day(
                &mut minute.day,
                tick.price,
                tick.price,
                tick.quantity,
                turnover,
            );
            let mut day = self.last.day;
            add_to_day(&mut day, tick.price, tick.price, tick.quantity, turnover);
            return day;
        }
        let (open, high, low) = (tick.price, tick.price, tick.price);
        let day = Day {
            before: 0,
            open,
            high,
            low,
            volume: tick.quantity,
            turnover,
            first: tick.id,
        };
        self.minutes.push_back(Minute {
            number,
            close: tick.price,
            day,
        });
        let mut before = self.last.day.before;
        while let Some(old) = self
            .minutes
            .pop_front_if(|minute| minute.number <= number - DAY_MINUTES)
        {
            before = old.close;
        }
        self.sum(before)
    }

    fn sum(&self, before: i64) -> Day {
        let mut minutes = self.minutes.iter();
        let mut sum = minutes.next().map(|minute| minute.day).unwrap_or_default();
        for Minute { day, .. } in minutes {
            add_to_day(&mut sum, day.high, day.low, day.volume, day.turnover);
        }
        Day { before, ..sum }
    }
}

fn add_to_day(day: &mut Day, high: i64, low: i64, volume: i64, turnover: i128) {
    day.high = day.high.max(high);
    day.low = day.low.min(low);
    day.volume += volume;
    day.turnover += turnover;
}

/// The market of all symbols.
#[derive(Debug)]
pub(crate) struct Market {
    walks: Vec<Walk>,
}

impl Market {
    pub(crate) fn new(exchange: Exchange, symbols: &[String], seed: u64, start: i64) -> Self {
        let walk = |(index, name): (usize, &String)| {
            Walk::new(Instrument::new(exchange, index, name), seed, start)
        };
        Self {
            walks: symbols.iter().enumerate().map(walk).collect(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.walks.len()
    }

    pub(crate) fn instrument(&self, index: usize) -> &Instrument {
        &self.walks[index].instrument
    }

    /// Makes one more trade of a symbol.
    pub(crate) fn trade(&mut self, index: usize, time: i64) -> Arc<Tick> {
        let walk = &mut self.walks[index];
        walk.advance(time);
        walk.last.clone()
    }

    /// Returns the newest tick of each symbol.
    pub(crate) fn latest(&self) -> Vec<Arc<Tick>> {
        self.walks.iter().map(|walk| walk.last.clone()).collect()
    }

    /// Returns the first symbol without a quote and without trades. The tick takes a sequence
    /// number, because clients drop an old number.
    pub(crate) fn unquoted(&mut self) -> Option<Tick> {
        let walk = self.walks.first_mut()?;
        Arc::make_mut(&mut walk.last).sequence += 1;
        let (price, bid, ask, time) = (0, 0, 0, 0);
        let none = Tick {
            price,
            bid,
            ask,
            time,
            quantity: 0,
            bid_quantity: 0,
            ask_quantity: 0,
            day: Day::default(),
            ..Tick::clone(&walk.last)
        };
        Some(none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_agree_with_the_walk() {
        let start = 1_782_907_200_000;
        let mut market = Market::new(Exchange::Coinbase, &["BTC-USD".to_owned()], 7, start);
        let mut seen: VecDeque<Arc<Tick>> = VecDeque::new();
        for second in 1..2 * 86_400_i64 / 20 {
            let tick = market.trade(0, start + second * 20_000);
            seen.push_back(tick.clone());
            let first = tick.time.div_euclid(MINUTE_MS) - DAY_MINUTES;
            while seen
                .pop_front_if(|old| old.time.div_euclid(MINUTE_MS) <= first)
                .is_some()
            {}
            assert!(tick.bid < tick.ask && (tick.price == tick.bid || tick.price == tick.ask));
        }
        let last = seen.back().expect("there were trades");
        assert_eq!(last.day.open, seen[0].price);
        assert_eq!(last.day.first, seen[0].id);
        assert_eq!(
            Some(last.day.high),
            seen.iter().map(|tick| tick.price).max()
        );
        assert_eq!(Some(last.day.low), seen.iter().map(|tick| tick.price).min());
        assert_eq!(
            last.day.volume,
            seen.iter().map(|tick| tick.quantity).sum::<i64>()
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_market() {
        let symbols = ["ETHUSDT".to_owned()];
        let run = |seed| {
            Market::new(Exchange::Binance, &symbols, seed, 0)
                .trade(0, 1000)
                .price
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }
}
