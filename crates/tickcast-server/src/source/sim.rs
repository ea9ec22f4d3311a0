//! The simulated market, in real time.

mod listing;
mod market;
mod noise;

use std::convert::Infallible;
use std::time::Duration;

use tickcast::{Price, Publisher, Symbol, Tick, TickError, Value};
use tokio::time::{Instant, sleep_until};

use super::rename::Rename;
use market::{Decimal10, SimMarket, SimTick};

/// Maximum lag of the market behind the clock before the market jumps to the present. After a suspended
/// laptop wakes up, an hour of trades at once would be of no use.
const LAG: Duration = Duration::from_secs(1);

/// Maximum number of ticks that are published together.
const BATCH: usize = 512;

/// Trades without end.
pub(super) async fn run(seed: u64, rate: f64, rename: &Rename, publisher: &Publisher) -> Infallible {
    let mut market = SimMarket::new(seed, rate);
    let mut start = Instant::now();
    let mut next = market.next_tick();
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let now = Instant::now();
        if start + next.at + LAG < now {
            start = now - next.at;
        }
        while start + next.at <= now && batch.len() < BATCH {
            match tick(&next, rename) {
                Ok(tick) => batch.push(tick),
                Err(_) => publisher.reject(),
            }
            next = market.next_tick();
        }
        publisher.publish_all(&batch, |_, _| {});
        if batch.len() < BATCH {
            sleep_until(start + next.at).await;
        } else {
            tokio::task::yield_now().await;
        }
        batch.clear();
    }
}

fn tick(trade: &SimTick, rename: &Rename) -> Result<Tick, TickError> {
    let mut tick = Tick::new(rename.symbol(Symbol::new(trade.symbol)?)?, price(trade.price)?);
    tick.prev_close = trade.prev_close.map(price).transpose()?;
    for (name, value) in [("bid", trade.bid), ("ask", trade.ask), ("size", trade.size)] {
        tick.extras.push(name, Value::Number(&value.to_string()))?;
    }
    Ok(tick)
}

fn price(amount: Decimal10) -> Result<Price, TickError> {
    Price::from_units(amount.units, amount.decimals).ok_or(TickError::MissingPrice)
}
