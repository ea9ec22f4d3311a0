//! Connected, and no prices.

use super::*;
use crate::DEFAULT_PRICE_TIMEOUT;

#[tokio::test(start_paused = true)]
async fn no_prices_though_pings_and_heartbeats_go_on() {
    for case in Case::ALL {
        let scene = Scene::live(case).await;
        scene.fake.misbehave(Fault::Silence);
        // The hub says so first, the feed then tries another connection.
        let stale = scene.until(SOON, |stats| stats.state == SourceState::Stale).await;
        let back = scene.until(DEFAULT_PRICE_TIMEOUT + SOON, |stats| stats.state == SourceState::Live).await;
        assert!(
            stale <= Duration::from_secs(17)
                && stale + back <= DEFAULT_PRICE_TIMEOUT + Duration::from_secs(8),
            "{case:?}: {stale:?} {back:?}"
        );
        assert_eq!(scene.count(FeedEventKind::Connects), 2, "{case:?}");
        scene.check();
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_at_all_and_no_end() {
    for case in Case::ALL {
        let scene = Scene::live(case).await;
        scene.fake.misbehave(Fault::Dead);
        let pulse = Duration::from_secs(if case.venue() == Venue::Binance { 60 } else { 10 });
        let down = scene.until(pulse + SOON, |stats| matches!(stats.state, SourceState::Down(_))).await;
        assert!(down <= pulse + Duration::from_millis(1200), "{case:?}: {down:?}");
        let reason = scene.stats().state.reason().unwrap().to_owned();
        assert_eq!(reason, format!("nothing at all was heard for {pulse:?}"));
        scene.until_live(SOON).await;
        scene.check();
    }
}

#[tokio::test(start_paused = true)]
async fn a_market_that_is_closed_is_asked_ever_less_often() {
    for case in Case::ALL {
        let scene = Scene::live(case).await;
        scene.fake.misbehave(Fault::Halt(true));
        scene.until(SOON, |stats| stats.state == SourceState::Stale).await;
        for _ in 0..6 * 360 {
            sleep(Duration::from_secs(10)).await;
            assert_eq!(scene.stats().state, SourceState::Stale, "{case:?}: a snapshot is no news");
        }
        let connects = scene.count(FeedEventKind::Connects);
        assert!((5..=40).contains(&connects), "{case:?}: {connects}");
        scene.fake.misbehave(Fault::Halt(false));
        // A connection is there for when it opens.
        scene.until_live(Duration::from_secs(5)).await;
        let unseen = scene.count(FeedEventKind::Missing);
        assert_eq!(unseen, 0, "{case:?}");
        sleep(SOON).await;
        scene.check();
    }
}

#[tokio::test(start_paused = true)]
async fn who_says_that_it_is_closed_is_not_merely_silent() {
    let scene = Scene::live(Case::KrakenTrades).await;
    let status = r#"{"channel":"status","type":"update","data":[{"system":"maintenance"}]}"#;
    scene.fake.misbehave(Fault::Halt(true));
    sleep(Duration::from_secs(5)).await;
    scene.fake.misbehave(Fault::Raw(status.to_owned()));
    scene.until(SOON, |stats| stats.state.reason() == Some("it says: maintenance")).await;
    // Until another connection says how things stand.
    scene
        .until(DEFAULT_PRICE_TIMEOUT + SOON, |stats| {
            let again = stats.feed.get(FeedEventKind::Connects) == 2;
            assert!(again || stats.state.reason() == Some("it says: maintenance"), "{stats:?}");
            again
        })
        .await;
    scene.fake.misbehave(Fault::Halt(false));
    scene.until_live(Duration::from_secs(5)).await;
    scene.check();
}

#[tokio::test(start_paused = true)]
async fn a_price_that_comes_with_the_news_that_it_closes_does_not_open_it() {
    let scene = Scene::live(Case::KrakenTrades).await;
    let trade = |id: u32| {
        format!(
            r#"{{"channel":"trade","type":"update","data":[{{"symbol":"BTC/USD","price":1.5,"qty":1,"trade_id":{id}}}]}}"#
        )
    };
    scene.fake.misbehave(Fault::Halt(true));
    // Both are there at once, so that they are heard together.
    scene.fake.misbehave(Fault::Raw(trade(4_000_000_000)));
    scene.fake.misbehave(Fault::System("maintenance".to_owned()));
    scene.until(SOON, |stats| stats.state.reason() == Some("it says: maintenance")).await;
    let start = Instant::now();
    while start.elapsed() < DEFAULT_PRICE_TIMEOUT - Duration::from_secs(5) {
        sleep(Duration::from_millis(100)).await;
        assert_eq!(scene.stats().state.reason(), Some("it says: maintenance"));
    }
    scene.fake.misbehave(Fault::Raw(trade(4_000_000_001)));
    scene.until(SOON, |stats| stats.state == SourceState::Live).await;
    assert_eq!(scene.read()["BTC/USD"].last().unwrap().price.to_string(), "1.5");
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_matched_that_is_why_no_trades_come() {
    for system in ["cancel_only", "post_only", "maintenance"] {
        let why = format!("it says: {system}");
        let scene = Scene::live(Case::KrakenTrades).await;
        scene.fake.misbehave(Fault::Halt(true));
        scene.fake.misbehave(Fault::System(system.to_owned()));
        scene.until(SOON, |stats| stats.state.reason() == Some(&why)).await;
        // Another connection is told the same, and the last trade once more: that is no news.
        scene.fake.misbehave(Fault::Abrupt);
        scene.until(SOON, |stats| stats.state.reason() != Some(&why)).await;
        scene.until(SOON, |stats| stats.state.reason() == Some(&why)).await;
        for _ in 0..300 {
            sleep(Duration::from_secs(1)).await;
            assert_eq!(scene.stats().state.reason(), Some(&*why));
        }
        scene.fake.misbehave(Fault::System("online".to_owned()));
        scene.until(SOON, |stats| stats.state.reason() == Some("connected, no price yet")).await;
        scene.fake.misbehave(Fault::Halt(false));
        scene.until_live(Duration::from_secs(5)).await;
        scene.check();
    }
    let scene = Scene::live(Case::KrakenTicker).await;
    scene.fake.misbehave(Fault::System("post_only".to_owned()));
    scene.until_live(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn connected_is_not_connecting() {
    let case = Case::BinanceTrades;
    let scene = Scene::with(case, &case.symbols(), |options| options.interval = Duration::from_secs(50));
    scene.until(SOON, |stats| stats.feed.get(FeedEventKind::Connects) == 1).await;
    assert_eq!(scene.stats().state.reason(), Some("connected, no price yet"));
    scene.until(Duration::from_secs(51), |stats| stats.state == SourceState::Live).await;
    scene.fake.misbehave(Fault::Abrupt);
    scene.until(SOON, |stats| stats.feed.get(FeedEventKind::Connects) == 2).await;
    assert_eq!(scene.stats().state.reason(), Some("connected, no price yet"));
}
