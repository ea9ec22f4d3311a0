//! One new price of one symbol, as it comes in.

mod error;
mod extras;
mod fields;
mod items;
mod json;

pub use error::{MAX_EXTRAS, MAX_EXTRAS_BYTES, MAX_ITEM_BYTES, Rejected, TickError, Value};
pub use extras::{ChangeBasis, Extras, RESERVED};
pub use fields::TickFields;
pub use items::{RawTick, TickSplitter};

use crate::{Price, Symbol, Time};

/// One new price of one symbol. Valid by construction, whatever it was read from.
#[derive(Debug, Clone)]
pub struct Tick {
    /// What has the price.
    pub symbol: Symbol,
    /// The price.
    pub price: Price,
    /// The absolute change, where the publisher knows better than price − reference.
    pub change: Option<Price>,
    /// From now on the price that changes are measured from.
    pub prev_close: Option<Price>,
    /// When it happened; without it, when it arrived.
    pub time: Option<Time>,
    /// Whatever else readers are to be given with it: bid, volume, a flag.
    pub extras: Extras,
}

impl Tick {
    /// A tick of just a symbol and a price, happening when it arrives.
    #[must_use]
    pub const fn new(symbol: Symbol, price: Price) -> Self {
        Self { symbol, price, change: None, prev_close: None, time: None, extras: Extras::new() }
    }
}
