//! Connections that end.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_cut_is_detected_at_once_and_the_feed_reconnects() {
    for case in Case::ALL {
        for fault in [Fault::Abrupt, Fault::Close(1001, "going away".to_owned())] {
            let scene = Scene::live(case).await;
            scene.fake.misbehave(fault);
            let down = scene
                .until(SOON, |stats| matches!(stats.state, SourceState::Down(_)))
                .await;
            assert!(down <= Duration::from_millis(100), "{case:?}: {down:?}");
            let back = scene.until_live(SOON).await;
            assert!(back <= Duration::from_secs(12), "{case:?}: {back:?}");
            scene.check();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_trades_missed_in_a_cut_are_counted() {
    for case in Case::NUMBERED {
        let scene = Scene::live(case).await;
        for _ in 0..10 {
            scene.fake.misbehave(Fault::Abrupt);
            sleep(Duration::from_secs(45)).await;
        }
        scene.check();
        let missing = scene.missing_of_all();
        assert_eq!(
            scene.count(FeedEventKind::Missing),
            missing as u64,
            "{case:?}"
        );
        assert_eq!(scene.count(FeedEventKind::Connects), 11);
    }
}

#[tokio::test(start_paused = true)]
async fn a_restarted_feed_continues_after_its_last_trade() {
    for case in Case::NUMBERED {
        let mut scene = Scene::live(case).await;
        for _ in 0..5 {
            scene.feeding.abort();
            sleep(Duration::from_secs(20)).await;
            scene.feeding = feed(case, &case.symbols(), &scene.fake, &scene.hub);
            scene.until_live(SOON).await;
        }
        scene.check();
        let missing = scene.missing_of_all();
        assert_eq!(
            scene.count(FeedEventKind::Missing),
            missing as u64,
            "{case:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_announced_cut_loses_no_trades() {
    let scene = Scene::live(Case::BinanceTrades).await;
    for connects in 2..6 {
        scene.fake.misbehave(Fault::Shutdown);
        scene
            .until(SOON, |stats| {
                stats.feed.get(FeedEventKind::Connects) == connects
            })
            .await;
        sleep(Duration::from_secs(40)).await;
        assert_eq!(scene.stats().state, SourceState::Live);
    }
    scene.check();
    assert_eq!(scene.count(FeedEventKind::Missing), 0);
    assert!(scene.missing("BTCUSDT").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_has_time_to_subscribe_before_it_takes_over() {
    let names: Vec<String> = (0..450).map(|n| format!("S{n:03}USDT")).collect();
    let symbols: Vec<&str> = names.iter().map(String::as_str).collect();
    let scene = Scene::with(Case::BinanceTrades, &symbols, |options| {
        options.symbols.clone_from(&names);
        options.interval = Duration::from_millis(200);
    });
    sleep(Duration::from_secs(10)).await;
    scene.fake.misbehave(Fault::Shutdown);
    sleep(Duration::from_secs(20)).await;
    scene.check();
    assert_eq!(
        (
            scene.count(FeedEventKind::Connects),
            scene.count(FeedEventKind::Missing)
        ),
        (2, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn an_open_connection_without_prices_does_not_reset_the_backoff() {
    for case in Case::ALL {
        let scene = Scene::live(case).await;
        let before = scene.fake.record().connects.len();
        scene.fake.misbehave(Fault::Flap(30));
        scene.fake.misbehave(Fault::Abrupt);
        scene
            .until(Duration::from_secs(3600), |stats| {
                matches!(stats.state, SourceState::Down(_))
            })
            .await;
        scene.until_live(Duration::from_secs(3600)).await;
        let connects: Vec<_> = scene.fake.record().connects[before..]
            .iter()
            .map(|connect| connect.at)
            .collect();
        let spread = *connects.last().unwrap() - connects[0];
        assert!(
            connects.len() == 31 && spread > Duration::from_secs(300),
            "{case:?}: {connects:?}"
        );
        scene.check();
    }
}
