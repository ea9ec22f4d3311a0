//! The simulated market: more than forty instruments that trade around the clock. With this market,
//! a page can show prices before any real feed is connected.
//!
//! Every instrument's log price is a weighted sum of three random walks: the market's walk, its
//! group's walk and its own walk. Walks are exact at any step. So the tick rate changes only the
//! resolution of the market, not its volatility. Time is divided into slices, within which
//! volatilities and intensities are constant.

use std::time::Duration;

use crate::listing::{Decimal10, Factor, LISTINGS, Listing, whole};
use crate::noise::{Drift, Noise, Pace, Walk};

/// Volatility relative to the real market. At real volatility a share moves about a cent per
/// second, and EUR/USD a tenth of a pip. That is correct, but dull on a dashboard that people watch
/// for a minute. At twice the real volatility, most cells change visibly every second. A day's
/// change is still plausible (about 3 % for a large share).
const LIVELINESS: f64 = 2.0;
/// Seconds in the year of the quoted volatilities: the simulated market never closes.
const YEAR: f64 = 365.0 * DAY;
const DAY: f64 = 86_400.0;
/// Assumed time in seconds between the previous close and the opening of the market, so that not
/// all changes are zero.
const OVERNIGHT: f64 = 0.2 * DAY;
/// Maximum log distance of a price from its level (a factor of 2.9). The walks' own pull keeps
/// prices far within this limit. The limit turns "practically never" into "never".
const LEASH: f64 = 1.05;
/// Mean time between news events of the whole market, in seconds. The next constant is the share of
/// events that move a whole group.
const NEWS_GAP: f64 = 180.0;
const NEWS_OF_GROUP: f64 = 0.1;
/// Size of a price move after news: the move of this many seconds of ordinary trading.
const NEWS_SECONDS: f64 = 500.0;
/// Share of trades that follow the previous trade in the same symbol, as orders that trade at
/// several prices do.
const FOLLOW_UP: f64 = 0.3;
/// Share of trades inside the spread, if the spread is wide enough.
const INSIDE: f64 = 0.08;

/// A simulated trade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SimTick {
    /// Simulated time since the market opened.
    pub(crate) at: Duration,
    /// The traded symbol.
    pub(crate) symbol: &'static str,
    /// Price, always a multiple of the instrument's tick size.
    pub(crate) price: Decimal10,
    /// Best price to sell at after the trade.
    pub(crate) bid: Decimal10,
    /// Best price to buy at after the trade; above `bid`.
    pub(crate) ask: Decimal10,
    /// Size of this trade, in the instrument's own lot step.
    pub(crate) size: Decimal10,
    /// The previous close, only on a symbol's first tick and on its first tick of each simulated
    /// day.
    pub(crate) prev_close: Option<Decimal10>,
}

/// The state of one instrument. Prices are in ticks.
#[derive(Debug, Clone)]
struct InstrumentState {
    listing: &'static Listing,
    level: f64,
    /// Weights of the three walks in the log price: market, group, own.
    shares: [f64; 3],
    own: Walk,
    /// Current volatility of all walks together; 1 is usual.
    heat: f64,
    bid: i64,
    spread: i64,
    /// Whether a buyer started the last trade.
    bought: bool,
    last: i64,
    /// The simulated day of the last tick.
    day: Option<u64>,
}

impl InstrumentState {
    fn new(listing: &'static Listing, noise: &mut Noise) -> Self {
        let [market, group] = listing.correlation;
        let own = (1.0 - market * market - group * group).max(0.0).sqrt();
        let scale = LIVELINESS * listing.volatility / YEAR.sqrt();
        let level = listing.level_ticks();
        Self {
            listing,
            level,
            shares: [market * scale, group * scale, own * scale],
            own: Walk::new(OVERNIGHT, noise),
            heat: 1.0,
            bid: 0,
            spread: 0,
            bought: noise.chance(0.5),
            last: whole(level.round()),
            day: None,
        }
    }

    /// Updates the volatility and returns how often this instrument now trades, relative to the
    /// others.
    fn warm(&mut self, factors: &[Walk; Factor::COUNT]) -> f64 {
        let [market, group, own] = self.shares;
        let square = |share: f64, walk: &Walk| (share * walk.volatility()).powi(2);
        let now = square(market, &factors[Factor::Market as usize])
            + square(group, &factors[self.listing.group as usize])
            + square(own, &self.own);
        let usual = market * market + group * group + own * own;
        self.heat = (now / usual).sqrt().clamp(0.2, 6.0);
        self.listing.weight * self.heat
    }

    /// Moves the quote to the value of the walks at time `at`. Returns whether the quote went down
    /// (-1), stayed (0) or went up (1).
    fn quote(&mut self, at: f64, factors: &mut [Walk; Factor::COUNT], noise: &mut Noise) -> i8 {
        let [market, group, own] = self.shares;
        let log = market * factors[Factor::Market as usize].advance(at, noise)
            + group * factors[self.listing.group as usize].advance(at, noise)
            + own * self.own.advance(at, noise);
        let middle = self.level * log.clamp(-LEASH, LEASH).exp();
        let (center, width) = (float(2 * self.bid + self.spread) / 2.0, float(self.spread));
        // A quote stays until the value has clearly left the quote. Otherwise the quote would
        // flicker.
        if self.spread > 0 && (middle - center).abs() < 0.5 + width / 4.0 {
            return 0;
        }
        let before = 2 * self.bid + self.spread;
        self.spread = self.listing.draw_spread(self.heat, noise);
        self.bid = whole((middle - float(self.spread - 1) / 2.0).floor()).max(1);
        match (2 * self.bid + self.spread).cmp(&before) {
            std::cmp::Ordering::Less => -1,
            std::cmp::Ordering::Equal => 0,
            std::cmp::Ordering::Greater => 1,
        }
    }

    /// Trades once at the quote. Buyers are more frequent in rising markets. Trades of the same
    /// side often follow each other.
    fn trade(&mut self, moved: i8, follows_up: bool, noise: &mut Noise) {
        let habit = if follows_up { 0.4 } else { 0.15 };
        let again = if self.bought { habit } else { -habit };
        self.bought = noise.chance(0.5 + again + 0.25 * f64::from(moved));
        self.last = if self.spread > 1 && noise.chance(INSIDE) {
            self.bid + 1 + whole(noise.uniform() * float(self.spread - 1))
        } else if self.bought {
            self.bid + self.spread
        } else {
            self.bid
        };
    }
}

/// A market without an end, determined only by its seed and its rate.
#[derive(Debug, Clone)]
pub(crate) struct SimMarket {
    noise: Noise,
    factors: [Walk; Factor::COUNT],
    books: Vec<InstrumentState>,
    /// Cumulative sums of the symbols' intensities, used to select the next symbol.
    sums: Vec<f64>,
    pace: Pace,
    drift: Drift,
    /// Ticks per second in this slice.
    intensity: f64,
    /// Length of a slice in seconds.
    slice: f64,
    /// Seconds since the market opened.
    now: f64,
    slice_end: f64,
    /// Number of slices begun; a float, because the number is only ever multiplied with a float.
    slices: f64,
    next_news: f64,
    /// Number of symbols that have had their opening tick.
    opened: usize,
    /// The symbol of the last tick.
    current: usize,
}

impl SimMarket {
    /// Creates a market. The same seed and rate give the same market, tick for tick. `rate` is the
    /// number of ticks per second over all symbols. The caller has checked that `rate` is within
    /// 1.0 to 100 000.0.
    pub(crate) fn new(seed: u64, rate: f64) -> Self {
        let mut noise = Noise::new(seed);
        // New volatilities cost as much as a dozen ticks, so slow markets draw them less often.
        let slice = (0.25_f64).max(32.0 / rate);
        let factors = std::array::from_fn(|_| Walk::new(OVERNIGHT, &mut noise));
        let books: Vec<InstrumentState> = LISTINGS
            .iter()
            .map(|listing| InstrumentState::new(listing, &mut noise))
            .collect();
        let mut market = Self {
            factors,
            sums: vec![0.0; books.len()],
            books,
            pace: Pace::new(rate, slice),
            drift: Drift::over(slice),
            intensity: rate,
            slice,
            now: 0.0,
            slice_end: slice,
            slices: 1.0,
            next_news: NEWS_GAP * noise.exponential(),
            opened: 0,
            current: 0,
            noise,
        };
        let total = market.warm();
        market.pace.begin(total);
        market
    }

    /// Returns the next trade. The first trades are the opening: every symbol once, at time 0, so
    /// that a page is full at once. The trades never end, and `at` never decreases.
    pub(crate) fn next_tick(&mut self) -> SimTick {
        let follows_up = if self.opened < self.books.len() {
            self.current = self.opened;
            self.opened += 1;
            false
        } else {
            self.wait();
            self.pick()
        };
        let book = &mut self.books[self.current];
        let moved = book.quote(self.now, &mut self.factors, &mut self.noise);
        let at = Duration::from_secs_f64(self.now);
        let day = Some(at.as_secs() / 86_400);
        let price = |ticks| book.listing.price(ticks);
        let prev_close = (book.day != day).then(|| price(book.last));
        book.day = day;
        book.trade(moved, follows_up, &mut self.noise);
        let InstrumentState {
            listing,
            last,
            bid,
            spread,
            ..
        } = *book;
        SimTick {
            at,
            symbol: listing.symbol,
            price: listing.price(last),
            bid: listing.price(bid),
            ask: listing.price(bid + spread),
            size: listing.draw_size(&mut self.noise),
            prev_close,
        }
    }

    /// Advances the time to the next trade of any symbol. Waiting times are memoryless. So a wait
    /// that crosses into the next slice simply starts again in that slice.
    fn wait(&mut self) {
        loop {
            let next = self.now + self.noise.exponential() / self.intensity;
            if next < self.slice_end {
                self.now = next;
                return;
            }
            self.now = self.slice_end;
            self.next_slice();
        }
    }

    /// Selects the symbol that trades. Returns true if the trade follows the previous trade in the
    /// same symbol.
    fn pick(&mut self) -> bool {
        if self.noise.chance(FOLLOW_UP) {
            return true;
        }
        let last = self.sums.len() - 1;
        let point = self.noise.uniform() * self.sums[last];
        self.current = self.sums.partition_point(|&sum| sum <= point).min(last);
        false
    }

    fn next_slice(&mut self) {
        self.slices += 1.0;
        self.slice_end = self.slices * self.slice;
        // All walks advance, so that each walk moves at the volatility of the slice that has ended.
        for walk in self
            .factors
            .iter_mut()
            .chain(self.books.iter_mut().map(|book| &mut book.own))
        {
            walk.advance(self.now, &mut self.noise);
            walk.drift(&self.drift, &mut self.noise);
        }
        while self.next_news <= self.now {
            self.next_news += NEWS_GAP * self.noise.exponential();
            self.break_news();
        }
        let total = self.warm();
        self.intensity = self.pace.intensity(total, &mut self.noise);
    }

    /// Updates the symbols' intensities and returns their sum.
    fn warm(&mut self) -> f64 {
        let mut total = 0.0;
        for (book, sum) in self.books.iter_mut().zip(&mut self.sums) {
            total += book.warm(&self.factors);
            *sum = total;
        }
        total
    }

    fn break_news(&mut self) {
        let noise = &mut self.noise;
        let direction = if noise.chance(0.5) { 1.0 } else { -1.0 };
        let leap = direction * NEWS_SECONDS.sqrt() * (0.5 + noise.exponential());
        if noise.chance(NEWS_OF_GROUP) {
            self.factors[noise.index(Factor::COUNT)].shock(leap);
        } else {
            let place = noise.index(self.books.len());
            self.books[place].own.shock(leap);
        }
    }
}

fn float(ticks: i64) -> f64 {
    ticks as f64
}

#[cfg(test)]
mod tests;
