//! Connected, and no prices.

use super::*;
use crate::SILENCE;

#[tokio::test(start_paused = true)]
async fn no_prices_though_pings_and_heartbeats_go_on() {
    for case in Case::ALL {
        let scene = Scene::live(case).await;
        scene.fake.misbehave(Fault::Silence);
        // The hub says so first, the feed then tries another connection.
        let stale = scene.until(SOON, |stats| stats.state == SourceState::Stale).await;
        let back = scene.until(SILENCE + SOON, |stats| stats.state == SourceState::Live).await;
        assert!(
            stale <= Duration::from_secs(17) && stale + back <= SILENCE + Duration::from_secs(8),
            "{case:?}: {stale:?} {back:?}"
        );
        assert_eq!(scene.count(FeedCount::Connects), 2, "{case:?}");
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
        let connects = scene.count(FeedCount::Connects);
        assert!((5..=40).contains(&connects), "{case:?}: {connects}");
        scene.fake.misbehave(Fault::Halt(false));
        // A connection is there for when it opens.
        scene.until_live(Duration::from_secs(5)).await;
        let unseen = scene.count(FeedCount::Missing);
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
        .until(SILENCE + SOON, |stats| {
            let again = stats.feed.get(FeedCount::Connects) == 2;
            assert!(again || stats.state.reason() == Some("it says: maintenance"), "{stats:?}");
            again
        })
        .await;
    scene.fake.misbehave(Fault::Halt(false));
    scene.until_live(Duration::from_secs(5)).await;
    scene.check();
}
