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
///
/// Make one with [`Tick::new`], [`Tick::from_json`] or [`TickFields`]. Pass it to
/// `tickcast::Hub::publish` or `tickcast::Publisher::publish`.
///
/// ```
/// # use tickcast_core::{Symbol, Tick, Value};
/// let mut tick = Tick::new(Symbol::new("AAPL").unwrap(), "189.50".parse().unwrap());
/// tick.extras.push("bid", Value::Number("189.49")).unwrap();
/// assert_eq!(tick.extras.as_json(), b",\"bid\":189.49");
/// ```
#[derive(Debug, Clone)]
pub struct Tick {
    /// The symbol.
    pub symbol: Symbol,
    /// The price.
    pub price: Price,
    /// Absolute change, if the source sends its own change. If `None`, tickcast computes the
    /// change: price − [reference](crate::PublishedTick::change).
    pub change: Option<Price>,
    /// Previous close: the new reference of the changes of this symbol, from this tick on. If
    /// `None`, the reference does not change.
    pub prev_close: Option<Price>,
    /// Time at which the price was made. If `None`, the arrival time is used, and the tick is never
    /// late.
    pub time: Option<Time>,
    /// All other data that readers receive with the tick, for example bid, volume or a flag. At
    /// most 16 extras and 1,024 bytes.
    pub extras: Extras,
}

impl Tick {
    /// Makes a tick with only a symbol and a price. All other fields are empty, so its time is the
    /// arrival time.
    #[must_use]
    pub const fn new(symbol: Symbol, price: Price) -> Self {
        Self {
            symbol,
            price,
            change: None,
            prev_close: None,
            time: None,
            extras: Extras::new(),
        }
    }
}
