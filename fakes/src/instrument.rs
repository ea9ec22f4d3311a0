//! What is traded.

use crate::decimal::{Fixed, fixed};
use crate::options::Exchange;

/// What is traded, and with which precision.
#[derive(Debug)]
pub(crate) struct Instrument {
    pub(crate) index: usize,
    /// As the exchange writes it.
    pub(crate) name: String,
    /// As Binance's stream names have it.
    pub(crate) lower: String,
    /// Decimals of a price as printed.
    pub(crate) decimals: u32,
    /// The smallest price step, in units of the last printed decimal.
    pub(crate) step: i64,
    /// Where the walk begins, and what it stays near.
    pub(crate) origin: i64,
}

impl Instrument {
    pub(crate) fn new(exchange: Exchange, index: usize, name: &str) -> Self {
        let (whole, real) = match name.to_ascii_uppercase() {
            n if n.starts_with("BTC") => (64_000, if exchange == Exchange::Kraken { 1 } else { 2 }),
            n if n.starts_with("ETH") => (3_400, 2),
            n if n.starts_with("SOL") => (150, 2),
            n => (1 + i64::from(hash(&n).to_le_bytes()[0] % 50), 4),
        };
        // Binance prints eight decimals whatever the step of the price is.
        let decimals = if exchange == Exchange::Binance { 8 } else { real };
        Self {
            index,
            name: name.to_owned(),
            lower: name.to_lowercase(),
            decimals,
            step: 10_i64.pow(decimals - real),
            origin: whole * 10_i64.pow(decimals),
        }
    }

    /// A price of this instrument, ready to print.
    pub(crate) fn price(&self, units: i64) -> Fixed {
        fixed(units, self.decimals)
    }
}

/// FNV-1a: the same walk for the same symbol, whatever stands beside it.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
