//! Reasons why an input is not a valid tick.

use std::time::Duration;

use crate::{PriceError, Symbol, SymbolError, TimeTextError};

/// Maximum number of extras of one tick: 16.
pub const MAX_EXTRAS: usize = 16;

/// Maximum size of all extras of one tick: 1,024 bytes of JSON, as sent. The limit exists because
/// every reader receives the extras.
pub const MAX_EXTRAS_BYTES: usize = 1024;

/// Maximum size of the text of one tick: 16 KiB (16,384 bytes). A longer text is skipped and not
/// stored.
pub const MAX_ITEM_BYTES: usize = 16 << 10;

/// Value of one member of a tick. Pass it to [`Extras::push`](crate::Extras::push) or
/// [`TickFields::set`](crate::TickFields::set).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// A number. Contains its text, which must be a JSON number: `1.50` stays `1.50`.
    Number(&'a str),
    /// A string. Contains the text without quotes and escapes.
    Text(&'a str),
    /// `true` or `false`. Contains the value.
    Bool(bool),
    /// `null`.
    Null,
    /// An object or an array. Every member of a tick rejects this value.
    Nested,
}

/// Reason why an item is not published: the item is not a valid tick, its publisher may not publish
/// it, the market is full, or the tick cannot be stored. The message names the member and the limit.
///
/// Returned by `tickcast::Hub::publish`, [`Extras::push`](crate::Extras::push) and
/// [`TickFields::set`](crate::TickFields::set), and contained in [`Rejected`]. One error concerns
/// one item: the other items of the same batch are published. A late or an unchanged tick is not an
/// error, but an [`Outcome`](crate::Outcome).
///
/// A later retry can succeed for [`Storage`](Self::Storage), [`TooFast`](Self::TooFast),
/// [`Overloaded`](Self::Overloaded) and [`TimeInFuture`](Self::TimeInFuture). All other errors repeat. `source()` is always `None`,
/// because the message already contains the cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TickError {
    /// The text of the item has more than 16 KiB (`MAX_ITEM_BYTES`).
    #[error("the tick has more than {MAX_ITEM_BYTES} bytes")]
    TooLong,
    /// The input ended inside a JSON array, so ticks may be missing. The complete items before the
    /// end were published.
    #[error("the array of ticks does not end; ticks may be missing")]
    Unfinished,
    /// The text is not a JSON object. Contains what the parser found, and at which column.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// The member `symbol` is missing.
    #[error("symbol is missing")]
    MissingSymbol,
    /// The member `symbol` is invalid. Contains the reason.
    #[error(transparent)]
    Symbol(#[from] SymbolError),
    /// The member `price` is missing.
    #[error("price is missing")]
    MissingPrice,
    /// The member `price`, `change` or `prev_close` is not a valid decimal.
    #[error("{field} {error}")]
    Price {
        /// Name of the member: `price`, `change` or `prev_close`.
        field: &'static str,
        /// Reason why the decimal is invalid.
        error: PriceError,
    },
    /// A member has the wrong type. For example, `symbol` is a number, or an extra is an object.
    #[error("{field}: expected {expected}, found {found}")]
    Type {
        /// Name of the member.
        field: String,
        /// Type that was found: `a number`, `text`, `true or false`, `null` or
        /// `an object or an array`.
        found: &'static str,
        /// Type that was expected, for example `text`.
        expected: &'static str,
    },
    /// The member `time` is not a time, is out of range, or looks like another unit. Contains the
    /// reason.
    #[error(transparent)]
    Time(#[from] TimeTextError),
    /// The member `time` is further ahead of the server's clock than the source allows: see
    /// [`SourceOptions::max_ahead`](crate::SourceOptions::max_ahead), by default one minute.
    #[error("time {time} is more than {max_ahead:?} ahead of the server's clock")]
    TimeInFuture {
        /// The rejected time, in ms since 1970.
        time: i64,
        /// Maximum time by which the source's ticks may be ahead.
        max_ahead: Duration,
    },
    /// A member is present twice. Contains its name.
    #[error("`{0}` occurs twice")]
    DuplicateField(String),
    /// A source cannot set an extra with this name. Contains the name. tickcast sets `n`, `seq`,
    /// `change_pct` and `change_basis` itself ([`RESERVED`](crate::RESERVED)). As an extra,
    /// `symbol`, `price`, `change`, `prev_close` and `time` are reserved too.
    #[error("`{0}` is reserved")]
    Reserved(String),
    /// The name of an extra is invalid: expected is a letter, followed by at most 31 letters,
    /// digits or `_`. Contains the start of the name.
    #[error("`{0}` is not a valid name for an extra (expected [A-Za-z][A-Za-z0-9_]{{0,31}})")]
    ExtraName(String),
    /// The value of an extra is marked as a number, but its text is not a JSON number. Contains the
    /// name of the extra.
    #[error("{0} is not a number")]
    ExtraNumber(String),
    /// The tick has more than 16 extras (`MAX_EXTRAS`).
    #[error("the tick has more than {MAX_EXTRAS} extras")]
    TooManyExtras,
    /// The extras have more than 1,024 bytes in total (`MAX_EXTRAS_BYTES`).
    #[error("the extras have more than {MAX_EXTRAS_BYTES} bytes in total")]
    ExtrasTooLong,
    /// The symbol is new, and the market has reached its maximum number of symbols. Contains the
    /// maximum: see [`Limits::symbols`](crate::Limits::symbols), by default 100,000. Removed
    /// symbols count.
    #[error("the market has {0} symbols, which is the limit")]
    TooManySymbols(usize),
    /// The publisher may not publish this symbol.
    #[error("you may not publish this symbol")]
    NotPermitted,
    /// The publisher sends more ticks than it may. Contains the maximum number of ticks a second.
    #[error("you may publish at most {0} ticks a second")]
    TooFast(u32),
    /// The symbol is new, and the publisher has brought as many new symbols as it may. Contains
    /// that number.
    #[error("you may publish at most {0} new symbols")]
    TooManyNewSymbols(u32),
    /// The server refuses ticks until it is less busy. The publisher may send the tick again later.
    #[error("the server is overloaded; send the rest again later")]
    Overloaded,
    /// The tick is valid, but cannot be stored on disk. Contains the reason, for example a full
    /// disk. The publisher may send the tick again later.
    #[error("the tick cannot be stored: {0}")]
    Storage(String),
}

impl TickError {
    /// Returns the error for an extra that is an object or an array.
    pub(super) fn nested(name: &str) -> Self {
        wrong_type(name, Value::Nested, "text, a number, true, false or null")
    }
}

/// An item that is not a valid tick. Returned by [`Tick::from_json`](crate::Tick::from_json),
/// [`TickFields::finish`](crate::TickFields::finish) and [`RawTick::tick`](crate::RawTick::tick).
/// The message is the message of [`error`](Self::error).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Rejected {
    /// Symbol of the item, if the symbol was valid and could be read.
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
    TickError::Type {
        field: field.to_owned(),
        found,
        expected,
    }
}
