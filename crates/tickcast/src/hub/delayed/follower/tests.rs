//! A delayed market against a model: what was on the live market at which time.

use fastrand::Rng;
use tickcast_core::{Candle, Interval, Limits, Tick};
use tickcast_tape::Options;

use super::*;

const DELAY: Duration = Duration::from_secs(60);

/// A live market, what it was at each step, and a follower of it. Time is a number.
struct World {
    rng: Rng,
    live: Hub,
    follower: Follower,
    uptime: Duration,
    wall: Time,
    /// How far the wall clock is ahead of the time that passes permissions: it has jumped.
    jumped: Duration,
    /// When the live market had reached which head, and its newest ticks then.
    seen: Vec<(Duration, Seq, Ticks)>,
}

/// The newest tick of each symbol.
type Ticks = Vec<(Symbol, Vec<u8>)>;

fn newest(hub: &Hub) -> Ticks {
    hub.log().read(|log| {
        let market = log.market();
        let names = market.names_after(None);
        let ticks =
            names.filter_map(|(symbol, id)| Some((symbol, market.newest(id)?.json().to_vec())));
        ticks.collect()
    })
}

fn candles(hub: &Hub, symbol: &Symbol) -> Vec<Candle> {
    hub.log().read(|log| {
        let all = (Time::from_millis(0).unwrap(), Time::MAX);
        log.market().id(symbol).map_or_else(Vec::new, |id| {
            log.candles(id).within(Interval::ALL[0], all, 5000)
        })
    })
}

impl World {
    fn new(seed: u64, live: Hub) -> Self {
        let known = live.head().1;
        Self {
            rng: Rng::with_seed(seed),
            live,
            follower: Follower::new(DELAY, (known, Duration::ZERO), []),
            uptime: Duration::ZERO,
            wall: Time::from(std::time::SystemTime::now()),
            jumped: Duration::ZERO,
            seen: Vec::new(),
        }
    }

    fn now(&self) -> Now {
        Now {
            uptime: self.uptime,
            wall: self.wall.saturating_add(self.jumped),
        }
    }

    fn publish(&mut self) {
        let symbol = Symbol::new(["A", "B", "C", "D"][self.rng.usize(..4)]).unwrap();
        if self.rng.u8(..30) == 0 {
            let publisher = self
                .live
                .source("test", tickcast_core::SourceOptions::default());
            publisher.try_remove(&symbol).unwrap();
            return;
        }
        let price = Price::from_units(self.rng.i64(1..9999), 2).unwrap();
        let mut tick = Tick::new(symbol, price);
        if self.rng.u8(..4) == 0 {
            tick.prev_close = Some(Price::from_units(self.rng.i64(1..99), 0).unwrap());
        }
        let source = ["test", "other"][self.rng.usize(..2)];
        let publisher = self
            .live
            .source(source, tickcast_core::SourceOptions::default());
        publisher.try_publish(&tick).unwrap();
    }

    /// Publishes some ticks, and moves the follower some time later.
    fn advance(&mut self) {
        for _ in 0..self.rng.usize(..8) {
            self.publish();
        }
        self.live.log().wait_visible();
        self.uptime += Duration::from_millis(self.rng.u64(1..9000));
        if self.rng.u8(..20) == 0 {
            // A jump of the wall clock passes no time.
            self.jumped = Duration::from_secs(self.rng.u64(..500_000));
        }
        let head = self.live.head().1;
        self.seen.push((self.uptime, head, newest(&self.live)));
        let (now, passed) = (self.now(), self.wall);
        self.follower.step(&self.live, (head, now), passed);
    }

    /// Makes a step, and returns the delayed market and its head, which is old enough.
    fn advanced_market(&mut self) -> Option<(Hub, Seq)> {
        self.advance();
        let market = self.follower.market()?;
        let head = market.head().1;
        self.check_time(head);
        Some((market, head))
    }

    /// Makes a step, and checks that the delayed market is the live market as it was.
    fn step(&mut self) {
        let Some((market, head)) = self.advanced_market() else {
            return;
        };
        if let Some((.., then)) = self.seen.iter().find(|seen| seen.1 == head) {
            assert_eq!(newest(&market), *then);
        }
        let digest = |hub: &Hub| hub.log().read(|log| log.tape().digest_at(head));
        if let Some(live) = digest(&self.live) {
            assert_eq!(digest(&market), Some(live));
        }
    }

    /// Checks that `head` is long enough ago.
    fn check_time(&self, head: Seq) {
        let (at, ..) = self.seen.iter().find(|seen| seen.1 >= head).unwrap();
        let earlier = head <= self.follower.known;
        assert!(
            earlier || *at + DELAY <= self.uptime,
            "{head:?} is of {at:?}"
        );
    }
}

/// What the delayed market must have reached: what is old enough by one more step.
fn reaches_its_delay(world: &mut World) {
    world.uptime += DELAY;
    let (head, now) = (world.live.head().1, world.now());
    for _ in 0..2 {
        world.follower.step(&world.live, (head, now), world.wall);
    }
    world.uptime += DELAY;
    world
        .follower
        .step(&world.live, (head, world.now()), world.wall);
    let market = world.follower.market().unwrap();
    assert_eq!(market.cursor(), world.live.cursor());
    assert_eq!(newest(&market), newest(&world.live));
    for name in ["A", "B", "C", "D"] {
        let symbol = Symbol::new(name).unwrap();
        assert_eq!(candles(&market, &symbol), candles(&world.live, &symbol));
        let known = |hub: &Hub| {
            hub.log().read(|log| {
                let quote = log.quote(log.market().id(&symbol)?)?;
                Some((quote.n, quote.reference, quote.source))
            })
        };
        assert_eq!(known(&market), known(&world.live), "{name}");
    }
    let names = |hub: &Hub| {
        hub.sources()
            .into_iter()
            .map(|source| source.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&market), names(&world.live));
}

#[test]
fn a_delayed_market_is_the_live_market_as_it_was() {
    for seed in 0..30 {
        let mut world = World::new(seed, Hub::builder().build());
        assert!(world.follower.market().is_none());
        (0..150).for_each(|_| world.step());
        reaches_its_delay(&mut world);
    }
}

/// The tape in memory is so short that the next entry is often gone: then the market starts anew at
/// a later position, and is never wrong.
#[test]
fn a_tape_that_is_too_short_shows_nothing_too_early_and_nothing_wrong() {
    let mut starts = 0;
    for seed in 0..30 {
        let limits = Limits::default().tape_ticks(60);
        let mut world = World::new(seed, Hub::builder().limits(limits).build());
        for _ in 0..300 {
            world.step_with_gaps();
            starts += usize::from(world.follower.market.is_none());
        }
    }
    assert!(starts > 100, "{starts}");
}

impl World {
    /// Makes a step after which symbols may be missing until their next ticks.
    fn step_with_gaps(&mut self) {
        let Some((market, head)) = self.advanced_market() else {
            return;
        };
        if let Some((.., then)) = self.seen.iter().find(|seen| seen.1 == head) {
            for tick in newest(&market) {
                assert!(then.contains(&tick), "{tick:?}");
            }
        }
    }
}

/// A restart: what was on disk is old enough by the clock of the machine, and never earlier, whatever
/// the wall clock says now, or said then. What had been shown before is shown at once.
#[test]
fn after_a_restart_the_marks_say_what_is_old_enough() {
    for (seed, with_snapshot) in (0..20).map(|seed| (seed, seed % 2 == 0)) {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let limits = Limits::default().tape_ticks(30);
            let builder = Hub::builder().limits(limits);
            builder.tape(folder.path(), Options::default()).build()
        };
        let mut world = World::new(seed, open());
        (0..60).for_each(|_| world.step());
        let (stopped, wall) = (world.uptime, world.wall);
        let shown = world.follower.market().unwrap().head().1;
        let seen = std::mem::take(&mut world.seen);
        world.live.close();
        drop(world);
        if !with_snapshot {
            std::fs::remove_file(
                folder
                    .path()
                    .join(format!("{:020}.delayed", DELAY.as_secs())),
            )
            .unwrap();
        }

        let mut world = World::new(seed + 100, open());
        let head = world.live.head().1;
        // The program was away for 10 s, and its last mark is half a minute old.
        let started = stopped + Duration::from_secs(10);
        let half = stopped - Duration::from_secs(30);
        let marked = seen.iter().rev().find(|(at, ..)| *at <= half).unwrap();
        let marks = [
            Mark::new(marked.1, half, wall),
            Mark::new(head, started, wall),
        ];
        world.follower = Follower::new(DELAY, (head, started), marks);
        // The wall clock was an hour behind when the ticks were accepted, or is ahead now.
        world.jumped = Duration::from_secs(86_400);
        let step = |world: &mut World, uptime: Duration| {
            world.uptime = uptime;
            let passed = world.wall.saturating_add(world.jumped);
            world
                .follower
                .step(&world.live, (head, world.now()), passed);
            world.follower.market()
        };
        let check = |market: &Hub, most: Seq| {
            let head = market.head().1;
            assert!(head <= most, "{head:?} {most:?}");
            if let Some((.., then)) = seen.iter().find(|seen| seen.1 == head) {
                assert_eq!(newest(market), *then);
            }
            head
        };
        let due = half + DELAY - started;
        for early in [Duration::ZERO, due - Duration::from_millis(1)] {
            match step(&mut world, early) {
                Some(market) => assert!(with_snapshot && check(&market, shown) > Seq::ZERO),
                None => assert!(!with_snapshot),
            }
        }
        let market = step(&mut world, due).unwrap();
        assert_eq!(
            check(&market, marked.1.max(shown)),
            marked.1.max(market.head().1)
        );
        let market = step(&mut world, DELAY - Duration::from_millis(1)).unwrap();
        assert!(market.head().1 <= marked.1.max(shown));
        let market = step(&mut world, DELAY).unwrap();
        assert_eq!(market.head().1, head);
        assert_eq!(newest(&market), newest(&world.live));
        world.jumped = Duration::ZERO;
        // From here on, the uptime counts.
        (0..60).for_each(|_| world.step());
        reaches_its_delay_on_disk(&mut world);
        let market = world.follower.market().unwrap();
        for name in ["A", "B", "C", "D"] {
            let symbol = Symbol::new(name).unwrap();
            let known = |hub: &Hub| {
                hub.log().read(|log| {
                    let quote = log.quote(log.market().id(&symbol)?)?;
                    Some((quote.n, quote.reference))
                })
            };
            assert_eq!(known(&market), known(&world.live), "{name}");
            let both = (candles(&market, &symbol), candles(&world.live, &symbol));
            assert_eq!(both.0, both.1, "{name}");
        }
    }
}

fn reaches_its_delay_on_disk(world: &mut World) {
    let head = world.live.head().1;
    for _ in 0..2 {
        world
            .follower
            .step(&world.live, (head, world.now()), world.wall);
        world.uptime += DELAY + Duration::from_secs(1);
    }
    world
        .follower
        .step(&world.live, (head, world.now()), world.wall);
    let market = world.follower.market().unwrap();
    assert_eq!(market.cursor(), world.live.cursor());
    assert_eq!(newest(&market), newest(&world.live));
}

/// A removal is no news of the source that the symbol came from.
#[test]
fn a_removal_does_not_make_a_silent_source_live() {
    let mut world = World::new(1, Hub::builder().build());
    let step = |world: &mut World, later: Duration| {
        world.uptime += later;
        let (head, now) = (world.live.head().1, world.now());
        world.follower.step(&world.live, (head, now), world.wall);
    };
    let source = || {
        world
            .live
            .source("feed", tickcast_core::SourceOptions::default())
    };
    let symbol = Symbol::new("OLD").unwrap();
    let price = Price::from_units(1, 0).unwrap();
    source().try_publish(&Tick::new(symbol, price)).unwrap();
    source().set_state(&crate::SourceState::Stale);
    step(&mut world, Duration::ZERO);
    step(&mut world, DELAY + Duration::from_secs(1));
    let shown = |world: &World| {
        let own = world.follower.market().unwrap().sources().remove(0);
        (own.state, own.accepted)
    };
    assert_eq!(shown(&world), (crate::SourceState::Stale, 1));
    let publisher = world
        .live
        .source("feed", tickcast_core::SourceOptions::default());
    publisher.try_remove(&symbol).unwrap();
    step(&mut world, Duration::from_secs(1));
    step(&mut world, DELAY + Duration::from_secs(1));
    let market = world.follower.market().unwrap();
    assert_eq!(newest(&market), []);
    assert_eq!(shown(&world), (crate::SourceState::Stale, 1));
}

/// A disk that cannot be read stops a delayed market. It is not complete then, and its sources are not
/// alive.
#[test]
fn a_delayed_market_does_not_reach_its_delay_on_a_disk_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits::default().tape_ticks(30);
    let builder = || Hub::builder().limits(limits);
    let live = builder().tape(folder.path(), Options::default()).build();
    let mut world = World::new(1, live);
    (0..200).for_each(|_| world.publish());
    world.live.close();
    drop(world);
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "delayed") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let live = builder().tape(folder.path(), Options::default()).build();
    // The damage comes after the start, which reads the tape.
    let segment = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "ticks"))
        .min()
        .unwrap();
    let good = std::fs::read(&segment).unwrap();
    let mut bad = good.clone();
    // This is in the first block, even if the writer took only one tick for it. Otherwise the market
    // would have the ticks before the damage.
    bad[80..120].fill(0xff);
    std::fs::write(&segment, &bad).unwrap();
    let mut world = World::new(2, live);
    let step = |world: &mut World| {
        world.uptime += DELAY;
        let (head, now) = (world.live.head().1, world.now());
        world.follower.step(&world.live, (head, now), world.wall)
    };
    step(&mut world);
    for _ in 0..5 {
        assert!(!step(&mut world), "it waits");
        assert!(world.follower.market().is_none());
        assert!(world.follower.failing);
    }
    std::fs::write(&segment, &good).unwrap();
    while step(&mut world) {}
    let market = world.follower.market().unwrap();
    assert_eq!(market.cursor(), world.live.cursor());
    assert!(!world.follower.failing);
}
