//! One new price of one symbol, as it comes in.

mod extras;
mod fields;
mod items;
mod json;

pub use extras::{ChangeBasis, Extras, MAX_EXTRAS, MAX_EXTRAS_BYTES, RESERVED};
pub use fields::{Rejected, TickError, TickFields, Value};
pub use items::{MAX_ITEM_BYTES, RawTick, TickSplitter};

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

    /// Reads one JSON object, such as `{"symbol":"AAPL","price":189.50}`.
    ///
    /// # Errors
    /// Where it is no JSON object or a member breaks its rule; the error names the member and the limit.
    pub fn from_json(text: &[u8]) -> Result<Self, Rejected> {
        json::tick(text, TickFields::default())
    }

    /// The same from an object as readers are sent it, say from a recording: `n`, `change_pct` and the like are passed over.
    ///
    /// # Errors
    /// As above.
    pub fn from_recorded_json(text: &[u8]) -> Result<Self, Rejected> {
        json::tick(text, TickFields::recorded())
    }
}

/// The start of `text`, safe to show in an error: printable ASCII, at most 24 characters.
pub(crate) fn excerpt(text: &str) -> String {
    const EXCERPT_CHARS: usize = 24;
    let mut shown: String = text.chars().take(EXCERPT_CHARS).flat_map(char::escape_default).collect();
    if text.chars().nth(EXCERPT_CHARS).is_some() {
        shown.push_str("...");
    }
    shown
}
