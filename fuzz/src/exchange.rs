//! Frames of exchanges.

use tickcast_core::{
    Epoch, Limits, Now, Price, Sequencer, SourceId, SourceOptions, Symbol, TickView,
};
use tickcast_feeds::{
    Advanced, Binance, BinanceStream, Coinbase, CoinbaseChannel, Exchange, FeedEvent, FeedPrice,
    Kind, Kraken, SymbolMap,
};

/// The names of the symbols at the exchanges. A feed publishes only these.
const NAMES: [(&str, &str); 4] = [
    ("BTCUSDT", "BTC/USDT"),
    ("BTC-USD", "BTC-USD"),
    ("BTC-USDC", "BTC-USDC"),
    ("BTC/USD", "BTC/USD"),
];

/// Checks frames of exchanges, one per line. The lowest three bits of the first byte select the
/// exchange and the channel. A decoded price is above zero and of a requested symbol, has the
/// digits of the frame, and can be published.
pub fn exchange_frame(data: &[u8]) {
    let Some((first, frames)) = data.split_first() else {
        return;
    };
    let Ok(frames) = std::str::from_utf8(frames) else {
        return;
    };
    let names = NAMES.map(|(name, symbol)| (name.to_owned(), Some(symbol.to_owned())));
    let names = SymbolMap::new(names).expect("the names are valid");
    let mut protocol = exchange(first & 7, &names).new_connection();
    assert!(!protocol.open().is_empty());
    let mut log = Sequencer::new(Epoch::new(1), Limits::default());
    for frame in frames.lines() {
        let mut heard = Vec::new();
        // A frame that cannot be decoded is only counted. What was decoded before counts.
        let decoded = protocol.on_text(frame, &mut heard);
        assert!(
            decoded.is_ok()
                || heard
                    .iter()
                    .all(|event| !matches!(event, FeedEvent::Price(_)))
        );
        // A list has a separate event for each entry, at most two for each byte of the frame.
        assert!(heard.len() <= 2 * frame.len() + 200, "{}", heard.len());
        for event in heard {
            match event {
                FeedEvent::Price(price) => check_price(&price, frame, &names, &mut log),
                FeedEvent::Lost(count) => assert!(count > 0),
                FeedEvent::Refused { symbol, .. } => assert!(is_requested(symbol, &names)),
                FeedEvent::Send(message) => {
                    let json = serde_json::from_str::<serde_json::Value>(&message);
                    assert!(json.is_ok(), "{message}");
                }
                _ => {}
            }
        }
    }
}

fn exchange(which: u8, names: &SymbolMap) -> Box<dyn Exchange> {
    let names = names.clone();
    match which {
        0 => Box::new(Binance::new(names, BinanceStream::Ticker)),
        1 => Box::new(Binance::new(names, BinanceStream::BookTicker)),
        2 => Box::new(Binance::new(names, BinanceStream::Trade)),
        3 => Box::new(Coinbase::new(names, CoinbaseChannel::Ticker)),
        4 => Box::new(Coinbase::new(names, CoinbaseChannel::Matches)),
        5 => Box::new(Advanced::new(names)),
        6 => Box::new(Kraken::ticker(names)),
        _ => Box::new(Kraken::trade(names)),
    }
}

fn is_requested(symbol: Symbol, names: &SymbolMap) -> bool {
    names.local().any(|local| local == symbol)
}

fn check_price(price: &FeedPrice, frame: &str, names: &SymbolMap, log: &mut Sequencer) {
    let tick = &price.tick;
    assert!(is_requested(tick.symbol, names), "{}", tick.symbol);
    assert!(tick.price > tick.price.minus(tick.price), "{}", tick.price);
    // The price of a quote is the middle of two prices.
    if price.kind != Kind::Quote {
        let mut written = numbers(frame);
        assert!(
            written.any(|number| number.is_written_like(tick.price)),
            "{}",
            tick.price
        );
    }
    let source = SourceId::default();
    let accepted = log.accept(tick, source, SourceOptions::default(), Now::default());
    let accepted = accepted.expect("the market has room");
    let frame = log
        .market()
        .newest(accepted.symbol)
        .expect("a tick without a time is never late");
    let json = serde_json::from_slice::<serde_json::Value>(frame.json());
    assert!(json.is_ok(), "{:?}", String::from_utf8_lossy(frame.json()));
    let view = TickView::read(frame.json()).expect("a frame reads back");
    assert_eq!(view.price, tick.price.to_string());
}

/// Returns the decimals that occur in a text.
fn numbers(text: &str) -> impl Iterator<Item = Price> {
    let words = text.split(|c: char| !c.is_ascii_digit() && !"+-.eE".contains(c));
    words.filter_map(|word| word.parse().ok())
}
