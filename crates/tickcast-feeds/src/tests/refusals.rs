//! Exchanges that refuse connections or symbols.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_feed_waits_as_long_as_a_too_many_requests_response_asks() {
    for case in Case::ALL {
        let scene = Scene::live(case).await;
        scene.fake.misbehave(Fault::Refuse {
            times: 3,
            status: 429,
            retry_after: Some(200),
        });
        scene.fake.misbehave(Fault::Abrupt);
        scene
            .until(SOON, |stats| {
                stats
                    .state
                    .reason()
                    .is_some_and(|why| why == "the exchange answers 429 Too Many Requests")
            })
            .await;
        let back = scene.until_live(Duration::from_secs(900)).await;
        assert!(back > Duration::from_secs(580), "{case:?}: {back:?}");
        scene.check();
    }
}

#[tokio::test(start_paused = true)]
async fn a_feed_waits_a_minute_if_the_response_names_no_delay() {
    for fault in [
        Fault::Refuse {
            times: 1,
            status: 418,
            retry_after: None,
        },
        Fault::Close(1008, "Too many requests".to_owned()),
    ] {
        let scene = Scene::live(Case::BinanceTicker).await;
        let closes = matches!(fault, Fault::Close(..));
        scene.fake.misbehave(fault);
        if !closes {
            scene.fake.misbehave(Fault::Abrupt);
        }
        scene
            .until(SOON, |stats| matches!(stats.state, SourceState::Down(_)))
            .await;
        let back = scene.until_live(Duration::from_secs(200)).await;
        assert!(back > Duration::from_secs(59), "{back:?}");
        scene.check();
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_symbol_does_not_affect_the_others() {
    for (case, unknown, says) in [
        (
            Case::BinanceTicker,
            "FOOUSDT",
            "no price received within 60s after the subscription; the symbol may be quiet or not listed",
        ),
        (
            Case::CoinbaseTicker,
            "FOO-BAR",
            "the exchange refuses: FOO-BAR is not a valid product",
        ),
        (
            Case::CoinbaseMatches,
            "FOO-BAR",
            "the exchange refuses: FOO-BAR is not a valid product",
        ),
        (
            Case::Advanced,
            "FOO-BAR",
            "the exchange does not list the symbol among the subscriptions",
        ),
        (
            Case::Advanced,
            "FOO-USDC",
            "the exchange does not list the symbol among the subscriptions",
        ),
        (
            Case::KrakenTicker,
            "XBT/USD",
            "the exchange refuses: Currency pair not supported XBT/USD",
        ),
        (
            Case::KrakenTrades,
            "XBT/USD",
            "the exchange refuses: Currency pair not supported XBT/USD",
        ),
    ] {
        let [first, second] = case.symbols();
        let scene = Scene::with(case, &[first, unknown, second], |_| {});
        scene
            .until(Duration::from_secs(65), |stats| stats.symbols.len() == 1)
            .await;
        scene.until_live(SOON).await;
        let stats = scene.stats();
        assert_eq!(stats.symbols[0].symbol.as_str(), unknown);
        assert!(
            stats.symbols[0].state.reason().unwrap().starts_with(says),
            "{:?}",
            stats.symbols
        );
        assert_eq!(scene.read().len(), 2, "{case:?}");
        assert_eq!(scene.count(FeedEventKind::Connects), 1, "{case:?}");
        scene.check();
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_symbol_is_found_over_short_connections_too() {
    let scene = Scene::with(Case::BinanceTicker, &["BTCUSDT", "FOOUSDT"], |options| {
        options.life = Duration::from_secs(10);
    });
    let took = scene
        .until(Duration::from_secs(600), |stats| stats.symbols.len() == 1)
        .await;
    assert!(
        took >= Duration::from_secs(60) && scene.count(FeedEventKind::Connects) > 5,
        "{took:?}"
    );
    assert_eq!(scene.stats().symbols[0].symbol.as_str(), "FOOUSDT");
}

#[tokio::test(start_paused = true)]
async fn one_product_of_the_exchange_can_be_two_symbols() {
    let scene = Scene::with(Case::Advanced, &["BTC-USD", "BTC-USDC", "ETH-USDC"], |_| {});
    scene.until_live(SOON).await;
    sleep(Duration::from_secs(70)).await;
    let prices = |symbol: &str| -> Vec<_> {
        scene.read()[symbol]
            .iter()
            .map(|tick| tick.price.to_string())
            .collect()
    };
    assert_eq!(prices("BTC-USD"), prices("BTC-USDC"));
    assert!(prices("ETH-USDC").len() > 60);
    assert!(
        scene.stats().symbols.is_empty(),
        "none is in trouble: {:?}",
        scene.stats()
    );
    assert_eq!(scene.fake.record().violations, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_because_of_the_country_names_another_host() {
    for (case, says) in [
        (
            Case::BinanceTicker,
            Some("url=wss://data-stream.binance.vision"),
        ),
        (Case::KrakenTicker, None),
    ] {
        let scene = Scene::live(case).await;
        scene.fake.misbehave(Fault::Refuse {
            times: 1,
            status: 451,
            retry_after: None,
        });
        scene.fake.misbehave(Fault::Abrupt);
        scene
            .until(SOON, |stats| {
                let why = stats.state.reason().unwrap_or_default();
                why.starts_with("the exchange answers 451 Unavailable For Legal Reasons")
                    && why.contains("url=") == says.is_some()
                    && why.ends_with(says.unwrap_or("Reasons"))
            })
            .await;
        scene.until_live(SOON).await;
    }
}

#[tokio::test(start_paused = true)]
async fn prices_before_the_acknowledgement_are_published() {
    for case in Case::ALL {
        let scene = Scene::new(case);
        scene.fake.misbehave(Fault::LateAck(true));
        scene.until_live(SOON).await;
        sleep(Duration::from_secs(20)).await;
        assert_eq!(scene.read().len(), 2, "{case:?}");
        scene.check();
    }
}

/// A network on which no host answers.
struct Nowhere;

impl Dial for Nowhere {
    fn dial<'a>(&'a self, _: &'a Uri) -> DialFuture<'a> {
        Box::pin(async {
            Err(crate::DialError::Io(
                std::io::ErrorKind::ConnectionRefused.into(),
            ))
        })
    }
}

/// A network that panics on every dial.
struct Broken;

impl Dial for Broken {
    fn dial<'a>(&'a self, _: &'a Uri) -> DialFuture<'a> {
        Box::pin(async { panic!("falls over, as the test has it") })
    }
}

/// Returns the status of a feed after one hour of attempts.
async fn after_an_hour(dial: impl Dial) -> SourceStats {
    let hub = Hub::builder().lanes(1).build();
    let names = SymbolMap::new([("BTCUSDT".to_owned(), None)]).unwrap();
    let exchange = Binance::new(names.clone(), BinanceStream::Ticker);
    let feed = Feed::new(
        exchange,
        "ws://nowhere".parse().unwrap(),
        names,
        hub.source("feed", SourceOptions::default()),
    );
    let network = Network::by(dial);
    let _feeding = AbortOnDropHandle::new(tokio::spawn(async move {
        feed.run(&network).await;
    }));
    sleep(Duration::from_secs(3600)).await;
    hub.sources().remove(0)
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_exchange_is_retried_with_a_delay() {
    let stats = after_an_hour(Nowhere).await;
    assert_eq!(
        stats.state,
        SourceState::Down("connection refused".to_owned())
    );
    assert_eq!(stats.feed.get(FeedEventKind::Connects), 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_connection_task_is_detected() {
    assert_eq!(
        after_an_hour(Broken).await.state,
        SourceState::Down("the connection task failed without a result".to_owned())
    );
}
