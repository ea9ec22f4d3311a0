//! Errors in the text of a source.

use tickcast::SymbolError;
use tickcast_feeds::SymbolMapError;

use crate::source::records::ColumnsError;

/// Reason why a text does not describe a source.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SourceSpecError {
    #[error(
        "source {0:?}: known are sim[:SEED], replay:FILE, stdin, udp:IP:PORT, binance:SYMBOLS, coinbase:PRODUCTS, \
         coinbase-advanced:PRODUCTS, kraken:SYMBOLS and none"
    )]
    Unknown(String),
    #[error("source {0:?}: symbols are missing, as in {1}")]
    NoSymbols(String, &'static str),
    #[error("source {0:?}: {1}")]
    Names(String, SymbolMapError),
    #[error(
        "source {0:?}: {1} symbols, of which one connection to {2} takes {3}; name another source for the others"
    )]
    TooMany(String, usize, &'static str, usize),
    #[error(
        "source {0:?}: a name for a source is 1 to 64 printable ASCII characters, and neither http nor local"
    )]
    Name(String),
    #[error("source {0:?}: {1} is only for exchanges")]
    NotExchange(String, &'static str),
    #[error("source {0:?}: a seed is a whole number, such as sim:42")]
    Seed(String),
    #[error("source {0:?}: an address is expected, as in udp:127.0.0.1:9300")]
    Address(String),
    #[error("source {0:?}: a file is missing, as in replay:ticks.ndjson.gz")]
    NoFile(String),
    #[error("source {source:?}: {file}: {error}", source = .0, file = .1, error = .2)]
    File(String, String, String),
    #[error("source {0:?}: columns: {1}")]
    Columns(String, ColumnsError),
    #[error("source {0:?}: {1}")]
    Symbol(String, SymbolError),
    #[error("source {0:?}: option {1:?} is unknown; known are {2}")]
    Option(String, String, &'static str),
    #[error("source {0:?}: {1} cannot be {2:?}; {3} is expected")]
    Value(String, String, String, &'static str),
}
