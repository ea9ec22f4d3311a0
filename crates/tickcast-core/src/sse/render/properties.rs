//! Properties that must hold for every market, filter and position.

use std::collections::BTreeMap;
use std::time::Duration;

use eventsource_stream::Eventsource;
use futures_util::{FutureExt, StreamExt};
use proptest::prelude::*;

use super::*;
use crate::{
    Epoch, Filter, Limits, Now, Price, Replica, Sequencer, SourceId, SourceOptions, Symbol, Tick,
    Time, Value,
};

const NAMES: [&str; 6] = ["AAPL", "BTC-USD", "BTC-EUR", "EUR/USD", "^SPX", "Z"];
/// An upper bound that is never reached.
const END: Seq = Seq::new(u64::MAX);
const FILTERS: [&[&str]; 5] = [
    &["*"],
    &["AAPL"],
    &["BTC*", "Z"],
    &["NOT-YET"],
    &["AAPL", "EUR/USD", "^SPX"],
];

/// Parses a stream with an independent parser. Returns (symbol, price, n) of each tick.
fn read(bytes: Vec<u8>) -> Vec<(String, String, u64)> {
    let events =
        futures_util::stream::iter([Ok::<_, std::convert::Infallible>(bytes)]).eventsource();
    let events: Vec<_> = events.map(Result::unwrap).collect().now_or_never().unwrap();
    events
        .into_iter()
        .map(|event| {
            assert_eq!(event.event, "tick");
            let json: BTreeMap<String, Box<serde_json::value::RawValue>> =
                serde_json::from_str(&event.data).unwrap();
            let symbol: String = serde_json::from_str(json["symbol"].get()).unwrap();
            assert_eq!(event.id, symbol);
            (
                symbol,
                json["price"].get().to_owned(),
                json["n"].get().parse().unwrap(),
            )
        })
        .collect()
}

/// One step of a test: a tick of one of [`NAMES`], or its removal.
#[derive(Debug, Clone, Copy)]
enum Step {
    Tick(usize, i64),
    Remove(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        9 => (0..NAMES.len(), -999i64..999).prop_map(|(i, units)| Step::Tick(i, units)),
        1 => (0..NAMES.len()).prop_map(Step::Remove),
    ];
    prop::collection::vec(step, 0..60)
}

fn apply(log: &mut Sequencer, step: Step) {
    let symbol = |i: usize| Symbol::new(NAMES[i]).unwrap();
    match step {
        Step::Tick(i, units) => {
            let tick = Tick::new(symbol(i), Price::from_units(units, 2).unwrap());
            log.accept(
                &tick,
                SourceId::default(),
                SourceOptions::default(),
                Now::default(),
            )
            .unwrap();
        }
        Step::Remove(i) => {
            log.remove(&symbol(i), Now::default());
        }
    }
}

fn log(steps: &[Step]) -> Sequencer {
    let mut log = Sequencer::new(Epoch::new(1), Limits::default());
    steps.iter().for_each(|step| apply(&mut log, *step));
    log
}

fn selection(log: &Sequencer, filter: usize) -> Selection {
    Selection::new(
        Filter::parse(FILTERS[filter].iter().copied()).unwrap(),
        log.market(),
    )
}

/// Renders every selected tick after `from` from the tape, with calls that stop after `max_bytes`
/// bytes.
fn render_all(log: &Sequencer, selection: &Selection, mut from: Seq, max_bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while from < log.cursor().seq() {
        from = all_ticks(
            (log.market(), log.tape()),
            selection,
            (from, END),
            EventFormat::Simple,
            max_bytes,
            &mut out,
        )
        .reached;
    }
    out
}

/// Returns the last price of each symbol that a reader has received.
fn last_prices(ticks: Vec<(String, String, u64)>) -> BTreeMap<String, String> {
    ticks
        .into_iter()
        .map(|(symbol, price, _)| (symbol, price))
        .collect()
}

proptest! {
    #[test]
    fn rendering_with_the_update_order_gives_the_same_bytes(
        steps in steps(), made_at in 0usize..70, filter in 0..FILTERS.len(),
        start in 0usize..60, until in 0usize..70, max_bytes in 1usize..2000, tape_ticks in 1usize..80,
    ) {
        let mut log = Sequencer::new(Epoch::new(1), Limits::default().tape_ticks(tape_ticks));
        let mut order = UpdateOrder::new(log.market());
        for (number, step) in steps.iter().enumerate() {
            if made_at == number {
                order = UpdateOrder::new(log.market());
            }
            apply(&mut log, *step);
        }
        // With a tape of one entry and without an order, every selected symbol is looked at.
        let mut short = Sequencer::new(Epoch::new(1), Limits::default().tape_ticks(1));
        steps.iter().for_each(|step| apply(&mut short, *step));
        let selection = selection(&log, filter);
        let (start, until) = (Seq::new(start as u64), Seq::new(until as u64));
        for catch_up in [conflated, initial_by_seq] {
            let rendered = |view: LogView<'_>| {
                let (mut out, mut from) = (Vec::new(), start);
                loop {
                    let range = (from, until);
                    let reached = catch_up(view, &selection, range, EventFormat::Simple, max_bytes, &mut out).reached;
                    if reached == from {
                        return (out, reached);
                    }
                    from = reached;
                }
            };
            let looked_at_all = rendered((short.market(), short.tape(), None));
            prop_assert_eq!(rendered((log.market(), log.tape(), Some(&order))), looked_at_all.clone());
            prop_assert_eq!(rendered((log.market(), log.tape(), None)), looked_at_all);
        }
    }

    #[test]
    fn rendering_the_tape_in_several_calls_gives_the_same_bytes(steps in steps(), filter in 0..FILTERS.len(), max_bytes in 1usize..2000) {
        let log = log(&steps);
        let selection = selection(&log, filter);
        let whole = render_all(&log, &selection, Seq::ZERO, usize::MAX);
        prop_assert_eq!(render_all(&log, &selection, Seq::ZERO, max_bytes), whole);
    }

    #[test]
    fn conflation_from_any_position_gives_the_same_last_prices(
        steps in steps(), filter in 0..FILTERS.len(), start in 0usize..60, max_bytes in 1usize..2000,
    ) {
        let log = log(&steps);
        let selection = selection(&log, filter);
        let from = Seq::new((start as u64).min(log.cursor().seq().get()));
        let every = last_prices(read(render_all(&log, &selection, from, usize::MAX)));
        let (mut merged, mut at) = (Vec::new(), from);
        while at < log.cursor().seq() {
            at = conflated((log.market(), log.tape(), None), &selection, (at, END), EventFormat::Simple, max_bytes, &mut merged).reached;
        }
        let merged = read(merged);
        prop_assert!(merged.len() == last_prices(merged.clone()).len(), "each symbol at most once");
        // Conflation can skip the last price before a removal. Such a reader never receives this
        // price, and the symbol is removed.
        let on_market = |symbol: &String| {
            let id = log.market().id(&Symbol::new(symbol).unwrap()).unwrap();
            log.market().newest(id).is_some()
        };
        let every: BTreeMap<_, _> = every.into_iter().filter(|(symbol, _)| on_market(symbol)).collect();
        prop_assert_eq!(last_prices(merged), every);
    }

    #[test]
    fn a_snapshot_in_several_calls_and_the_following_ticks_miss_and_repeat_nothing(
        before in steps(), during in steps(), filter in 0..FILTERS.len(), max_bytes in 1usize..500,
    ) {
        let mut log = log(&before);
        let mut selection = selection(&log, filter);
        let (at, mut after, mut out, mut during) = (log.cursor().seq(), None, Vec::new(), during.into_iter());
        loop {
            selection.extend(log.market(), usize::MAX, |_| {});
            after = snapshot_by_name(log.market(), &selection, at, after, EventFormat::Simple, max_bytes, &mut out).reached;
            if after.is_none() { break }
            if let Some(step) = during.next() { apply(&mut log, step) }
        }
        let pieces = read(out.clone());
        prop_assert!(pieces.is_sorted_by(|a, b| a.0 < b.0), "in order of names");
        during.for_each(|step| apply(&mut log, step));
        selection = Selection::new(selection.filter().clone(), log.market());
        conflated((log.market(), log.tape(), None), &selection, (at, END), EventFormat::Simple, usize::MAX, &mut out);
        let all = read(out);
        let distinct: std::collections::BTreeSet<_> = all.iter().map(|(symbol, _, n)| (symbol, n)).collect();
        prop_assert_eq!(distinct.len(), all.len(), "no tick twice");
        let seen = last_prices(all);
        for id in selection.ids() {
            let symbol = log.market().symbol(id).to_string();
            if let Some(frame) = log.market().newest(id) {
                let newest = last_prices(read(frame.event().to_vec()));
                prop_assert_eq!(seen.get(&symbol), newest.get(&symbol));
            }
        }
    }

    #[test]
    fn a_replica_becomes_equal_to_its_sequencer(
        steps in steps(), pause in 1usize..9, piece in 1usize..5, tape_ticks in 1usize..80,
    ) {
        let limits = Limits::default().tape_ticks(tape_ticks);
        let mut log = Sequencer::new(Epoch::new(1), limits);
        let mut replica = log.replica();
        // The market moves on while a replica copies it piece by piece.
        let mut copied = None;
        let mut advance = |log: &Sequencer, replica: &mut Replica| match copied {
            Some(from) => {
                copied = log.copy_market(replica, from, piece);
                false
            }
            None => {
                let followed = replica.catch_up(u64::MAX);
                copied = followed.err().map(|_| 0);
                followed.is_ok()
            }
        };
        for (i, step) in steps.iter().enumerate() {
            apply(&mut log, *step);
            log.show();
            if i % pause == 0 && advance(&log, &mut replica) {
                prop_assert_eq!(replica.head(), log.cursor().seq());
                prop_assert_eq!(replica.tape().digest(), log.tape().digest());
            }
        }
        while !advance(&log, &mut replica) {}
        prop_assert_eq!(replica.head(), log.cursor().seq());
        prop_assert_eq!(replica.market().len(), log.market().len());
        for id in log.market().ids_from(0) {
            let bytes = |market: &Market| market.newest(id).map(|frame| frame.event().to_vec());
            prop_assert_eq!(replica.market().last_seq(id), log.market().last_seq(id));
            prop_assert_eq!(bytes(replica.market()), bytes(log.market()));
        }
    }

    #[test]
    fn any_symbol_and_any_extra_read_back(
        name in "[A-Za-z0-9._/:^=&-]{1,32}", units: i64, decimals in 0u8..=28, text: String, number in "-?[1-9][0-9]{0,40}",
    ) {
        let mut tick = Tick::new(Symbol::new(&name).unwrap(), Price::from_units(units, decimals).unwrap());
        tick.time = Some(Time::from_millis(1_782_907_200_123).unwrap());
        let _ = tick.extras.push("note", Value::Text(&text));
        tick.extras.push("size", Value::Number(&number)).unwrap();
        let mut log = Sequencer::new(Epoch::new(1), Limits::default());
        let now = Now { wall: tick.time.unwrap(), uptime: Duration::ZERO };
        log.accept(&tick, SourceId::default(), SourceOptions::default(), now).unwrap();
        let out = render_all(&log, &Selection::new(Filter::all(), log.market()), Seq::ZERO, usize::MAX);
        prop_assert!(out.is_ascii());
        let size = format!("\"size\":{number}");
        prop_assert!(String::from_utf8(out.clone()).unwrap().contains(&size));
        prop_assert_eq!(read(out), vec![(name, tick.price.to_string(), 1)]);
    }
}

#[test]
fn resumable_events_carry_the_cursor_last() {
    let log = log(&[Step::Tick(0, 100), Step::Tick(1, 250)]);
    let everything = Selection::new(Filter::all(), log.market());
    let mut out = Vec::new();
    let (range, format) = (
        (Seq::new(1), END),
        EventFormat::Resumable(Epoch::new(1), None),
    );
    all_ticks(
        (log.market(), log.tape()),
        &everything,
        range,
        format,
        usize::MAX,
        &mut out,
    );
    let id = log.cursor();
    assert!(id.to_string().starts_with("000000000001-2."), "{id}");
    let json = r#"{"symbol":"BTC-USD","price":2.50,"change":0.00,"change_pct":0,"time":0,"n":1}"#;
    assert_eq!(
        String::from_utf8(out).unwrap(),
        format!("event: tick\ndata: {json}\nid: {id}\n\n")
    );
}
