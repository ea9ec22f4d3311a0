//! Invalid frames.

use super::*;

#[tokio::test(start_paused = true)]
async fn invalid_frames_are_counted_and_prices_continue() {
    let nested = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep = format!(
        "{{\"type\":\"ticker\",\"channel\":\"ticker\",\"data\":{nested},\"events\":{nested}}}"
    );
    for case in Case::ALL {
        let scene = Scene::live(case).await;
        for (said, garbage) in (1..).zip([
            "{",
            "",
            "null",
            "[]",
            "{\"type\":\"ticker\"",
            &nested,
            &deep,
        ]) {
            scene.fake.misbehave(Fault::Raw(garbage.to_owned()));
            scene
                .until(SOON, |stats| {
                    stats.feed.get(FeedEventKind::Errors) + stats.feed.get(FeedEventKind::Unknown)
                        == said
                })
                .await;
        }
        let unknown = scene.count(FeedEventKind::Unknown);
        scene.fake.misbehave(Fault::Raw(
            r#"{"e":"news","type":"news","channel":"news"}"#.to_owned(),
        ));
        scene.fake.misbehave(Fault::Big(1 << 20));
        scene.fake.misbehave(Fault::Binary);
        scene
            .until(SOON, |stats| {
                stats.feed.get(FeedEventKind::Unknown) == unknown + 3
            })
            .await;
        scene.until_live(SOON).await;
        assert_eq!(
            scene.count(FeedEventKind::Connects),
            1,
            "{case:?}: it is no reason to hang up"
        );
        scene.check();
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_frame_closes_the_connection() {
    for case in Case::ALL {
        for (fault, says) in [
            (Fault::NotUtf8, "a frame is not UTF-8"),
            (Fault::Big(10 << 20), "a frame is larger than 4194304 bytes"),
        ] {
            let scene = Scene::live(case).await;
            scene.fake.misbehave(fault);
            scene
                .until(SOON, |stats| stats.state.reason() == Some(says))
                .await;
            scene.until_live(SOON).await;
            assert_eq!(scene.count(FeedEventKind::Errors), 1, "{case:?}");
            scene.check();
        }
    }
}
