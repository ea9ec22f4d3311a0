//! Gaps, duplicates, wrong order and invalid times.

use fakes::BadTime;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_gap_is_counted() {
    for case in Case::ALL {
        let scene = Scene::live(case).await;
        scene.fake.misbehave(Fault::Gap(3));
        scene.until_live(SOON).await;
        scene.check();
        let withheld = scene.fake.record().withheld;
        assert_eq!(withheld.len(), 3, "{case:?}");
        // Tickers have no sequence number without gaps, and the next ticker has all current values.
        let seen = Case::NUMBERED.contains(&case) || case == Case::Advanced;
        assert_eq!(
            scene.count(FeedEventKind::Missing),
            if seen { 3 } else { 0 },
            "{case:?}"
        );
        if Case::NUMBERED.contains(&case) {
            let missing = case.symbols().map(|symbol| scene.missing(symbol)).concat();
            let mut withheld: Vec<_> = withheld.into_iter().map(|trade| trade.id).collect();
            withheld.sort_unstable();
            let mut missing = missing;
            missing.sort_unstable();
            assert_eq!(missing, withheld, "{case:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_message_is_published_once() {
    for case in Case::ALL {
        let scene = Scene::live(case).await;
        scene.fake.misbehave(Fault::Duplicate);
        scene
            .until(SOON, |stats| stats.feed.get(FeedEventKind::Duplicates) >= 1)
            .await;
        scene.until_live(SOON).await;
        scene.check();
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_message_does_not_overwrite_a_newer_price() {
    for case in Case::ALL {
        let scene = Scene::live(case).await;
        scene.fake.misbehave(Fault::Swap);
        scene
            .until(SOON, |stats| stats.feed.get(FeedEventKind::Stragglers) == 1)
            .await;
        scene.until_live(SOON).await;
        scene.check();
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalid_time_does_not_discard_the_price() {
    for case in Case::ALL {
        for time in [
            BadTime::YearOne,
            BadTime::Epoch,
            BadTime::Future,
            BadTime::Missing,
        ] {
            let scene = Scene::live(case).await;
            scene.fake.misbehave(Fault::Time(time));
            sleep(Duration::from_secs(10)).await;
            scene.check();
            // A bookTicker has no time.
            let counted = case != Case::BinanceBook && time != BadTime::Missing;
            let bad = scene.count(FeedEventKind::BadTimes);
            assert!(
                if counted { bad >= 1 } else { bad == 0 },
                "{case:?} {time:?}: {bad}"
            );
            for (symbol, ticks) in scene.read() {
                let ahead = ticks
                    .iter()
                    .find(|tick| tick.time.as_millis() > now_ms() + 1000);
                assert!(ahead.is_none(), "{case:?} {time:?} {symbol}: {ahead:?}");
                assert!(
                    ticks
                        .iter()
                        .all(|tick| tick.time.as_millis() > now_ms() - 40 * 3_600_000)
                );
            }
            if Case::NUMBERED.contains(&case) {
                let missing = case.symbols().map(|symbol| scene.missing(symbol)).concat();
                assert!(missing.is_empty(), "{case:?} {time:?}: {missing:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_quote_of_zero_is_not_published_as_a_price() {
    for case in [
        Case::BinanceTicker,
        Case::BinanceBook,
        Case::CoinbaseTicker,
        Case::Advanced,
        Case::KrakenTicker,
    ] {
        let scene = Scene::live(case).await;
        scene.fake.misbehave(Fault::ZeroQuote);
        scene
            .until(SOON, |stats| stats.feed.get(FeedEventKind::Unquoted) == 1)
            .await;
        scene.until_live(SOON).await;
        scene.check();
        let zero = scene
            .read
            .lock()
            .unwrap()
            .iter()
            .find(|tick| tick.price.to_f64() == 0.0)
            .cloned();
        assert!(zero.is_none(), "{case:?}: {zero:?}");
    }
}
