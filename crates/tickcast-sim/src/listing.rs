//! The instruments of the simulated market: about forty, with realistic levels, tick sizes,
//! spreads, lots and trading patterns.
//!
//! All currency pairs contain the dollar on purpose. A pair without the dollar would have to agree
//! with two dollar pairs at all times, and an expert would notice a difference.

use std::fmt;

use crate::noise::Noise;

/// An exact decimal: `units` times 10^-`decimals`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal10 {
    /// The digits, as a whole number.
    pub(crate) units: i64,
    /// Number of digits after the decimal point.
    pub(crate) decimals: u8,
}

impl fmt::Display for Decimal10 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.units < 0 { "-" } else { "" };
        let (units, one) = (
            self.units.unsigned_abs(),
            10_u64.pow(u32::from(self.decimals)),
        );
        match usize::from(self.decimals) {
            0 => write!(f, "{sign}{units}"),
            width => write!(f, "{sign}{}.{:0width$}", units / one, units % one),
        }
    }
}

/// A factor of the price changes. All instruments follow the market, and each instrument also
/// follows one other factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Factor {
    /// Appetite for risk everywhere.
    Market,
    /// Technology shares, and the indices that follow them.
    Tech,
    /// The other shares.
    Classic,
    /// The dollar: a rise means a weaker dollar.
    Dollar,
    /// Crypto currencies.
    Crypto,
    /// Precious metals.
    Metal,
}

impl Factor {
    /// Number of factors.
    pub(crate) const COUNT: usize = Self::Metal as usize + 1;
}

/// Sizes of trades: the step, and lognormal numbers of steps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lots {
    /// The smallest size and the step between sizes.
    pub(crate) step: Decimal10,
    /// The median size and the standard deviation of its logarithm, in steps.
    middle: (f64, f64),
    /// Number of steps in a round lot: larger sizes are often multiples of this number. 1 means no
    /// round lots.
    round: i64,
}

/// An instrument. Price differences are in ticks of one unit of the last decimal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listing {
    /// The name of the instrument.
    pub(crate) symbol: &'static str,
    /// The factor that the instrument follows besides the market.
    pub(crate) group: Factor,
    /// Number of digits after the decimal point in prices.
    decimals: u8,
    /// The price around which the instrument stays, and its first previous close.
    level: f64,
    /// Usual distance from bid to ask, in ticks.
    spread: f64,
    /// Volatility per year, as in the real market.
    pub(crate) volatility: f64,
    /// Correlation with the market and with the group. The sum of the squares is less than 1.
    pub(crate) correlation: [f64; 2],
    /// Frequency of trades, relative to the other instruments.
    pub(crate) weight: f64,
    lots: Lots,
}

impl Listing {
    /// Returns the level in ticks.
    pub(crate) fn level_ticks(&self) -> f64 {
        self.level * 10_f64.powi(i32::from(self.decimals))
    }

    /// Converts a number of ticks to a price.
    pub(crate) fn price(&self, ticks: i64) -> Decimal10 {
        Decimal10 {
            units: ticks,
            decimals: self.decimals,
        }
    }

    /// Returns a new random distance from bid to ask in ticks, at least 1. A higher `heat` makes
    /// the spread wider; 1 is usual.
    pub(crate) fn draw_spread(&self, heat: f64, noise: &mut Noise) -> i64 {
        whole((self.spread * heat.sqrt() * (0.35 * noise.normal()).exp()).round()).max(1)
    }

    /// Returns a random size for one trade.
    pub(crate) fn draw_size(&self, noise: &mut Noise) -> Decimal10 {
        let Lots {
            step,
            middle: (middle, deviation),
            round,
        } = self.lots;
        let mut steps = whole((middle * (deviation * noise.normal()).exp()).round()).max(1);
        if round > 1 && 2 * steps > round && noise.chance(0.6) {
            steps = (steps + round / 2) / round * round;
        }
        Decimal10 {
            units: steps * step.units,
            ..step
        }
    }
}

/// Returns the whole part of a number that is known to be moderate.
pub(crate) fn whole(number: f64) -> i64 {
    number as i64
}

use Factor::{Classic, Crypto, Dollar, Metal, Tech};

/// Correlations of an ordinary technology share. The next constant is for the other shares.
const T: [f64; 2] = [0.55, 0.45];
const C: [f64; 2] = [0.50, 0.35];

/// All instruments, in the order in which the market opens. Columns: level, usual spread in ticks,
/// volatility per year, correlations with market and group, relative number of trades.
pub(crate) const LISTINGS: &[Listing] = &[
    stock("AAPL", Tech, 268.50, 1.2, 0.27, T, 9.0),
    stock("MSFT", Tech, 509.90, 3.0, 0.24, T, 6.0),
    stock("NVDA", Tech, 187.20, 1.1, 0.45, [0.58, 0.55], 14.0),
    stock("AMZN", Tech, 232.40, 1.4, 0.32, T, 6.0),
    stock("GOOGL", Tech, 284.75, 1.8, 0.30, T, 5.0),
    stock("META", Tech, 612.30, 5.0, 0.35, T, 5.0),
    stock("TSLA", Tech, 431.60, 4.0, 0.50, [0.50, 0.40], 10.0),
    stock("AVGO", Tech, 349.80, 4.0, 0.45, [0.55, 0.52], 4.0),
    stock("AMD", Tech, 241.15, 2.0, 0.48, [0.52, 0.52], 7.0),
    stock("NFLX", Tech, 111.30, 1.3, 0.34, [0.45, 0.35], 3.0),
    stock("BRK.B", Classic, 505.10, 9.0, 0.20, C, 0.3),
    stock("JPM", Classic, 309.40, 3.0, 0.24, [0.58, 0.35], 2.5),
    stock("BAC", Classic, 52.85, 1.0, 0.26, [0.58, 0.35], 2.5),
    stock("V", Classic, 336.20, 4.0, 0.21, C, 1.2),
    stock("LLY", Classic, 1018.00, 45.0, 0.34, [0.28, 0.30], 0.8),
    stock("UNH", Classic, 324.60, 9.0, 0.34, [0.28, 0.30], 1.2),
    stock("JNJ", Classic, 199.55, 2.0, 0.20, [0.25, 0.45], 1.0),
    stock("XOM", Classic, 117.20, 1.2, 0.25, [0.40, 0.30], 2.0),
    stock("WMT", Classic, 102.65, 1.1, 0.21, [0.32, 0.42], 1.5),
    stock("HD", Classic, 371.25, 7.0, 0.24, C, 0.7),
    stock("PG", Classic, 146.90, 1.6, 0.20, [0.24, 0.50], 0.8),
    stock("KO", Classic, 70.95, 1.0, 0.20, [0.24, 0.50], 0.8),
    index("^SPX", 6_734.10, 40.0, 0.16, [0.92, 0.36], 8.0),
    index("^NDX", 25_008.20, 110.0, 0.21, [0.78, 0.60], 5.0),
    pair("EUR/USD", 5, 1.16210, 2.0, 0.070, [0.15, 0.85], 9.0),
    pair("GBP/USD", 5, 1.31680, 5.0, 0.078, [0.20, 0.78], 6.0),
    pair("USD/JPY", 3, 154.520, 3.0, 0.095, [0.15, -0.65], 8.0),
    pair("USD/CHF", 5, 0.79440, 7.0, 0.078, [0.05, -0.80], 2.5),
    pair("AUD/USD", 5, 0.65340, 3.0, 0.095, [0.42, 0.68], 3.5),
    pair("USD/CAD", 5, 1.40250, 6.0, 0.062, [-0.35, -0.62], 3.0),
    pair("NZD/USD", 5, 0.56790, 7.0, 0.098, [0.40, 0.66], 2.0),
    pair("USD/SEK", 5, 9.43150, 240.0, 0.105, [-0.28, -0.80], 0.8),
    coin(
        "BTC-USD",
        (2, 95_420.00),
        110.0,
        0.50,
        [0.38, 0.80],
        18.0,
        (5, 700.0),
    ),
    coin(
        "ETH-USD",
        (2, 3_184.50),
        12.0,
        0.66,
        [0.38, 0.80],
        11.0,
        (4, 1_500.0),
    ),
    coin(
        "SOL-USD",
        (2, 141.80),
        1.6,
        0.78,
        [0.34, 0.76],
        7.0,
        (3, 3_500.0),
    ),
    coin(
        "XRP-USD",
        (4, 2.2640),
        2.0,
        0.75,
        [0.26, 0.70],
        5.0,
        (1, 2_400.0),
    ),
    coin(
        "DOGE-USD",
        (5, 0.16230),
        1.8,
        0.85,
        [0.32, 0.74],
        4.0,
        (0, 1_900.0),
    ),
    coin(
        "ADA-USD",
        (4, 0.5087),
        1.1,
        0.80,
        [0.30, 0.74],
        2.0,
        (0, 650.0),
    ),
    coin(
        "LINK-USD",
        (3, 14.190),
        4.0,
        0.80,
        [0.30, 0.74],
        1.5,
        (2, 2_200.0),
    ),
    coin(
        "LTC-USD",
        (2, 97.60),
        2.5,
        0.70,
        [0.28, 0.70],
        1.0,
        (3, 1_800.0),
    ),
    metal(
        "XAU/USD",
        (2, 4_083.50),
        28.0,
        0.17,
        [0.02, 0.88],
        5.0,
        (0, 8.0),
    ),
    metal(
        "XAG/USD",
        (3, 50.640),
        24.0,
        0.32,
        [0.12, 0.86],
        2.0,
        (0, 400.0),
    ),
];

/// Returns a share: priced in cents, traded in single shares, often in hundreds.
const fn stock(
    symbol: &'static str,
    group: Factor,
    level: f64,
    spread: f64,
    volatility: f64,
    correlation: [f64; 2],
    weight: f64,
) -> Listing {
    let lots = Lots {
        step: Decimal10 {
            units: 1,
            decimals: 0,
        },
        middle: (45.0, 1.2),
        round: 100,
    };
    Listing {
        symbol,
        group,
        decimals: 2,
        level,
        spread,
        volatility,
        correlation,
        weight,
        lots,
    }
}

/// Returns an index, quoted and traded as a contract on the index. The factors of the shares drive
/// almost all of its changes.
const fn index(
    s: &'static str,
    level: f64,
    spread: f64,
    vol: f64,
    cor: [f64; 2],
    weight: f64,
) -> Listing {
    let lots = Lots {
        step: Decimal10 {
            units: 1,
            decimals: 0,
        },
        middle: (3.0, 0.9),
        round: 1,
    };
    Listing {
        lots,
        ..stock(s, Tech, level, spread, vol, cor, weight)
    }
}

/// Returns a currency pair, traded in thousands of the first currency, often in hundreds of
/// thousands.
const fn pair(
    symbol: &'static str,
    decimals: u8,
    level: f64,
    spread: f64,
    volatility: f64,
    correlation: [f64; 2],
    weight: f64,
) -> Listing {
    let lots = Lots {
        step: Decimal10 {
            units: 1_000,
            decimals: 0,
        },
        middle: (160.0, 1.1),
        round: 100,
    };
    Listing {
        symbol,
        group: Dollar,
        decimals,
        level,
        spread,
        volatility,
        correlation,
        weight,
        lots,
    }
}

/// Returns a crypto currency. `price` is the number of decimals and the level. `lot` is the number
/// of decimals and the median size in steps.
const fn coin(
    symbol: &'static str,
    price: (u8, f64),
    spread: f64,
    volatility: f64,
    correlation: [f64; 2],
    weight: f64,
    lot: (u8, f64),
) -> Listing {
    let (decimals, level) = price;
    let lots = Lots {
        step: Decimal10 {
            units: 1,
            decimals: lot.0,
        },
        middle: (lot.1, 1.6),
        round: 1,
    };
    Listing {
        symbol,
        group: Crypto,
        decimals,
        level,
        spread,
        volatility,
        correlation,
        weight,
        lots,
    }
}

/// Returns a precious metal, traded in ounces.
const fn metal(
    symbol: &'static str,
    price: (u8, f64),
    spread: f64,
    volatility: f64,
    correlation: [f64; 2],
    weight: f64,
    lot: (u8, f64),
) -> Listing {
    Listing {
        group: Metal,
        ..coin(symbol, price, spread, volatility, correlation, weight, lot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_formatted_exactly() {
        let text = |units, decimals| Decimal10 { units, decimals }.to_string();
        assert_eq!(text(18_950, 2), "189.50");
        assert_eq!(text(7, 5), "0.00007");
        assert_eq!(text(-105, 2), "-1.05");
        assert_eq!(text(3_000, 0), "3000");
    }

    #[test]
    fn the_table_is_plausible() {
        for (place, listing) in LISTINGS.iter().enumerate() {
            let symbol = listing.symbol;
            let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:^=&".contains(c);
            assert!(
                symbol.len() <= 32 && symbol.chars().all(allowed),
                "{symbol}"
            );
            assert!(
                LISTINGS[..place].iter().all(|other| other.symbol != symbol),
                "{symbol} twice"
            );
            let [market, group] = listing.correlation;
            assert!(
                market * market + group * group < 0.99,
                "{symbol}: nothing of its own"
            );
            let (price, relative) = (
                listing.level_ticks(),
                listing.spread / listing.level_ticks(),
            );
            assert!(
                price > 1_000.0 && relative < 0.001,
                "{symbol}: {price} {relative}"
            );
            assert!(
                listing.weight > 0.0 && (0.05..1.0).contains(&listing.volatility),
                "{symbol}"
            );
        }
    }

    #[test]
    fn sizes_are_multiples_of_the_step() {
        let mut noise = Noise::new(5);
        for listing in LISTINGS {
            let step = listing.lots.step;
            for _ in 0..500 {
                let size = listing.draw_size(&mut noise);
                assert!(size.units >= step.units && size.units % step.units == 0);
                assert_eq!(size.decimals, step.decimals);
            }
        }
    }
}
