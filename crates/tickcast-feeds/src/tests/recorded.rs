//! Recorded sessions of real exchanges, frame by frame.

use std::io::Read;
use std::path::Path;

use super::*;
use crate::{ExchangeProtocol, FeedEvent};

/// Returns the frames that an exchange sent, or `None` if the recording is not available.
fn frames(name: &str) -> Option<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(name);
    let Ok(file) = std::fs::File::open(&path) else {
        let test = format!("recorded session {name}, of cryptofeed's sample data");
        fakes::skipped(&test, "not in ../shared/data beside the checkout");
        return None;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    // Lines from the client have a marker. Lines from the exchange have a time, then the frame.
    let came = text
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    Some(
        came.map(|line| line.split_once(": ").unwrap().1.to_owned())
            .collect(),
    )
}

/// Returns the events of each frame. Every frame must give at least one event.
fn hear(
    talk: &mut dyn ExchangeProtocol,
    frames: &[String],
) -> Vec<(serde_json::Value, Vec<FeedEvent>)> {
    let heard = frames.iter().map(|frame| {
        let mut heard = Vec::new();
        talk.on_text(frame, &mut heard).unwrap();
        assert!(!heard.is_empty(), "passed over: {frame}");
        (serde_json::from_str(frame).unwrap(), heard)
    });
    heard.collect()
}

fn price(heard: &[FeedEvent]) -> Option<String> {
    match heard {
        [FeedEvent::Price(print)] => Some(print.tick.price.to_string()),
        [FeedEvent::Nothing | FeedEvent::Send(_)] => None,
        other => panic!("{other:?}"),
    }
}

fn names(frames: &[String], key: impl Fn(&serde_json::Value) -> Option<String>) -> SymbolMap {
    let names: std::collections::BTreeSet<_> = frames
        .iter()
        .filter_map(|frame| key(&serde_json::from_str(frame).unwrap()))
        .collect();
    SymbolMap::new(names.into_iter().map(|name| (name, None))).unwrap()
}

#[test]
fn every_recorded_coinbase_price_is_decoded() {
    let Some(frames) = frames("coinbase-exchange-2021-04-17.ws.gz") else {
        return;
    };
    let names = names(&frames, |frame| {
        Some(frame["product_id"].as_str()?.to_owned())
    });
    let mut talk = Coinbase::new(names, CoinbaseChannel::Ticker).new_connection();
    let (mut tickers, mut matches) = (0, 0);
    for (frame, heard) in hear(&mut *talk, &frames) {
        let kind = frame["type"].as_str().unwrap();
        let is_price = matches!(kind, "ticker" | "match" | "last_match");
        assert_eq!(
            price(&heard).as_deref(),
            frame["price"].as_str().filter(|_| is_price),
            "{frame}"
        );
        tickers += u32::from(kind == "ticker");
        matches += u32::from(kind == "match" || kind == "last_match");
    }
    println!(
        "coinbase: {} frames, {tickers} tickers, {matches} matches",
        frames.len()
    );
    assert!(tickers > 0 && matches > 0);
}

#[test]
fn every_recorded_binance_quote_and_trade_is_decoded() {
    let Some(frames) = frames("binance-2021-10-12.ws.gz") else {
        return;
    };
    let names = names(&frames, |frame| {
        Some(frame["data"]["s"].as_str()?.to_owned())
    });
    let mut talk = Binance::new(names, BinanceStream::BookTicker).new_connection();
    let (mut quotes, mut trades) = (0, 0);
    for (frame, heard) in hear(&mut *talk, &frames) {
        let stream = frame["stream"].as_str().unwrap();
        let data = &frame["data"];
        let text = |key: &str| data[key].as_str().unwrap();
        let wanted = match stream.split_once('@').unwrap().1 {
            "bookTicker" => {
                quotes += 1;
                Some(middle(text("b"), text("a")))
            }
            "aggTrade" => {
                trades += 1;
                Some(text("p").to_owned())
            }
            _ => None,
        };
        assert_eq!(price(&heard), wanted, "{frame}");
    }
    println!(
        "binance: {} frames, {quotes} quotes, {trades} trades",
        frames.len()
    );
    assert!(quotes > 0 && trades > 0);
}

/// Plays the recorded frames to each client.
struct Recording(Arc<Vec<String>>);

impl Dial for Recording {
    fn dial<'a>(&'a self, _: &'a Uri) -> DialFuture<'a> {
        use futures_util::{SinkExt, StreamExt};
        use tokio_tungstenite::tungstenite::Message;
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let frames = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut socket = tokio_tungstenite::accept_async(theirs).await.unwrap();
            // Wait for the client's subscription.
            socket.next().await;
            for frame in frames.iter() {
                socket.send(Message::text(frame.clone())).await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        Box::pin(async { Ok(Box::new(ours) as Box<dyn ByteStream>) })
    }
}

#[tokio::test(start_paused = true)]
async fn each_recorded_price_becomes_one_tick() {
    for (name, book) in [
        ("coinbase-exchange-2021-04-17.ws.gz", false),
        ("binance-2021-10-12.ws.gz", true),
    ] {
        let Some(frames) = frames(name) else { return };
        let key = |frame: &serde_json::Value| {
            let name = frame["product_id"]
                .as_str()
                .or(frame["data"]["s"].as_str())?;
            Some(name.to_owned())
        };
        let names = names(&frames, key);
        let exchange: Box<dyn Exchange> = if book {
            Box::new(Binance::new(names.clone(), BinanceStream::BookTicker))
        } else {
            Box::new(Coinbase::new(names.clone(), CoinbaseChannel::Ticker))
        };
        let mut talk = exchange.new_connection();
        let prices: usize = hear(&mut *talk, &frames)
            .iter()
            .filter(|(_, heard)| price(heard).is_some())
            .count();
        let hub = Hub::builder().lanes(1).build();
        let feed = Feed::new(
            exchange,
            "ws://recorded".parse().unwrap(),
            names,
            hub.source("feed", SourceOptions::default()),
        );
        let network = Network::by(Recording(Arc::new(frames.clone())));
        let _feeding = AbortOnDropHandle::new(tokio::spawn(async move {
            feed.run(&network).await;
        }));
        let start = Instant::now();
        while hub.sources()[0].feed.get(FeedEventKind::Frames) < frames.len() as u64 {
            assert!(start.elapsed() < SOON);
            sleep(Duration::from_millis(10)).await;
        }
        let stats = hub.sources().remove(0);
        println!("{name}: {prices} prices, {stats:?}");
        let count = |count| stats.feed.get(count);
        assert_eq!(
            (stats.accepted, stats.late),
            (prices as u64, 0),
            "{name}: {stats:?}"
        );
        assert_eq!(
            (count(FeedEventKind::Errors), count(FeedEventKind::Unknown)),
            (0, 0),
            "{name}"
        );
    }
}
