//! Builds a tick from named values of any source: JSON members, CSV columns, a message of an
//! exchange.

use super::error::wrong_type;
use super::extras::BASIS;
use super::{ChangeBasis, Extras, RESERVED, Rejected, Tick, TickError, Value};
use crate::{Price, Symbol, Time};

/// Builds a tick from named values, one by one: from JSON members, CSV columns or a message of an
/// exchange. Default: no member is set.
///
/// ```
/// # use tickcast_core::{TickFields, Value};
/// let mut fields = TickFields::default();
/// fields.set("symbol", Value::Text("AAPL")).unwrap();
/// fields.set("price", Value::Number("189.50")).unwrap();
/// fields.set("bid", Value::Number("189.49")).unwrap();
/// assert_eq!(fields.finish().unwrap().price.to_string(), "189.50");
/// ```
#[derive(Debug, Default)]
pub struct TickFields {
    symbol: Option<Symbol>,
    price: Option<Price>,
    change: Option<Price>,
    prev_close: Option<Price>,
    time: Option<Time>,
    extras: Extras,
    recorded: bool,
}

impl TickFields {
    /// Starts a tick that was recorded from a stream. The members `n`, `seq` and `change_pct`,
    /// which tickcast sets itself, are ignored. The member `change_basis` is kept.
    #[must_use]
    pub fn recorded() -> Self {
        Self {
            recorded: true,
            ..Self::default()
        }
    }

    /// Sets one member: `symbol`, `price`, `change`, `prev_close` or `time`. Any other name becomes
    /// an extra.
    ///
    /// The value of `symbol` is text. A price, a change or a previous close is a number, or a
    /// decimal as text. `time` is a whole number of milliseconds since 1970, also as text, or text
    /// in the form of RFC 3339.
    ///
    /// # Errors
    /// If the value is invalid, or if the member was set before. After an error, do not finish the
    /// tick.
    pub fn set(&mut self, name: &str, value: Value<'_>) -> Result<(), TickError> {
        match name {
            "symbol" => match value {
                Value::Text(text) => once(&mut self.symbol, Symbol::new(text)?, name),
                other => Err(wrong_type(name, other, "text")),
            },
            "price" => once(&mut self.price, amount("price", value)?, name),
            "change" => once(&mut self.change, amount("change", value)?, name),
            "prev_close" => once(&mut self.prev_close, amount("prev_close", value)?, name),
            "time" => once(&mut self.time, time(value)?, name),
            // In a recording, the basis of a change is kept together with the change.
            BASIS if self.recorded && value == Value::Text(ChangeBasis::Rolling24h.as_str()) => {
                self.extras.push_basis(ChangeBasis::Rolling24h)
            }
            reserved if self.recorded && RESERVED.contains(&reserved) => Ok(()),
            extra => self.extras.push(extra, value),
        }
    }

    /// Returns the symbol, if it was set. A rejection can then name the symbol.
    #[must_use]
    pub const fn symbol(&self) -> Option<Symbol> {
        self.symbol
    }

    /// Returns the finished tick.
    ///
    /// # Errors
    /// If the symbol or the price is missing.
    pub fn finish(self) -> Result<Tick, Rejected> {
        let reject = |error| Rejected {
            symbol: self.symbol,
            error,
        };
        Ok(Tick {
            symbol: self
                .symbol
                .ok_or_else(|| reject(TickError::MissingSymbol))?,
            price: self.price.ok_or_else(|| reject(TickError::MissingPrice))?,
            change: self.change,
            prev_close: self.prev_close,
            time: self.time,
            extras: self.extras,
        })
    }
}

fn once<T>(slot: &mut Option<T>, value: T, name: &str) -> Result<(), TickError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(TickError::DuplicateField(name.to_owned())),
    }
}

/// Reads a number, or a decimal in a string.
fn amount(field: &'static str, value: Value<'_>) -> Result<Price, TickError> {
    match value {
        Value::Number(text) | Value::Text(text) => text
            .parse()
            .map_err(|error| TickError::Price { field, error }),
        other => Err(wrong_type(field, other, "a number or a decimal as text")),
    }
}

/// Reads a number of milliseconds, also in a string, or RFC 3339.
fn time(value: Value<'_>) -> Result<Time, TickError> {
    match value {
        Value::Number(text) | Value::Text(text) => Ok(text.parse()?),
        other => Err(wrong_type(
            "time",
            other,
            "a whole number of milliseconds or RFC 3339",
        )),
    }
}
