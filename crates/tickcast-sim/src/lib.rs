//! A simulated market as a source of a [`tickcast::Hub`]. With this market, an application can show
//! prices before any real feed is connected.
//!
//! The market has 42 instruments (shares, indices, currencies, crypto currencies, metals) that
//! trade around the clock, with realistic levels, spreads, sizes, bursts and correlations. Each
//! tick has the extras `bid`, `ask` and `size`.
//!
//! ```
//! use tickcast::{Hub, SourceOptions, Subscription};
//! use tickcast_sim::Simulation;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = Hub::builder().build();
//! let publisher = hub.source("sim", SourceOptions::default());
//! let simulation = Simulation::default().seed(7).rate(500.0)?;
//! tokio::spawn(async move { simulation.run(&publisher).await });
//!
//! let mut reader = hub.subscribe(Subscription::default());
//! let update = reader.next().await.ok_or("the hub has gone")?;
//! println!("{} {}", update.symbol, update.price);
//! # Ok(())
//! # }
//! ```

mod listing;
mod market;
mod noise;

use std::convert::Infallible;
use std::ops::RangeInclusive;
use std::time::Duration;

use tickcast::error::{SymbolError, TickError};
use tickcast::tick::Value;
use tickcast::{Price, Publisher, Symbol, Tick};
use tokio::time::{Instant, sleep_until};

use listing::Decimal10;
use market::{SimMarket, SimTick};

/// Maximum lag of the market behind the clock before the market jumps to the present. After a
/// suspended laptop wakes up, an hour of trades at once would be of no use.
const LAG: Duration = Duration::from_secs(1);

/// Maximum number of ticks that are published together.
const BATCH: usize = 512;

/// A simulated market, ready to run. The seed and the rate determine every tick, except for its
/// time. Start it with [`run`](Self::run). Default: seed 2, 200 ticks per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Simulation {
    seed: u64,
    rate: f64,
}

/// An error for a rate outside of [`Simulation::RATES`], 1 to 100,000 ticks per second. Contains
/// the rate. Returned by [`Simulation::rate`].
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("rate: {0} is out of range (expected {least} to {most} ticks per second)", least = Simulation::RATES.start(), most = Simulation::RATES.end())]
pub struct RateError(f64);

impl Default for Simulation {
    /// Returns the market with the [default seed](Self::DEFAULT_SEED) and the [default
    /// rate](Self::DEFAULT_RATE).
    fn default() -> Self {
        Self {
            seed: Self::DEFAULT_SEED,
            rate: Self::DEFAULT_RATE,
        }
    }
}

impl Simulation {
    /// Default seed: 2.
    pub const DEFAULT_SEED: u64 = 2;

    /// Default rate: 200 ticks per second over all symbols.
    pub const DEFAULT_RATE: f64 = 200.0;

    /// Allowed rates: 1 to 100,000 ticks per second over all symbols, both included.
    pub const RATES: RangeInclusive<f64> = 1.0..=100_000.0;

    /// Sets the seed. The same seed and rate give the same market. Default: 2.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the average number of ticks per second, over all symbols, 1 to 100,000. Default: 200.
    ///
    /// # Errors
    /// If the rate is outside of [`Simulation::RATES`].
    pub fn rate(mut self, rate: f64) -> Result<Self, RateError> {
        if !Self::RATES.contains(&rate) {
            return Err(RateError(rate));
        }
        self.rate = rate;
        Ok(self)
    }

    /// Publishes the trades of the market when they are due, without end. The market opens at once,
    /// with one tick for each symbol. After a pause of the program of more than 1 s, the market
    /// continues without the missed trades. To end the market, drop the future. Needs a tokio
    /// runtime.
    pub async fn run(self, publisher: &Publisher) -> Infallible {
        self.run_renamed(publisher, Ok).await
    }

    /// Publishes the trades like [`Simulation::run`], under other symbols. `rename` returns the
    /// local symbol for a symbol of the market. If `rename` returns an error, the publisher counts
    /// the tick as rejected.
    pub async fn run_renamed(
        self,
        publisher: &Publisher,
        rename: impl Fn(Symbol) -> Result<Symbol, SymbolError>,
    ) -> Infallible {
        let mut market = SimMarket::new(self.seed, self.rate);
        let mut start = Instant::now();
        let mut next = market.next_tick();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let now = Instant::now();
            if start + next.at + LAG < now {
                start = now - next.at;
            }
            while start + next.at <= now && batch.len() < BATCH {
                match tick(&next, &rename) {
                    Ok(tick) => batch.push(tick),
                    Err(_) => publisher.reporter().reject(),
                }
                next = market.next_tick();
            }
            publisher.publish_all(&batch, |_, _| {}).await;
            if batch.len() < BATCH {
                sleep_until(start + next.at).await;
            } else {
                tokio::task::yield_now().await;
            }
            batch.clear();
        }
    }
}

fn tick(
    trade: &SimTick,
    rename: impl Fn(Symbol) -> Result<Symbol, SymbolError>,
) -> Result<Tick, TickError> {
    let mut tick = Tick::new(rename(Symbol::new(trade.symbol)?)?, price(trade.price)?);
    tick.prev_close = trade.prev_close.map(price).transpose()?;
    for (name, value) in [("bid", trade.bid), ("ask", trade.ask), ("size", trade.size)] {
        tick.extras.push(name, Value::Number(&value.to_string()))?;
    }
    Ok(tick)
}

fn price(amount: Decimal10) -> Result<Price, TickError> {
    Price::from_units(amount.units, amount.decimals).ok_or(TickError::MissingPrice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_out_of_range_is_refused() {
        let says = |rate| Simulation::default().rate(rate).unwrap_err().to_string();
        assert_eq!(
            says(0.0),
            "rate: 0 is out of range (expected 1 to 100000 ticks per second)"
        );
        assert!(says(f64::NAN).starts_with("rate: NaN is out of range"));
        assert!(Simulation::default().rate(100_000.0).is_ok());
    }
}
