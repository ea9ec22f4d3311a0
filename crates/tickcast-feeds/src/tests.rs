//! Tests of feeds against fakes that misbehave, on a paused clock. The clock advances only while
//! every task waits, so a day passes in seconds.

mod cuts;
mod day;
mod nonsense;
mod numbers;
mod recorded;
mod refusals;
mod silence;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use fakes::{Exchange as Venue, Fake, Fault, Options};
use tickcast::stats::{FeedEventKind, SourceStats};
use tickcast::{Hub, PublishedTick, SourceOptions, SourceState, Subscription};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use crate::network::{ByteStream, DialFuture};
use crate::{
    Advanced, Binance, BinanceStream, Coinbase, CoinbaseChannel, Dial, Exchange, Feed, Kraken,
    Network, SymbolMap, Uri,
};

/// The documentation page about sources must show the real code.
#[test]
fn the_example_in_the_page_is_the_source() {
    assert!(include_str!("../../../docs/sources.md").contains(include_str!("udp.rs")));
}

/// The kinds of subscription that a feed supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    BinanceTicker,
    BinanceBook,
    BinanceTrades,
    BinanceSingles,
    CoinbaseTicker,
    CoinbaseMatches,
    Advanced,
    KrakenTicker,
    KrakenTrades,
}

impl Case {
    const ALL: [Self; 9] = [
        Self::BinanceTicker,
        Self::BinanceBook,
        Self::BinanceTrades,
        Self::BinanceSingles,
        Self::CoinbaseTicker,
        Self::CoinbaseMatches,
        Self::Advanced,
        Self::KrakenTicker,
        Self::KrakenTrades,
    ];

    /// The cases whose ticks have a trade number without gaps.
    const NUMBERED: [Self; 4] = [
        Self::BinanceTrades,
        Self::BinanceSingles,
        Self::CoinbaseMatches,
        Self::KrakenTrades,
    ];

    const fn venue(self) -> Venue {
        match self {
            Self::BinanceTicker
            | Self::BinanceBook
            | Self::BinanceTrades
            | Self::BinanceSingles => Venue::Binance,
            Self::CoinbaseTicker | Self::CoinbaseMatches => Venue::Coinbase,
            Self::Advanced => Venue::Advanced,
            Self::KrakenTicker | Self::KrakenTrades => Venue::Kraken,
        }
    }

    const fn symbols(self) -> [&'static str; 2] {
        match self.venue() {
            Venue::Binance => ["BTCUSDT", "ETHUSDT"],
            Venue::Coinbase | Venue::Advanced => ["BTC-USD", "ETH-USD"],
            Venue::Kraken => ["BTC/USD", "ETH/USD"],
        }
    }

    fn exchange(self, names: SymbolMap) -> Box<dyn Exchange> {
        match self {
            Self::BinanceTicker => Box::new(Binance::new(names, BinanceStream::Ticker)),
            Self::BinanceBook => Box::new(Binance::new(names, BinanceStream::BookTicker)),
            Self::BinanceTrades => Box::new(Binance::new(names, BinanceStream::AggTrade)),
            Self::BinanceSingles => Box::new(Binance::new(names, BinanceStream::Trade)),
            Self::CoinbaseTicker => Box::new(Coinbase::new(names, CoinbaseChannel::Ticker)),
            Self::CoinbaseMatches => Box::new(Coinbase::new(names, CoinbaseChannel::Matches)),
            Self::Advanced => Box::new(Advanced::new(names)),
            Self::KrakenTicker => Box::new(Kraken::ticker(names)),
            Self::KrakenTrades => Box::new(Kraken::trade(names)),
        }
    }
}

/// Connects feeds to a fake through an in-memory stream.
struct Memory(Fake);

impl Dial for Memory {
    fn dial<'a>(&'a self, _: &'a Uri) -> DialFuture<'a> {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let fake = self.0.clone();
        tokio::spawn(async move { fake.serve(theirs).await });
        Box::pin(async { Ok(Box::new(ours) as Box<dyn ByteStream>) })
    }
}

/// A fake, a feed of this fake, and a reader of all ticks.
struct Scene {
    case: Case,
    fake: Fake,
    hub: Hub,
    read: Arc<Mutex<Vec<PublishedTick>>>,
    feeding: AbortOnDropHandle<()>,
    _reading: AbortOnDropHandle<()>,
}

impl Scene {
    /// Creates a fake that trades once per second. The fake's market starts 30 hours ago.
    fn new(case: Case) -> Self {
        Self::with(case, &case.symbols(), |_| {})
    }

    /// Creates a scene whose feed subscribes to these symbols.
    fn with(case: Case, symbols: &[&str], adapt: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new(case.venue(), &case.symbols());
        // So the fake's clock is not ahead of the real clock after a simulated day.
        options.start = now_ms() - 30 * 3_600_000;
        adapt(&mut options);
        let fake = Fake::start(options);
        let hub = Hub::builder().lanes(1).build();
        let mut reader = hub.subscribe(Subscription::default());
        let read = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&read);
        let reading = AbortOnDropHandle::new(tokio::spawn(async move {
            while let Some(update) = reader.next().await {
                all.lock().unwrap().push(update);
            }
        }));
        let feeding = feed(case, symbols, &fake, &hub);
        Self {
            case,
            fake,
            hub,
            read,
            feeding,
            _reading: reading,
        }
    }

    /// Creates a scene and waits until prices have arrived for a while.
    async fn live(case: Case) -> Self {
        let scene = Self::new(case);
        scene
            .until(SOON, |stats| {
                stats.state == SourceState::Live && stats.accepted > 10
            })
            .await;
        scene
    }

    fn stats(&self) -> SourceStats {
        self.hub.sources().into_iter().next().unwrap()
    }

    fn count(&self, count: FeedEventKind) -> u64 {
        self.stats().feed.get(count)
    }

    /// Waits on the simulated clock until `condition` is true, at most `limit`. Returns the waiting
    /// time.
    async fn until(&self, limit: Duration, condition: impl Fn(&SourceStats) -> bool) -> Duration {
        let start = Instant::now();
        while !condition(&self.stats()) {
            let stats = self.stats();
            assert!(
                start.elapsed() <= limit,
                "{:?}: not within {limit:?}: {stats:?}",
                self.case
            );
            sleep(Duration::from_millis(20)).await;
        }
        start.elapsed()
    }

    /// Waits until ticks arrive again.
    async fn until_live(&self, limit: Duration) -> Duration {
        let taken = self.stats().accepted;
        self.until(limit, |stats| {
            stats.state == SourceState::Live && stats.accepted >= taken + 4
        })
        .await
    }

    /// Returns all ticks so far, by symbol.
    fn read(&self) -> HashMap<String, Vec<PublishedTick>> {
        let mut by_symbol: HashMap<_, Vec<_>> = HashMap::new();
        for update in self.read.lock().unwrap().iter() {
            by_symbol
                .entry(update.symbol.to_string())
                .or_default()
                .push(update.clone());
        }
        by_symbol
    }

    /// Checks the conditions that every feed must always fulfil. The ticks that readers received
    /// have no gap and go forward in time. The exchange sent every price. Every trade occurs once.
    /// The fake recorded no violation.
    fn check(&self) {
        let record = self.fake.record();
        assert_eq!(record.violations, Vec::<String>::new(), "{:?}", self.case);
        for (symbol, ticks) in self.read() {
            assert!(
                ticks.windows(2).all(|pair| pair[1].n == pair[0].n + 1),
                "{symbol}: a hole in n"
            );
            assert!(
                ticks.windows(2).all(|pair| pair[1].time >= pair[0].time),
                "{symbol}: back in time"
            );
            let prices: std::collections::HashSet<String> = record
                .sent
                .iter()
                .chain(&record.withheld)
                .filter(|trade| trade.symbol == symbol)
                .map(|trade| {
                    if self.case == Case::BinanceBook {
                        middle(&trade.bid, &trade.ask)
                    } else {
                        trade.price.clone()
                    }
                })
                .collect();
            // A snapshot may contain the trade before the first recorded trade.
            let strange = ticks
                .iter()
                .skip(1)
                .find(|tick| !prices.contains(&tick.price.to_string()));
            assert!(
                strange.is_none(),
                "{:?}: {symbol} was never at {strange:?}",
                self.case
            );
            let ids: Vec<u64> = ticks.iter().filter_map(trade_id).collect();
            assert!(
                ids.windows(2).all(|pair| pair[0] < pair[1]),
                "{symbol}: a trade twice, or late"
            );
        }
        let stats = self.stats();
        assert_eq!(
            (stats.late, stats.rejected),
            (0, 0),
            "{:?}: what a feed gives is in order",
            self.case
        );
    }

    /// Returns the numbers of a symbol's trades that were not read, between the first and the last
    /// trade that was read.
    fn missing(&self, symbol: &str) -> Vec<u64> {
        let ids: Vec<u64> = self.read()[symbol].iter().filter_map(trade_id).collect();
        let (first, last) = (ids[0], ids[ids.len() - 1]);
        let had: std::collections::HashSet<_> = ids.into_iter().collect();
        (first..=last).filter(|id| !had.contains(id)).collect()
    }

    /// Returns how many trades of all symbols were not read.
    fn missing_of_all(&self) -> usize {
        let symbols = self.case.symbols();
        symbols
            .iter()
            .map(|symbol| self.missing(symbol).len())
            .sum()
    }
}

/// Runs a feed of a fake.
fn feed(case: Case, symbols: &[&str], fake: &Fake, hub: &Hub) -> AbortOnDropHandle<()> {
    let names = SymbolMap::new(symbols.iter().map(|name| ((*name).to_owned(), None))).unwrap();
    let publisher = hub.source("feed", SourceOptions::default());
    let feed = Feed::new(
        case.exchange(names.clone()),
        "ws://fake".parse().unwrap(),
        names,
        publisher,
    );
    let network = Network::by(Memory(fake.clone()));
    AbortOnDropHandle::new(tokio::spawn(async move {
        feed.run(&network).await;
    }))
}

/// A short time on the simulated clock.
const SOON: Duration = Duration::from_secs(30);

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

fn middle(bid: &str, ask: &str) -> String {
    let [bid, ask]: [tickcast::Price; 2] = [bid, ask].map(|text| text.parse().unwrap());
    bid.middle(ask).unwrap().to_string()
}

fn trade_id(update: &PublishedTick) -> Option<u64> {
    serde_json::from_slice::<serde_json::Value>(&update.json).unwrap()["trade_id"].as_u64()
}

#[tokio::test(start_paused = true)]
async fn every_trade_becomes_a_tick() {
    for case in Case::ALL {
        let scene = Scene::live(case).await;
        sleep(Duration::from_secs(60)).await;
        scene.check();
        let last = scene
            .fake
            .record()
            .sent
            .into_iter()
            .rfind(|trade| trade.symbol == case.symbols()[0])
            .unwrap();
        let ticks = &scene.read()[case.symbols()[0]];
        assert_eq!(
            ticks.last().unwrap().time.as_millis() / 2000,
            if case == Case::BinanceBook {
                now_ms() / 2000
            } else {
                last.time / 2000
            },
            "{case:?}"
        );
        assert!(
            (60..=90).contains(&ticks.len()),
            "{case:?}: {}",
            ticks.len()
        );
        assert_eq!(scene.count(FeedEventKind::Connects), 1);
    }
}
