//! A tick from named values, whatever they were read from: JSON members, CSV columns, an exchange's frame.

use std::time::Duration;

use super::extras::BASIS;
use super::{ChangeBasis, Extras, MAX_EXTRAS, MAX_EXTRAS_BYTES, MAX_ITEM_BYTES, RESERVED, Tick};
use crate::{Price, PriceError, Symbol, SymbolError, Time, TimeTextError};

/// What one member of a tick was given as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// A number, by its text.
    Number(&'a str),
    /// Text.
    Text(&'a str),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
    /// An object or an array.
    Nested,
}

/// Why something is not a tick. The message names the member and the limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TickError {
    /// Longer than any tick.
    #[error("a tick of more than {MAX_ITEM_BYTES} bytes")]
    TooLong,
    /// The array that ticks come in does not end: there may have been more.
    #[error("the array does not end: there may have been more ticks")]
    Unfinished,
    /// Not a JSON object: what the reader found, and where.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// No `symbol`.
    #[error("symbol is missing")]
    MissingSymbol,
    /// A `symbol` that breaks its rule.
    #[error(transparent)]
    Symbol(#[from] SymbolError),
    /// No `price`.
    #[error("price is missing")]
    MissingPrice,
    /// A `price`, `change` or `prev_close` that is no amount.
    #[error("{field} {error}")]
    Price {
        /// Which of them.
        field: &'static str,
        /// What is wrong with it.
        error: PriceError,
    },
    /// A member of another type than its rule says.
    #[error("{field} is {found}, {expected} is expected")]
    Type {
        /// The member.
        field: String,
        /// What it is.
        found: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A `time` that is none, lies outside its range, or looks like another unit.
    #[error(transparent)]
    Time(#[from] TimeTextError),
    /// A `time` further ahead than a clock may be wrong.
    #[error("time {time} lies more than {max_ahead:?} ahead of the server's clock")]
    TimeInFuture {
        /// In ms since 1970.
        time: i64,
        /// How far ahead the source's ticks may be.
        max_ahead: Duration,
    },
    /// The same member twice.
    #[error("`{0}` is there twice")]
    DuplicateField(String),
    /// A name that tickcast gives out itself.
    #[error("`{0}` is reserved")]
    Reserved(String),
    /// An extra whose name breaks the rule.
    #[error("`{0}` is not a name for an extra: [A-Za-z][A-Za-z0-9_]{{0,31}} is expected")]
    ExtraName(String),
    /// An extra given as a number that is none.
    #[error("{0} is not a number")]
    ExtraNumber(String),
    /// Too many extras.
    #[error("more than {MAX_EXTRAS} extras")]
    TooManyExtras,
    /// Extras that are too long together.
    #[error("extras take more than {MAX_EXTRAS_BYTES} bytes together")]
    ExtrasTooLong,
    /// The market is full.
    #[error("the market holds {0} symbols, the limit")]
    TooManySymbols(usize),
    /// The tick is sound, but cannot be kept: why. It may be sent again later.
    #[error("not taken: {0}")]
    Storage(String),
}

impl TickError {
    /// An extra that is no scalar.
    pub(super) fn nested(name: &str) -> Self {
        wrong_type(name, Value::Nested, "text, a number, true, false or null")
    }
}

/// Something that was meant to be a tick.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Rejected {
    /// Its symbol, as far as it could be read.
    pub symbol: Option<Symbol>,
    /// What is wrong with it.
    pub error: TickError,
}

/// Collects a tick's members one by one.
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
    /// Of a tick that was recorded from a stream: the members that are given out here are passed over.
    #[must_use]
    pub fn recorded() -> Self {
        Self { recorded: true, ..Self::default() }
    }

    /// Takes one member.
    ///
    /// # Errors
    /// Where it breaks its rule or was there before.
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
            // What a recorded change was measured from is as true as the change.
            BASIS if self.recorded && value == Value::Text(ChangeBasis::Rolling24h.as_str()) => {
                self.extras.push_basis(ChangeBasis::Rolling24h)
            }
            given_out if self.recorded && RESERVED.contains(&given_out) => Ok(()),
            extra => self.extras.push(extra, value),
        }
    }

    /// The symbol, once it was set: what a rejection can name.
    #[must_use]
    pub const fn symbol(&self) -> Option<Symbol> {
        self.symbol
    }

    /// The tick.
    ///
    /// # Errors
    /// Where symbol or price are missing.
    pub fn finish(self) -> Result<Tick, Rejected> {
        let reject = |error| Rejected { symbol: self.symbol, error };
        Ok(Tick {
            symbol: self.symbol.ok_or_else(|| reject(TickError::MissingSymbol))?,
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

/// A number, or a decimal as text.
fn amount(field: &'static str, value: Value<'_>) -> Result<Price, TickError> {
    match value {
        Value::Number(text) | Value::Text(text) => {
            text.parse().map_err(|error| TickError::Price { field, error })
        }
        other => Err(wrong_type(field, other, "a number or a decimal as text")),
    }
}

/// A number of milliseconds, also as text, or RFC 3339.
fn time(value: Value<'_>) -> Result<Time, TickError> {
    match value {
        Value::Number(text) | Value::Text(text) => Ok(text.parse()?),
        other => Err(wrong_type("time", other, "a whole number of milliseconds or RFC 3339")),
    }
}

fn wrong_type(field: &str, value: Value<'_>, wanted: &'static str) -> TickError {
    let found = match value {
        Value::Number(_) => "a number",
        Value::Text(_) => "text",
        Value::Bool(_) => "true or false",
        Value::Null => "null",
        Value::Nested => "an object or an array",
    };
    TickError::Type { field: field.to_owned(), found, expected: wanted }
}
