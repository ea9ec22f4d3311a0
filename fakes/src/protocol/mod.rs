//! The messages of each exchange. Protocols do no IO: text in, text out.

mod advanced;
mod binance;
mod coinbase;
mod interface;
mod kraken;

use std::sync::Arc;

use crate::market::Tick;
use crate::options::Exchange;

pub(crate) use interface::Protocol;

/// Returns whether the exchange has a WebSocket at this path.
pub(crate) fn answers(exchange: Exchange, path: &str) -> bool {
    match exchange {
        Exchange::Binance => {
            path == "/ws" || path.starts_with("/ws/") || path == "/stream" || path == "/stream/"
        }
        Exchange::Coinbase | Exchange::Advanced => path == "/",
        Exchange::Kraken => path == "/v2" || path == "/v2/",
    }
}

/// Returns the protocol of a connection that was opened with this path and query.
pub(crate) fn of(
    exchange: Exchange,
    path: &str,
    latest: &[Arc<Tick>],
    now: i64,
) -> Box<dyn Protocol> {
    match exchange {
        Exchange::Binance => Box::new(binance::Binance::new(path, latest)),
        Exchange::Coinbase => Box::new(coinbase::Coinbase::default()),
        Exchange::Advanced => Box::new(advanced::Advanced::new(now)),
        Exchange::Kraken => Box::new(kraken::Kraken::new(now)),
    }
}
