//! Which ticks are accepted, late, unchanged or rejected.

use std::time::Duration;

use super::*;
use crate::{Interval, Price, Reference, Time};

const DAY: i64 = 86_400_000;
const NOON: i64 = 20_000 * DAY + DAY / 2;

fn now() -> Now {
    Now {
        wall: Time::from_millis(NOON).unwrap(),
        uptime: Duration::from_secs(1),
    }
}

fn log() -> Sequencer {
    Sequencer::new(Epoch::new(1), Limits::default())
}

fn accept(log: &mut Sequencer, json: &str, options: SourceOptions) -> Result<Outcome, TickError> {
    let tick = Tick::from_json(json.as_bytes()).unwrap();
    log.accept(&tick, SourceId::default(), options, now())
        .map(|sequenced| sequenced.outcome)
}

/// Returns the newest tick of `A`, as sent to readers.
fn newest(log: &Sequencer) -> String {
    let id = log.market().id(&Symbol::new("A").unwrap()).unwrap();
    String::from_utf8(log.market().newest(id).unwrap().json().to_vec()).unwrap()
}

#[test]
fn late_ticks_are_dropped_unless_allowed() {
    let (mut log, allow_late) = (log(), SourceOptions::default().allow_late(true));
    accept(
        &mut log,
        r#"{"symbol":"A","price":1,"time":1700000002000}"#,
        SourceOptions::default(),
    )
    .unwrap();
    let late = r#"{"symbol":"A","price":2,"time":1700000001999}"#;
    assert_eq!(
        accept(&mut log, late, SourceOptions::default()),
        Ok(Outcome::Late)
    );
    assert!(newest(&log).contains("\"price\":1,"));
    assert_eq!(
        accept(&mut log, late, allow_late),
        Ok(Outcome::Accepted(Seq::new(2)))
    );
    assert!(
        newest(&log).contains("\"price\":2,")
            && newest(&log).contains("\"time\":1700000001999,\"n\":2")
    );
}

#[test]
fn a_tick_without_a_time_is_never_late() {
    let mut log = log();
    let ahead = NOON + 50_000;
    accept(
        &mut log,
        &format!(r#"{{"symbol":"A","price":1,"time":{ahead}}}"#),
        SourceOptions::default(),
    )
    .unwrap();
    assert_eq!(
        accept(
            &mut log,
            r#"{"symbol":"A","price":2}"#,
            SourceOptions::default()
        ),
        Ok(Outcome::Accepted(Seq::new(2)))
    );
}

#[test]
fn unchanged_ticks_are_dropped_if_configured_and_their_time_is_recorded() {
    let (mut log, drop) = (log(), SourceOptions::default().drop_unchanged(true));
    accept(
        &mut log,
        r#"{"symbol":"A","price":1.0,"bid":1,"time":1700000001000}"#,
        drop,
    )
    .unwrap();
    for (json, outcome) in [
        (
            r#"{"symbol":"A","price":1.0,"bid":1,"time":1700000002000}"#,
            Outcome::Unchanged,
        ),
        (
            r#"{"symbol":"A","price":2.0,"bid":1,"time":1700000001500}"#,
            Outcome::Late,
        ),
        (
            r#"{"symbol":"A","price":1.0,"bid":2,"time":1700000002000}"#,
            Outcome::Accepted(Seq::new(2)),
        ),
        (
            r#"{"symbol":"A","price":1.00,"bid":2,"time":1700000002000}"#,
            Outcome::Accepted(Seq::new(3)),
        ),
        (
            r#"{"symbol":"A","price":1.00,"bid":2,"prev_close":7,"time":1700000002000}"#,
            Outcome::Accepted(Seq::new(4)),
        ),
        (
            r#"{"symbol":"A","price":1.00,"bid":2,"prev_close":7,"time":1700000002000}"#,
            Outcome::Unchanged,
        ),
    ] {
        assert_eq!(accept(&mut log, json, drop), Ok(outcome), "{json}");
    }
    assert!(matches!(
        accept(
            &mut log,
            r#"{"symbol":"A","price":1.00,"bid":2}"#,
            SourceOptions::default()
        ),
        Ok(Outcome::Accepted(_))
    ));
}

#[test]
fn the_reference_is_the_previous_close_or_else_the_first_price_of_the_day() {
    let mut log = log();
    let mut change = |json: String| {
        accept(&mut log, &json, SourceOptions::default()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&newest(&log)).unwrap();
        json["change"].as_f64().unwrap()
    };
    let (day, next) = (NOON - 5 * DAY, NOON - 4 * DAY);
    assert_eq!(
        change(format!(r#"{{"symbol":"A","price":10,"time":{day}}}"#)),
        0.0
    );
    assert_eq!(
        change(format!(r#"{{"symbol":"A","price":12,"time":{day}}}"#)),
        2.0
    );
    assert_eq!(
        change(format!(r#"{{"symbol":"A","price":15,"time":{next}}}"#)),
        0.0,
        "a new day"
    );
    assert_eq!(
        change(format!(r#"{{"symbol":"A","price":16,"time":{next}}}"#)),
        1.0
    );
    assert_eq!(
        change(format!(
            r#"{{"symbol":"A","price":16,"prev_close":9,"time":{next}}}"#
        )),
        7.0
    );
    assert_eq!(
        change(format!(r#"{{"symbol":"A","price":17,"time":{NOON}}}"#)),
        8.0,
        "from now on"
    );
    assert_eq!(
        change(format!(
            r#"{{"symbol":"A","price":17,"change":-1,"time":{NOON}}}"#
        )),
        -1.0,
        "the publisher's own change"
    );
    assert_eq!(
        change(format!(r#"{{"symbol":"A","price":18,"time":{NOON}}}"#)),
        9.0
    );
}

#[test]
fn a_time_too_far_ahead_and_a_symbol_above_the_limit_are_rejected() {
    let mut log = Sequencer::new(Epoch::new(1), Limits::default().symbols(1));
    let ahead = NOON + 60_001;
    let json = format!(r#"{{"symbol":"A","price":1,"time":{ahead}}}"#);
    let error = accept(&mut log, &json, SourceOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("time {ahead} is more than 60s ahead of the server's clock")
    );
    accept(
        &mut log,
        r#"{"symbol":"A","price":1}"#,
        SourceOptions::default(),
    )
    .unwrap();
    assert_eq!(
        accept(
            &mut log,
            r#"{"symbol":"B","price":1}"#,
            SourceOptions::default()
        ),
        Err(TickError::TooManySymbols(1))
    );
    assert_eq!(
        log.cursor().seq(),
        Seq::new(1),
        "what is refused leaves no trace"
    );
}

#[test]
fn the_number_of_a_removed_symbol_continues_when_the_symbol_returns() {
    let mut log = log();
    let symbol = Symbol::new("A").unwrap();
    assert_eq!(log.remove(&symbol, now()), None);
    accept(
        &mut log,
        r#"{"symbol":"A","price":1}"#,
        SourceOptions::default(),
    )
    .unwrap();
    assert_eq!(log.remove(&symbol, now()).unwrap().seq(), Some(Seq::new(2)));
    assert_eq!(log.remove(&symbol, now()), None);
    accept(
        &mut log,
        r#"{"symbol":"A","price":1}"#,
        SourceOptions::default().drop_unchanged(true),
    )
    .unwrap();
    assert!(
        newest(&log).contains("\"n\":2"),
        "and its first tick then is no repeat"
    );
    log.remove(&symbol, now());
    let early = accept(
        &mut log,
        r#"{"symbol":"A","price":1,"time":1700000000005}"#,
        SourceOptions::default(),
    );
    assert!(
        matches!(early, Ok(Outcome::Accepted(_))),
        "nor is it late: a time that was wrong is forgotten with it"
    );
}

#[test]
fn the_first_tick_of_a_day_is_never_unchanged() {
    let (mut log, drop) = (log(), SourceOptions::default().drop_unchanged(true));
    let yesterday = NOON - DAY;
    accept(
        &mut log,
        &format!(r#"{{"symbol":"A","price":10,"time":{yesterday}}}"#),
        drop,
    )
    .unwrap();
    accept(
        &mut log,
        &format!(r#"{{"symbol":"A","price":10,"time":{NOON}}}"#),
        drop,
    )
    .unwrap();
    accept(
        &mut log,
        &format!(r#"{{"symbol":"A","price":12,"time":{NOON}}}"#),
        drop,
    )
    .unwrap();
    assert!(newest(&log).contains("\"change\":2,"), "{}", newest(&log));
}

#[test]
fn a_tick_with_another_change_is_not_unchanged() {
    let (mut log, drop) = (log(), SourceOptions::default().drop_unchanged(true));
    for (json, outcome) in [
        (
            r#"{"symbol":"A","price":10,"change":1}"#,
            Outcome::Accepted(Seq::new(1)),
        ),
        (
            r#"{"symbol":"A","price":10,"change":2}"#,
            Outcome::Accepted(Seq::new(2)),
        ),
        (
            r#"{"symbol":"A","price":10,"change":2}"#,
            Outcome::Unchanged,
        ),
        (
            r#"{"symbol":"A","price":10,"change":2.0}"#,
            Outcome::Accepted(Seq::new(3)),
        ),
        (
            r#"{"symbol":"A","price":10}"#,
            Outcome::Accepted(Seq::new(4)),
        ),
        (r#"{"symbol":"A","price":10}"#, Outcome::Unchanged),
    ] {
        assert_eq!(accept(&mut log, json, drop), Ok(outcome), "{json}");
    }
}

#[test]
fn a_removed_symbol_loses_its_reference_and_candles() {
    let mut log = log();
    let yesterday = NOON - DAY;
    accept(
        &mut log,
        &format!(r#"{{"symbol":"A","price":999,"prev_close":500,"time":{yesterday}}}"#),
        SourceOptions::default(),
    )
    .unwrap();
    log.remove(&Symbol::new("A").unwrap(), now());
    accept(
        &mut log,
        r#"{"symbol":"A","price":100}"#,
        SourceOptions::default(),
    )
    .unwrap();
    accept(
        &mut log,
        r#"{"symbol":"A","price":101}"#,
        SourceOptions::default(),
    )
    .unwrap();
    assert!(newest(&log).contains("\"change\":1,"), "{}", newest(&log));
    assert_eq!(closes(&log, Interval::Day), ["101"]);
}

/// Returns the closes of `A`, oldest first.
fn closes(log: &Sequencer, interval: Interval) -> Vec<String> {
    let id = log.market().id(&Symbol::new("A").unwrap()).unwrap();
    let all = (Time::from_millis(0).unwrap(), Time::MAX);
    log.candles(id)
        .within(interval, all, usize::MAX)
        .iter()
        .map(|candle| candle.close.to_string())
        .collect()
}

#[test]
fn many_symbols_share_the_candle_limit() {
    let mut log = Sequencer::new(Epoch::new(1), Limits::default().candles(1000));
    for second in 0..3000 {
        let wall = Time::from_millis(NOON + second * 1000).unwrap();
        let now = Now {
            wall,
            uptime: Duration::ZERO,
        };
        // The first symbols stop ticking, and later symbols start.
        for symbol in second / 300..second / 300 + 20 {
            let tick = Tick::from_json(format!(r#"{{"symbol":"S{symbol}","price":1}}"#).as_bytes())
                .unwrap();
            log.accept(&tick, SourceId::default(), SourceOptions::default(), now)
                .unwrap();
        }
        assert!(
            log.total_candles() <= 1000 + Candles::MIN_BARS,
            "{} at {second}",
            log.total_candles()
        );
    }
    let ids = || log.market().ids_from(0);
    let held: usize = ids().map(|id| log.candles(id).len()).sum();
    assert_eq!(held, log.total_candles());
    let newest = log.candles(ids().last().unwrap());
    let all = (Time::from_millis(0).unwrap(), Time::MAX);
    assert!(
        newest.within(Interval::Minute, all, usize::MAX).len() >= 5,
        "a late one has its share"
    );
}

/// A time further ahead than clocks may differ must not let older ticks in, and must not make
/// correct ticks late.
#[test]
fn a_time_ahead_lets_no_old_tick_in_and_makes_no_correct_tick_late() {
    for before in [true, false] {
        let mut log = log();
        let mut accept = |wall: i64, time: i64, price: i64| {
            let now = Now {
                wall: Time::from_millis(wall).unwrap(),
                uptime: Duration::ZERO,
            };
            let json = format!(r#"{{"symbol":"A","price":{price},"time":{time}}}"#);
            let tick = Tick::from_json(json.as_bytes()).unwrap();
            log.accept(&tick, SourceId::default(), SourceOptions::default(), now)
                .unwrap()
                .outcome
        };
        if before {
            assert!(matches!(accept(NOON, NOON, 100), Outcome::Accepted(_)));
        }
        assert!(matches!(
            accept(NOON + 10, NOON + 30_000, 101),
            Outcome::Accepted(_)
        ));
        assert_eq!(accept(NOON + 20, NOON - 90 * DAY, 5), Outcome::Late);
        assert_eq!(accept(NOON + 20, NOON - 59_000, 5), Outcome::Late);
        // A correct tick with a few milliseconds of delay.
        assert!(matches!(
            accept(NOON + 30, NOON + 5, 102),
            Outcome::Accepted(_)
        ));
        assert!(matches!(
            accept(NOON + 40, NOON + 30_000, 103),
            Outcome::Accepted(_)
        ));
        // Now the clock reaches the time that was ahead. This time still does not count as the
        // newest time.
        assert!(matches!(
            accept(NOON + 26_000, NOON + 25_800, 104),
            Outcome::Accepted(_)
        ));
        assert_eq!(accept(NOON + 26_000, NOON + 25_700, 5), Outcome::Late);
    }
}

mod clocks {
    use proptest::prelude::*;

    use super::*;

    /// One step of a test: an action of a publisher or its clock.
    #[derive(Debug, Clone)]
    enum Step {
        /// The wall clock jumps by this number of milliseconds. Real time also passes.
        Clock(i64),
        /// A tick whose time differs from the wall clock by this number of milliseconds.
        Timed(i64),
        Untimed,
        Removed,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let jump = prop_oneof![0i64..3_000, -4_000i64..4_000, -200_000_000i64..200_000_000];
        let step = prop_oneof![
            2 => jump.prop_map(Step::Clock),
            3 => prop_oneof![-2_000i64..2_000, -100_000i64..100_000, -90_000_000i64..90_000_000].prop_map(Step::Timed),
            2 => Just(Step::Untimed),
            1 => Just(Step::Removed),
        ];
        prop::collection::vec(step, 0..60)
    }

    struct TestPublisher {
        log: Sequencer,
        wall: i64,
        price: i64,
        options: SourceOptions,
    }

    impl TestPublisher {
        fn now(&self) -> Now {
            Now {
                wall: Time::from_millis(self.wall).unwrap(),
                uptime: Duration::ZERO,
            }
        }

        fn tick(&mut self, time: Option<i64>) -> Result<Outcome, TickError> {
            self.price += 1;
            let mut tick = Tick::new(
                Symbol::new("A").unwrap(),
                Price::from_units(self.price, 0).unwrap(),
            );
            tick.time = time.map(|time| Time::from_millis(time.max(0)).unwrap());
            let now = self.now();
            let outcome = self
                .log
                .accept(&tick, SourceId::default(), self.options, now);
            let outcome = outcome.map(|sequenced| sequenced.outcome);
            if matches!(outcome, Ok(Outcome::Accepted(_))) {
                self.check_newest();
            }
            outcome
        }

        /// Checks the newest tick. On every interval, the tick is the close of its candle. Its
        /// change is measured from a price of a day that has begun.
        fn check_newest(&self) {
            let id = self.log.market().id(&Symbol::new("A").unwrap()).unwrap();
            let quote = self.log.quote(id).unwrap();
            let horizon = self.now().wall.saturating_add(Limits::default().max_skew);
            let all = (Time::from_millis(0).unwrap(), Time::MAX);
            for interval in Interval::ALL {
                let candles = self.log.candles(id).within(interval, all, usize::MAX);
                assert!(
                    candles.iter().all(|candle| candle.time <= horizon),
                    "{interval:?}: {candles:?}"
                );
                let time = if quote.time > horizon {
                    self.now().wall
                } else {
                    quote.time
                };
                let candle = candles.iter().rfind(|candle| candle.time <= time).unwrap();
                assert_eq!(candle.close, quote.price, "{interval:?}: {candles:?}");
                assert!(
                    time.as_millis() - candle.time.as_millis() < interval.millis(),
                    "{interval:?}: {candles:?}"
                );
            }
            let Reference::FirstOfDay { day, .. } = quote.reference else {
                unreachable!()
            };
            assert!(day <= horizon.utc_day());
        }
    }

    proptest! {
        #[test]
        fn the_next_correct_tick_is_accepted_after_any_clock_jumps(steps in steps(), allow_late: bool) {
            let options = SourceOptions::default().allow_late(allow_late);
            let mut publisher = TestPublisher { log: log(), wall: NOON, price: 0, options };
            for step in steps {
                match step {
                    Step::Clock(jump) => publisher.wall = (publisher.wall + jump).max(NOON / 2),
                    Step::Timed(offset) => {
                        let outcome = publisher.tick(Some(publisher.wall + offset));
                        let ahead = matches!(outcome, Err(TickError::TimeInFuture { .. }));
                        prop_assert_eq!(ahead, offset > 60_000);
                    }
                    Step::Untimed => {
                        let accepted = matches!(publisher.tick(None), Ok(Outcome::Accepted(_)));
                        prop_assert!(accepted);
                    }
                    Step::Removed => {
                        publisher.log.remove(&Symbol::new("A").unwrap(), publisher.now());
                    }
                }
            }
            let accepted = matches!(publisher.tick(None), Ok(Outcome::Accepted(_)));
            prop_assert!(accepted, "one without a time, at once");
            // After the maximum clock difference (5 s) has passed, a tick with its correct time is
            // also accepted.
            publisher.wall += 5_001;
            let accepted = matches!(publisher.tick(Some(publisher.wall)), Ok(Outcome::Accepted(_)));
            prop_assert!(accepted);
        }
    }
}

#[test]
fn a_previous_close_is_new_only_once() {
    let mut log = log();
    let mut new_close = |json: &str| {
        let outcome = accept(&mut log, json, SourceOptions::default()).unwrap();
        let Outcome::Accepted(seq) = outcome else {
            panic!("{outcome:?}")
        };
        log.new_close(seq).map(|close| close.to_string())
    };
    let first = new_close(r#"{"symbol":"A","price":1,"prev_close":3}"#);
    assert_eq!(first.as_deref(), Some("3"));
    assert_eq!(
        new_close(r#"{"symbol":"A","price":2,"prev_close":3}"#),
        None
    );
    assert_eq!(new_close(r#"{"symbol":"A","price":3}"#), None);
    let second = new_close(r#"{"symbol":"A","price":4,"prev_close":5}"#);
    assert_eq!(second.as_deref(), Some("5"));
    let other = new_close(r#"{"symbol":"B","price":4,"prev_close":5}"#);
    assert_eq!(other.as_deref(), Some("5"));
}
