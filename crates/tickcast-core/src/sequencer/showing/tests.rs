//! A sequencer that runs ahead looks to its readers like one that does not, as of what it shows.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    Epoch, Interval, Limits, Now, Outcome, Price, Replica, Sequenced, SourceId, SourceOptions,
    Symbol, Tick,
};

/// What a publisher does.
#[derive(Debug, Clone, Copy)]
enum Action {
    Tick {
        symbol: usize,
        units: i64,
        ms: i64,
        source: u16,
    },
    Remove(usize),
    Key(u64),
    /// The disk has a part of what is not shown yet: this many percent.
    Show(u64),
    /// The disk refuses all that is not shown yet.
    Fail,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        12 => (0..5_usize, 1..4_i64, -3000..3000_i64, 0..3_u16)
            .prop_map(|(symbol, units, ms, source)| Action::Tick { symbol, units, ms, source }),
        1 => (0..5_usize).prop_map(Action::Remove),
        1 => (0..9_u64).prop_map(Action::Key),
        5 => (0..=100_u64).prop_map(Action::Show),
        1 => Just(Action::Fail),
    ]
}

fn now(step: usize) -> Now {
    let millis = step as i64 * 700;
    Now {
        wall: Time::from_millis(1_782_907_200_000 + millis).unwrap(),
        uptime: Duration::from_millis(millis.unsigned_abs()),
    }
}

fn symbol(number: usize) -> Symbol {
    Symbol::new(["A", "B", "C", "D", "E"][number]).unwrap()
}

fn apply(log: &mut Sequencer, step: usize, action: Action, drops: bool) -> Option<Sequenced> {
    let now = now(step);
    match action {
        Action::Tick {
            symbol: number,
            units,
            ms,
            source,
        } => {
            let mut tick = Tick::new(symbol(number), Price::from_units(units, 0).unwrap());
            let time = now.wall.as_millis() + ms;
            tick.time = (ms % 3 == 0).then(|| Time::from_millis(time).unwrap());
            tick.prev_close = (ms % 5 == 0).then(|| Price::from_units(units + 1, 0).unwrap());
            let options = SourceOptions {
                drop_unchanged: drops && units % 2 == 0,
                ..SourceOptions::default()
            };
            Some(log.accept(&tick, SourceId(source), options, now).unwrap())
        }
        Action::Remove(number) => log.remove(&symbol(number), now),
        Action::Key(next) => {
            let progress = KeyProgress {
                key: "key",
                next,
                done: false,
                report: b"{}",
            };
            log.record_key(progress, now.wall);
            None
        }
        Action::Show(_) | Action::Fail => None,
    }
}

/// Returns all that readers can learn.
fn state(log: &Sequencer) -> String {
    let market = log.market();
    let all = (Time::from_millis(0).unwrap(), Time::MAX);
    let symbol = |number| {
        let id = market.id(&symbol(number))?;
        let frame = market
            .newest(id)
            .map(|frame| String::from_utf8_lossy(frame.event()));
        let quote = log.quote(id).map(|quote| {
            (
                quote.n,
                quote.price,
                quote.first_time,
                quote.reference,
                quote.source,
            )
        });
        let bars = log.candles(id).within(Interval::Second, all, 1000);
        // An earlier symbol that was taken back is there without a position.
        let known = market.last_seq(id) > Seq::ZERO;
        known.then(|| {
            format!(
                "{:?} {frame:?} {quote:?} {bars:?}",
                market.last_position(id)
            )
        })
    };
    let symbols: Vec<_> = (0..5).filter_map(symbol).collect();
    let keys: Vec<_> = log
        .keys()
        .iter()
        .map(|(progress, _)| progress.next)
        .collect();
    format!("{} {symbols:?} {keys:?}", log.cursor())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn readers_see_what_is_shown(
        actions in prop::collection::vec(action(), 1..150),
        // The time of an unchanged tick is not taken back, so only one of the two happens.
        drops: bool,
        tape_ticks in prop_oneof![Just(4_usize), Just(16), Just(1000)],
    ) {
        let limits = Limits::default().tape_ticks(tape_ticks);
        let epoch = Epoch::new(7);
        let mut log = Sequencer::new(epoch, limits);
        log.run_ahead();
        let mut replica = log.replica();
        // What is sequenced and not shown yet, and all that is shown.
        let (mut waiting, mut shown) = (Vec::new(), Vec::new());
        for (step, action) in actions.into_iter().enumerate() {
            match action {
                Action::Show(percent) => {
                    let count = (waiting.len() as u64 * percent / 100) as usize;
                    let mark = waiting.get(..count).and_then(<[_]>::last);
                    let until = mark.map_or(Mark(0), |(_, _, mark)| *mark);
                    log.show_until(until);
                    shown.extend(waiting.drain(..count));
                }
                Action::Fail if drops => {}
                Action::Fail => {
                    log.take_back();
                    waiting.clear();
                }
                _ => {
                    let before = log.mark();
                    let sequenced = apply(&mut log, step, action, drops);
                    let dropped = sequenced.is_some_and(|sequenced| sequenced.seq().is_none());
                    if log.mark() != before || dropped {
                        waiting.push((step, action, log.mark()));
                    }
                }
            }
            let mut model = Sequencer::new(epoch, limits);
            for (step, action, _) in &shown {
                apply(&mut model, *step, *action, drops);
            }
            prop_assert_eq!(state(&log), state(&model));
            // What is not shown takes its place on the tape, too.
            prop_assert!(log.tape().len() <= model.tape().len());
            prop_assert!(tape_ticks < 1000 || log.tape().len() == model.tape().len());
            model.show();
            catch_up(&mut replica, &log);
            prop_assert_eq!(replica.head(), log.cursor().seq());
            prop_assert_eq!(replica.market().len(), log.market().len());
            for market in [replica.market(), log.market()] {
                let newest = market.ids_from(0).filter_map(|id| market.newest(id));
                prop_assert_eq!(market.listed(), newest.count());
            }
            for id in log.market().ids_from(0) {
                let (own, theirs) = (replica.market(), log.market());
                prop_assert_eq!(
                    own.newest(id).map(crate::Frame::event),
                    theirs.newest(id).map(crate::Frame::event)
                );
            }
        }
        // After all, a publisher continues where the readers are.
        let tick = Tick::new(symbol(0), Price::from_units(77, 0).unwrap());
        let options = SourceOptions::default();
        log.take_back();
        let last = log.accept(&tick, SourceId(1), options, now(1000)).unwrap().outcome;
        prop_assert_eq!(last, Outcome::Accepted(log.cursor().seq().next()));
    }
}

fn catch_up(replica: &mut Replica, log: &Sequencer) {
    while replica.catch_up(u64::MAX).is_err() {
        assert_eq!(log.copy_market(replica, 0, usize::MAX), None);
    }
}
