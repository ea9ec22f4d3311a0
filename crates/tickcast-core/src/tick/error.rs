//! Why something is not a tick.

use std::time::Duration;

use crate::{PriceError, Symbol, SymbolError, TimeTextError};

/// Most extras of one tick.
pub const MAX_EXTRAS: usize = 16;

/// Most bytes that the extras of one tick take together as they are sent: every reader pays for them.
pub const MAX_EXTRAS_BYTES: usize = 1024;

/// Most bytes of one tick's text. A longer one is passed over without being kept.
pub const MAX_ITEM_BYTES: usize = 16 << 10;

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

pub(super) fn wrong_type(field: &str, value: Value<'_>, wanted: &'static str) -> TickError {
    let found = match value {
        Value::Number(_) => "a number",
        Value::Text(_) => "text",
        Value::Bool(_) => "true or false",
        Value::Null => "null",
        Value::Nested => "an object or an array",
    };
    TickError::Type { field: field.to_owned(), found, expected: wanted }
}
