//! Reasons why an input is not a valid tick.

use std::time::Duration;

use crate::{PriceError, Symbol, SymbolError, TimeTextError};

/// Maximum number of extras of one tick.
pub const MAX_EXTRAS: usize = 16;

/// Maximum number of bytes of all extras of one tick, as sent. The limit exists because every reader receives
/// the extras.
pub const MAX_EXTRAS_BYTES: usize = 1024;

/// Maximum number of bytes of the text of one tick. A longer text is skipped and not stored.
pub const MAX_ITEM_BYTES: usize = 16 << 10;

/// Value of one member of a tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// A number, as its text.
    Number(&'a str),
    /// A string.
    Text(&'a str),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
    /// An object or an array.
    Nested,
}

/// Reason why an input is not a valid tick. The message names the member and the limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TickError {
    /// The text is longer than a tick may be.
    #[error("the tick has more than {MAX_ITEM_BYTES} bytes")]
    TooLong,
    /// The array of ticks does not end, so ticks may be missing.
    #[error("the array of ticks does not end; ticks may be missing")]
    Unfinished,
    /// The text is not a JSON object. Contains what the parser found, and where.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// `symbol` is missing.
    #[error("symbol is missing")]
    MissingSymbol,
    /// `symbol` is invalid.
    #[error(transparent)]
    Symbol(#[from] SymbolError),
    /// `price` is missing.
    #[error("price is missing")]
    MissingPrice,
    /// `price`, `change` or `prev_close` is not a valid amount.
    #[error("{field} {error}")]
    Price {
        /// Name of the member.
        field: &'static str,
        /// Reason why the amount is invalid.
        error: PriceError,
    },
    /// A member has the wrong type.
    #[error("{field}: expected {expected}, found {found}")]
    Type {
        /// Name of the member.
        field: String,
        /// Type that was found.
        found: &'static str,
        /// Type that was expected.
        expected: &'static str,
    },
    /// `time` is not a time, is out of range, or looks like another unit.
    #[error(transparent)]
    Time(#[from] TimeTextError),
    /// `time` is further ahead than the source allows.
    #[error("time {time} is more than {max_ahead:?} ahead of the server's clock")]
    TimeInFuture {
        /// The rejected time, in ms since 1970.
        time: i64,
        /// Maximum time by which the source's ticks may be ahead.
        max_ahead: Duration,
    },
    /// A member is present twice.
    #[error("`{0}` occurs twice")]
    DuplicateField(String),
    /// The name is reserved: tickcast sets this member itself.
    #[error("`{0}` is reserved")]
    Reserved(String),
    /// The name of an extra is invalid.
    #[error("`{0}` is not a valid name for an extra (expected [A-Za-z][A-Za-z0-9_]{{0,31}})")]
    ExtraName(String),
    /// An extra is marked as a number, but its text is not a number.
    #[error("{0} is not a number")]
    ExtraNumber(String),
    /// The tick has too many extras.
    #[error("the tick has more than {MAX_EXTRAS} extras")]
    TooManyExtras,
    /// The extras are too long together.
    #[error("the extras have more than {MAX_EXTRAS_BYTES} bytes in total")]
    ExtrasTooLong,
    /// The market has reached its maximum number of symbols.
    #[error("the market has {0} symbols, which is the limit")]
    TooManySymbols(usize),
    /// The tick is valid, but cannot be stored. Contains the reason. The publisher may send the tick again
    /// later.
    #[error("the tick cannot be stored: {0}")]
    Storage(String),
}

impl TickError {
    /// Returns the error for an extra that is an object or an array.
    pub(super) fn nested(name: &str) -> Self {
        wrong_type(name, Value::Nested, "text, a number, true, false or null")
    }
}

/// An input that should be a tick, but was rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Rejected {
    /// Symbol of the input, if it could be read.
    pub symbol: Option<Symbol>,
    /// Reason of the rejection.
    pub error: TickError,
}

pub(super) fn wrong_type(field: &str, value: Value<'_>, expected: &'static str) -> TickError {
    let found = match value {
        Value::Number(_) => "a number",
        Value::Text(_) => "text",
        Value::Bool(_) => "true or false",
        Value::Null => "null",
        Value::Nested => "an object or an array",
    };
    TickError::Type { field: field.to_owned(), found, expected }
}
