//! Ticks: new prices of symbols, as publishers send them.

mod derived;
mod error;
mod extras;
mod fields;
mod items;
mod json;
mod published;

pub(crate) use derived::Derived;
pub use error::{MAX_EXTRAS, MAX_EXTRAS_BYTES, MAX_ITEM_BYTES, Rejected, TickError, Value};
pub use extras::{ChangeBasis, Extras, RESERVED};
pub use fields::TickFields;
pub use items::{RawTick, TickSplitter};
pub use published::PublishedTick;

use crate::{Price, Symbol, Time};

/// One new price of one symbol. A tick is always valid, whatever its source.
#[derive(Debug, Clone)]
pub struct Tick {
    /// The symbol.
    pub symbol: Symbol,
    /// The price.
    pub price: Price,
    /// Absolute change, if the publisher sends its own change. Otherwise the change is price − reference.
    pub change: Option<Price>,
    /// Previous close: the new reference of changes from this tick on.
    pub prev_close: Option<Price>,
    /// Time at which the tick happened. If `None`, the arrival time is used.
    pub time: Option<Time>,
    /// All other data that readers receive with the tick, for example bid, volume or a flag.
    pub extras: Extras,
}

impl Tick {
    /// Makes a tick with only a symbol and a price. Its time is the arrival time.
    #[must_use]
    pub const fn new(symbol: Symbol, price: Price) -> Self {
        Self { symbol, price, change: None, prev_close: None, time: None, extras: Extras::new() }
    }
}
