//! Tests of the properties that make a simulated market realistic.

use super::*;

fn place(symbol: &str) -> usize {
    LISTINGS
        .iter()
        .position(|listing| listing.symbol == symbol)
        .unwrap()
}

/// Returns the log middle prices of each symbol, at multiples of `step` seconds.
fn history(seed: u64, rate: f64, step: u64, steps: usize) -> Vec<Vec<f64>> {
    let mut market = SimMarket::new(seed, rate);
    let mut rows = vec![Vec::with_capacity(steps); LISTINGS.len()];
    let mut now = vec![0.0; LISTINGS.len()];
    while rows[0].len() < steps {
        let tick = market.next_tick();
        while market.opened == now.len()
            && rows[0].len() < steps
            && tick.at > Duration::from_secs(step * rows[0].len() as u64)
        {
            rows.iter_mut()
                .zip(&now)
                .for_each(|(row, &value)| row.push(value));
        }
        now[market.current] = (float(tick.bid.units + tick.ask.units) / 2.0).ln();
    }
    rows
}

fn returns(row: &[f64]) -> Vec<f64> {
    row.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let product = |x: &[f64], mx: f64, y: &[f64], my: f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum()
    };
    product(a, ma, b, mb) / (product(a, ma, a, ma) * product(b, mb, b, mb)).sqrt()
}

#[test]
fn the_same_seed_gives_the_same_market() {
    let first = |seed| {
        let mut market = SimMarket::new(seed, 200.0);
        (0..10_000).map(|_| market.next_tick()).collect::<Vec<_>>()
    };
    assert_eq!(first(1), first(1));
    assert_ne!(first(1), first(2));
}

#[test]
fn the_market_opens_with_every_symbol_once() {
    let mut market = SimMarket::new(4, 200.0);
    for listing in LISTINGS {
        let tick = market.next_tick();
        assert_eq!((tick.symbol, tick.at), (listing.symbol, Duration::ZERO));
        assert_eq!(
            tick.prev_close,
            Some(listing.price(whole(listing.level_ticks().round())))
        );
    }
    assert!(market.next_tick().prev_close.is_none());
}

#[test]
fn a_million_quotes_are_sound() {
    let (mut market, mut at) = (SimMarket::new(2, 5_000.0), Duration::ZERO);
    for _ in 0..1_000_000 {
        let tick = market.next_tick();
        assert!(tick.at >= at);
        at = tick.at;
        // Units are ticks, so all prices are multiples of the tick size by construction. Only the
        // decimals must agree.
        assert!(
            0 < tick.bid.units && tick.bid.units < tick.ask.units,
            "{tick:?}"
        );
        assert!(
            (tick.bid.units..=tick.ask.units).contains(&tick.price.units),
            "{tick:?}"
        );
        assert!(
            tick.price.decimals == tick.bid.decimals && tick.price.decimals == tick.ask.decimals
        );
        assert!(tick.size.units > 0);
    }
}

#[test]
fn the_rate_is_the_requested_rate_with_bursts() {
    for (rate, minutes) in [(200.0, 30), (50_000.0, 1)] {
        for seed in 0..2 {
            let mut market = SimMarket::new(seed, rate);
            let mut seconds = vec![0_u32; 60 * minutes + 1];
            while let Some(count) = seconds.get_mut(market.now as usize) {
                *count += 1;
                market.next_tick();
            }
            for minute in seconds[..60 * minutes].chunks(60) {
                let mean = f64::from(minute.iter().sum::<u32>()) / 60.0;
                assert!((mean / rate - 1.0).abs() < 0.1, "{mean} at {rate}");
                let most = f64::from(*minute.iter().max().unwrap());
                assert!(most > 1.1 * rate, "no burst: {most} at {rate}");
            }
        }
    }
}

#[test]
fn the_rate_does_not_change_the_volatility() {
    // Mean size of returns, relative to the listings' volatility. Squares of returns would measure
    // only the news.
    let symbols = [
        "BTC-USD", "ETH-USD", "NVDA", "TSLA", "EUR/USD", "USD/JPY", "^SPX",
    ]
    .map(place);
    let wildness = |rate| {
        let mut sizes = Vec::new();
        for seed in 0..8 {
            let rows = history(seed, rate, 1, 41);
            for place in symbols {
                let usual = LIVELINESS * LISTINGS[place].volatility / YEAR.sqrt();
                sizes.extend(returns(&rows[place]).iter().map(|r| r.abs() / usual));
            }
        }
        sizes.iter().sum::<f64>() / sizes.len() as f64
    };
    let (coarse, fine) = (wildness(200.0), wildness(5_000.0));
    assert!((0.85..1.18).contains(&(coarse / fine)), "{coarse} {fine}");
    // The value is 0.8 for a normal distribution, and lower with fat tails.
    assert!((0.55..0.9).contains(&fine), "{fine}");
}

#[test]
fn volatility_clusters_and_groups_move_together() {
    let rows = history(7, 150.0, 1, 3 * 3_600);
    let of = |symbol| returns(&rows[place(symbol)]);
    let (btc, eth, euro) = (of("BTC-USD"), of("ETH-USD"), of("EUR/USD"));
    let size: Vec<f64> = btc.iter().map(|r| r.abs()).collect();
    for lag in [1, 5, 20] {
        let memory = correlation(&size[lag..], &size[..size.len() - lag]);
        assert!(memory > 0.06, "{memory} at {lag}");
    }
    let (within, across) = (correlation(&btc, &eth), correlation(&btc, &euro));
    assert!(
        within > 0.5 && within > across.abs() + 0.3,
        "{within} {across}"
    );
    let square = |x: &f64| x * x;
    let variance = btc.iter().map(square).sum::<f64>() / btc.len() as f64;
    let fourth = btc.iter().map(|x| square(x).powi(2)).sum::<f64>() / btc.len() as f64;
    assert!(fourth > 4.0 * variance * variance, "thin tails");
}

#[test]
fn days_stay_plausible() {
    let mut market = SimMarket::new(11, 2.0);
    let (mut closes, mut last) = (0, vec![None; LISTINGS.len()]);
    while market.now < 3.2 * DAY {
        let tick = market.next_tick();
        let factor = float(tick.price.units) / market.books[market.current].level;
        assert!((0.2..5.0).contains(&factor), "{tick:?}");
        if let (Some(close), Some(price)) = (tick.prev_close, last[market.current]) {
            assert_eq!(
                close, price,
                "the close is the last price of the day before"
            );
            closes += 1;
        }
        last[market.current] = Some(tick.price);
    }
    assert_eq!(closes, 3 * LISTINGS.len());
}
