//! The traded instruments.

use crate::decimal::{Fixed, fixed};
use crate::options::Exchange;

/// A traded instrument, and the precision of its prices.
#[derive(Debug)]
pub(crate) struct Instrument {
    pub(crate) index: usize,
    /// The name as the exchange writes it.
    pub(crate) name: String,
    /// The name in lower case, as in Binance's stream names.
    pub(crate) lower: String,
    /// Number of printed decimals of a price.
    pub(crate) decimals: u32,
    /// The smallest price step, in units of the last printed decimal.
    pub(crate) step: i64,
    /// The start price of the random walk. The price stays near this value.
    pub(crate) start_price: i64,
}

impl Instrument {
    pub(crate) fn new(exchange: Exchange, index: usize, name: &str) -> Self {
        let (whole, real) = match name.to_ascii_uppercase() {
            n if n.starts_with("BTC") => (64_000, if exchange == Exchange::Kraken { 1 } else { 2 }),
            n if n.starts_with("ETH") => (3_400, 2),
            n if n.starts_with("SOL") => (150, 2),
            n => (1 + i64::from(hash(&n).to_le_bytes()[0] % 50), 4),
        };
        // Binance prints eight decimals, whatever the price step is.
        let decimals = if exchange == Exchange::Binance {
            8
        } else {
            real
        };
        Self {
            index,
            name: name.to_owned(),
            lower: name.to_lowercase(),
            decimals,
            step: 10_i64.pow(decimals - real),
            start_price: whole * 10_i64.pow(decimals),
        }
    }

    /// Returns a price of this instrument for printing.
    pub(crate) fn price(&self, units: i64) -> Fixed {
        fixed(units, self.decimals)
    }
}

/// Returns the FNV-1a hash of a text. A symbol has the same random walk whatever the other symbols
/// are.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
