//! Long runs, of a day and more, with cuts of every kind.

use super::*;

/// Long enough for Binance's maximum connection age to pass twice.
const LONG: Duration = Duration::from_secs(49 * 3600);

fn slowly(options: &mut Options) {
    options.interval = Duration::from_secs(3);
    options.start = now_ms() - 60 * 3_600_000;
}

#[tokio::test(start_paused = true)]
async fn planned_cuts_lose_no_trades() {
    let scene = Scene::with(Case::BinanceTrades, &Case::BinanceTrades.symbols(), slowly);
    sleep(LONG).await;
    scene.check();
    let record = scene.fake.record();
    let cut = record
        .connects
        .iter()
        .filter_map(|connect| connect.ended.as_deref())
        .find(|why| why.starts_with("cut"));
    assert_eq!(cut, None, "it was always we who left");
    assert!(
        (3..=4).contains(&record.connects.len()),
        "{:?}",
        record.connects.len()
    );
    assert_eq!(scene.count(FeedEventKind::Missing), 0);
    let offered = record.sent.len() as u64 - before_the_first(&scene, &record);
    assert_eq!(scene.stats().accepted, offered, "one tick a trade");
}

/// Returns the number of trades before the first trade that the feed received.
fn before_the_first(scene: &Scene, record: &fakes::Record) -> u64 {
    let first: HashMap<_, _> = scene
        .read()
        .into_iter()
        .map(|(symbol, ticks)| (symbol, trade_id(&ticks[0]).unwrap()))
        .collect();
    record
        .sent
        .iter()
        .filter(|trade| trade.id < first[&trade.symbol])
        .count() as u64
}

#[tokio::test(start_paused = true)]
async fn every_trade_lost_in_forced_cuts_is_counted() {
    for case in Case::NUMBERED {
        let scene = Scene::with(case, &case.symbols(), slowly);
        scene.until_live(SOON).await;
        let mut random = fastrand::Rng::with_seed(7);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(24 * 3600) {
            sleep(Duration::from_secs(random.u64(30..3600))).await;
            scene.fake.misbehave(match random.u8(0..6) {
                0 => Fault::Abrupt,
                1 => Fault::Close(1001, "bye".to_owned()),
                2 => Fault::Gap(random.u32(1..5)),
                3 => Fault::Duplicate,
                4 => Fault::Shutdown,
                _ => Fault::Silence,
            });
        }
        sleep(Duration::from_secs(120)).await;
        scene.check();
        let missing = scene.missing_of_all();
        assert_eq!(
            scene.count(FeedEventKind::Missing),
            missing as u64,
            "{case:?}: every loss is counted"
        );
        let record = scene.fake.record();
        // No trade is lost while a connection brings prices, so fewer than 2% are missing.
        assert!(
            missing < record.sent.len() / 50,
            "{case:?}: {missing} of {}",
            record.sent.len()
        );
        assert!(scene.count(FeedEventKind::Connects) > 5);
        assert_eq!(scene.stats().state, SourceState::Live);
    }
}
