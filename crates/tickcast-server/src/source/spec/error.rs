//! Errors in the text of a source.

use tickcast::error::SymbolError;
use tickcast_feeds::SymbolMapError;
use tickcast_feeds::records::ColumnsError;

/// Reason why a text does not describe a source.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SourceSpecError {
    #[error(
        "source {0:?}: the kind is unknown (expected sim[:SEED], replay:FILE, stdin, udp:IP:PORT, binance:SYMBOLS, coinbase:PRODUCTS, \
         coinbase-advanced:PRODUCTS, kraken:SYMBOLS or none)"
    )]
    Unknown(String),
    #[error("source {0:?}: symbols are missing (expected a source such as {1})")]
    NoSymbols(String, &'static str),
    #[error("source {0:?}: {1}")]
    Names(String, SymbolMapError),
    #[error(
        "source {0:?}: {1} symbols are too many for one connection to {2} (expected at most {3}); add another source for the others"
    )]
    TooMany(String, usize, &'static str, usize),
    #[error(
        "source {0:?}: the name is invalid (expected 1 to 64 printable ASCII characters, and neither http nor local)"
    )]
    Name(String),
    #[error("source {0:?}: {1} is supported for exchanges only")]
    NotExchange(String, &'static str),
    #[error("source {0:?}: the seed is not a whole number (expected a source such as sim:42)")]
    Seed(String),
    #[error(
        "source {0:?}: the address is missing or invalid (expected a source such as udp:127.0.0.1:9300)"
    )]
    Address(String),
    #[error("source {0:?}: the file is missing (expected a source such as replay:ticks.ndjson.gz)")]
    NoFile(String),
    #[error("source {source:?}: {file}: {error}", source = .0, file = .1, error = .2)]
    File(String, String, String),
    #[error("source {0:?}: columns: {1}")]
    Columns(String, ColumnsError),
    #[error("source {0:?}: {1}")]
    Symbol(String, SymbolError),
    #[error("source {0:?}: option {1:?} is unknown (known options: {2})")]
    Option(String, String, &'static str),
    #[error("source {0:?}: {1} cannot be {2:?} (expected {3})")]
    Value(String, String, String, &'static str),
}
