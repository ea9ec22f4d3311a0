//! Open connections without prices.

use super::*;
use crate::DEFAULT_PRICE_TIMEOUT;

#[tokio::test(start_paused = true)]
async fn a_feed_reconnects_if_only_pings_and_heartbeats_arrive() {
    for case in Case::ALL {
        let scene = Scene::live(case).await;
        scene.fake.misbehave(Fault::Silence);
        // First the hub marks the source as stale. Then the feed tries another connection.
        let stale = scene
            .until(SOON, |stats| stats.state == SourceState::Stale)
            .await;
        let back = scene
            .until(DEFAULT_PRICE_TIMEOUT + SOON, |stats| {
                stats.state == SourceState::Live
            })
            .await;
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
async fn a_connection_without_any_message_is_closed() {
    for case in Case::ALL {
        let scene = Scene::live(case).await;
        scene.fake.misbehave(Fault::Dead);
        let pulse = Duration::from_secs(if case.venue() == Venue::Binance {
            60
        } else {
            10
        });
        let down = scene
            .until(pulse + SOON, |stats| {
                matches!(stats.state, SourceState::Down(_))
            })
            .await;
        assert!(
            down <= pulse + Duration::from_millis(1200),
            "{case:?}: {down:?}"
        );
        let reason = scene.stats().state.reason().unwrap().to_owned();
        assert_eq!(reason, format!("no message received for {pulse:?}"));
        scene.until_live(SOON).await;
        scene.check();
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_market_is_retried_less_and_less_often() {
    for case in Case::ALL {
        let scene = Scene::live(case).await;
        scene.fake.misbehave(Fault::Halt(true));
        scene
            .until(SOON, |stats| stats.state == SourceState::Stale)
            .await;
        for _ in 0..6 * 360 {
            sleep(Duration::from_secs(10)).await;
            assert_eq!(
                scene.stats().state,
                SourceState::Stale,
                "{case:?}: a snapshot is no news"
            );
        }
        let connects = scene.count(FeedEventKind::Connects);
        assert!((5..=40).contains(&connects), "{case:?}: {connects}");
        scene.fake.misbehave(Fault::Halt(false));
        // A connection is open when the market opens.
        scene.until_live(Duration::from_secs(5)).await;
        let unseen = scene.count(FeedEventKind::Missing);
        assert_eq!(unseen, 0, "{case:?}");
        sleep(SOON).await;
        scene.check();
    }
}

#[tokio::test(start_paused = true)]
async fn an_exchange_that_reports_to_be_closed_is_down_with_its_reason() {
    let scene = Scene::live(Case::KrakenTrades).await;
    let status = r#"{"channel":"status","type":"update","data":[{"system":"maintenance"}]}"#;
    scene.fake.misbehave(Fault::Halt(true));
    sleep(Duration::from_secs(5)).await;
    scene.fake.misbehave(Fault::Raw(status.to_owned()));
    scene
        .until(SOON, |stats| {
            stats.state.reason() == Some("the exchange reports: maintenance")
        })
        .await;
    // The state changes when another connection reports the current status.
    scene
        .until(DEFAULT_PRICE_TIMEOUT + SOON, |stats| {
            let again = stats.feed.get(FeedEventKind::Connects) == 2;
            assert!(
                again || stats.state.reason() == Some("the exchange reports: maintenance"),
                "{stats:?}"
            );
            again
        })
        .await;
    scene.fake.misbehave(Fault::Halt(false));
    scene.until_live(Duration::from_secs(5)).await;
    scene.check();
}

#[tokio::test(start_paused = true)]
async fn a_price_in_the_same_batch_as_a_closing_status_does_not_open_the_market() {
    let scene = Scene::live(Case::KrakenTrades).await;
    let trade = |id: u32| {
        format!(
            r#"{{"channel":"trade","type":"update","data":[{{"symbol":"BTC/USD","price":1.5,"qty":1,"trade_id":{id}}}]}}"#
        )
    };
    scene.fake.misbehave(Fault::Halt(true));
    // Both frames are available at once, so the feed handles them in one batch.
    scene.fake.misbehave(Fault::Raw(trade(4_000_000_000)));
    scene
        .fake
        .misbehave(Fault::System("maintenance".to_owned()));
    scene
        .until(SOON, |stats| {
            stats.state.reason() == Some("the exchange reports: maintenance")
        })
        .await;
    let start = Instant::now();
    while start.elapsed() < DEFAULT_PRICE_TIMEOUT - Duration::from_secs(5) {
        sleep(Duration::from_millis(100)).await;
        assert_eq!(
            scene.stats().state.reason(),
            Some("the exchange reports: maintenance")
        );
    }
    scene.fake.misbehave(Fault::Raw(trade(4_000_000_001)));
    scene
        .until(SOON, |stats| stats.state == SourceState::Live)
        .await;
    assert_eq!(
        scene.read()["BTC/USD"].last().unwrap().price.to_string(),
        "1.5"
    );
}

#[tokio::test(start_paused = true)]
async fn a_status_without_matching_is_the_reason_for_missing_trades() {
    for system in ["cancel_only", "post_only", "maintenance"] {
        let why = format!("the exchange reports: {system}");
        let scene = Scene::live(Case::KrakenTrades).await;
        scene.fake.misbehave(Fault::Halt(true));
        scene.fake.misbehave(Fault::System(system.to_owned()));
        scene
            .until(SOON, |stats| stats.state.reason() == Some(&why))
            .await;
        // Another connection receives the same status, and the last trade again. Neither is new.
        scene.fake.misbehave(Fault::Abrupt);
        scene
            .until(SOON, |stats| stats.state.reason() != Some(&why))
            .await;
        scene
            .until(SOON, |stats| stats.state.reason() == Some(&why))
            .await;
        for _ in 0..300 {
            sleep(Duration::from_secs(1)).await;
            assert_eq!(scene.stats().state.reason(), Some(&*why));
        }
        scene.fake.misbehave(Fault::System("online".to_owned()));
        scene
            .until(SOON, |stats| {
                stats.state.reason() == Some("connected, no price yet")
            })
            .await;
        scene.fake.misbehave(Fault::Halt(false));
        scene.until_live(Duration::from_secs(5)).await;
        scene.check();
    }
    let scene = Scene::live(Case::KrakenTicker).await;
    scene.fake.misbehave(Fault::System("post_only".to_owned()));
    scene.until_live(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn a_connected_feed_without_prices_reports_connected() {
    let case = Case::BinanceTrades;
    let scene = Scene::with(case, &case.symbols(), |options| {
        options.interval = Duration::from_secs(50);
    });
    scene
        .until(SOON, |stats| stats.feed.get(FeedEventKind::Connects) == 1)
        .await;
    assert_eq!(
        scene.stats().state.reason(),
        Some("connected, no price yet")
    );
    scene
        .until(Duration::from_secs(51), |stats| {
            stats.state == SourceState::Live
        })
        .await;
    scene.fake.misbehave(Fault::Abrupt);
    scene
        .until(SOON, |stats| stats.feed.get(FeedEventKind::Connects) == 2)
        .await;
    assert_eq!(
        scene.stats().state.reason(),
        Some("connected, no price yet")
    );
}
