//! Tests visits: how much a stream is sent at a time, and how often.

use tickcast_core::Time;

use super::*;
use crate::source_state::SourceState;
use crate::sources::Sources;

#[test]
fn a_rate_conflates_ticks_and_the_newest_tick_arrives() {
    let mut harness = Harness::new(Limits::default());
    harness.tick("A", 1);
    harness.flush();
    let (_, reader) = harness.open(subscribe("*").max_rate(Rate::per_second(2.0).unwrap()));
    assert_eq!(reader.take(), ["A 1=1"]);
    harness.advance_time(600);
    harness.tick("A", 2);
    harness.flush();
    assert_eq!(reader.take(), ["A 2=2"], "after quiet at once");
    for price in 3..=5 {
        harness.advance_time(10);
        harness.tick("A", price);
        harness.flush();
    }
    assert!(reader.take().is_empty());
    harness.advance_time(469);
    assert!(reader.take().is_empty());
    harness.advance_time(1);
    assert_eq!(reader.take(), ["A 5=5"]);
}

#[test]
fn a_visit_of_many_payloads_continues_as_fast_as_the_reader_accepts_them() {
    let mut harness = Harness::new(Limits::default());
    let name = |i: i64| format!("S{i:04}");
    (0..2000).for_each(|i| harness.tick(&name(i), i));
    harness.flush();
    let (key, reader) = harness.open(subscribe("*").max_rate(Rate::per_second(0.1).unwrap()));
    assert_eq!(reader.take().len(), 2000);
    harness.advance_time(10_000);
    reader.0.borrow_mut().remaining_writes = Some(1);
    (0..2000).for_each(|i| harness.tick(&name(i), 7));
    harness.flush();
    let mut seen = reader.take();
    assert!((1..2000).contains(&seen.len()), "one piece of several");
    while seen.len() < 2000 {
        // Ticks that arrive meanwhile belong to the next visit.
        harness.tick(&name(1999), 8);
        harness.flush();
        reader.0.borrow_mut().remaining_writes = Some(1);
        harness.lane.ready(key, harness.now);
        let more = reader.take();
        if more.is_empty() {
            break;
        }
        seen.extend(more);
    }
    assert_eq!(seen.len(), 1999, "each once, save the one that moved on");
    assert!(seen.iter().all(|tick| tick.ends_with(" 2=7")));
    reader.0.borrow_mut().remaining_writes = None;
    harness.lane.ready(key, harness.now);
    assert!(reader.take().is_empty(), "its time has not come");
    harness.advance_time(10_000);
    let last = reader.take();
    assert!(
        last.len() == 1 && last[0].starts_with("S1999 ") && last[0].ends_with("=8"),
        "{last:?}"
    );
}

#[test]
fn a_fast_reader_is_sent_a_limited_number_of_payloads_per_turn() {
    let mut harness = Harness::new(Limits::default());
    (0..20_000).for_each(|number| harness.wide_tick(&format!("S{number}"), 1));
    harness.flush();
    let (_, reader) = harness.open(subscribe("*"));
    let mut rounds = 0;
    let mut ticks = reader.take().len();
    while ticks < 20_000 {
        assert!(reader.0.borrow().received.len() <= 8 << 20);
        harness.advance_time(1);
        ticks += reader.take().len();
        rounds += 1;
    }
    assert!((2..10).contains(&rounds), "{rounds} rounds");
}

#[test]
fn a_snapshot_of_many_payloads_arrives_complete() {
    let mut harness = Harness::new(Limits::default());
    (0..2000).for_each(|i| harness.tick(&format!("S{i:04}"), i));
    harness.flush();
    let (_, reader) = harness.open(subscribe("*"));
    let names: Vec<_> = (0..2000).map(|i| format!("S{i:04} 1={i}")).collect();
    assert_eq!(reader.take(), names);
}

#[test]
fn a_new_rate_does_not_wait_for_the_timer_of_the_old_rate() {
    let mut harness = Harness::new(Limits::default());
    let options = session_options(7, Mode::Latest, Duration::from_secs(60));
    let head = (Epoch::new(1), harness.log.head());
    let slow = Subscription::default()
        .max_rate(Rate::per_second(0.1).unwrap())
        .resumable(options, head);
    let reader = Reader::default();
    let sink = |_| Ok::<_, std::convert::Infallible>(reader.clone());
    let Ok(_) = harness.lane.open(sink, slow, harness.now);
    harness.tick("A", 1);
    harness.flush();
    harness.tick("A", 2);
    harness.flush();
    let fast = Edit {
        rate: Some(Rate::per_second(100.0).ok()),
        ..Edit::default()
    };
    assert!(change(&mut harness.lane, StreamId::of(7), fast, harness.now).is_some());
    harness.tick("A", 3);
    harness.flush();
    harness.advance_time(20);
    assert!(
        reader.0.borrow().received.contains("\"price\":3,"),
        "not after ten seconds"
    );
}

/// Maximum number of writes that one turn of the lane tries on a stream: the maximum of one visit,
/// and a heartbeat.
const MAX_WRITES_PER_TURN: usize = 65;

/// Number of symbols for which a visit takes five turns.
const MANY: usize = 20_000;

/// Publishes a tick of each of the [`MANY`] symbols.
fn tick_all(harness: &Harness, price: usize) {
    (0..MANY).for_each(|number| harness.wide_tick(&format!("S{number:05}"), price));
}

/// Returns a market of [`MANY`] symbols, and a reader with a rate that has been sent all of them.
fn reader_with_rate(updates: f64) -> (Harness, Reader) {
    let mut harness = Harness::new(Limits::default());
    tick_all(&harness, 1);
    harness.flush();
    let (_, reader) = harness.open(subscribe("*").max_rate(Rate::per_second(updates).unwrap()));
    let mut seen = reader.take().len();
    while seen < MANY {
        harness.advance_time(1);
        let more = reader.take().len();
        assert!(more > 0, "the snapshot goes on by itself");
        seen += more;
    }
    (harness, reader)
}

/// The idle check of the stream happens during a visit of many turns.
#[test]
fn a_stream_in_a_visit_of_many_turns_does_not_count_as_idle() {
    let (mut harness, reader) = reader_with_rate(0.1);
    let idle_check_at = STREAM_LIMITS.keep_alive;
    harness.advance_time((idle_check_at - harness.now).as_millis() as u64 - 1);
    tick_all(&harness, 2);
    harness.flush();
    let mut seen = reader.take();
    assert!(
        (1..MANY).contains(&seen.len()),
        "{} in the first round",
        seen.len()
    );
    harness.advance_time(1);
    assert_eq!(harness.now, idle_check_at);
    seen.extend(reader.take());
    assert!(
        seen.len() < MANY,
        "it was not over when the stream was looked at"
    );
    loop {
        harness.advance_time(1);
        let more = reader.take();
        if more.is_empty() {
            break;
        }
        seen.extend(more);
    }
    let all: Vec<_> = (0..MANY)
        .map(|number| format!("S{number:05} 2=2"))
        .collect();
    assert!(seen == all, "{} of {MANY}", seen.len());
}

/// The end of a visit is fixed when the visit starts, even if the visit takes longer than the
/// interval of the rate. Ticks that arrive meanwhile belong to the next visit.
#[test]
fn a_visit_that_takes_longer_than_its_interval_does_not_restart() {
    for updates in [0.1, 100.0] {
        let (mut harness, reader) = reader_with_rate(updates);
        let interval = Rate::per_second(updates).unwrap().interval().as_millis() as u64;
        harness.advance_time(interval);
        tick_all(&harness, 2);
        harness.flush();
        let mut seen = reader.take();
        let (mut rounds, mut price) = (0, 2);
        while seen.len() < MANY {
            price += 1;
            reader.0.borrow_mut().tried_writes = 0;
            harness.tick("S00000", price);
            harness.flush();
            // With a high rate, the next visit is already due at this time.
            harness.advance_time(20);
            let tried_writes = reader.0.borrow().tried_writes;
            assert!(
                tried_writes <= MAX_WRITES_PER_TURN,
                "{tried_writes} pieces in a turn"
            );
            let more = reader.take();
            assert!(!more.is_empty(), "{} of {MANY}", seen.len());
            seen.extend(more);
            rounds += 1;
        }
        let all: Vec<_> = (0..MANY)
            .map(|number| format!("S{number:05} 2=2"))
            .collect();
        assert!(
            seen == all,
            "{updates} a second, {rounds} rounds: {:?}",
            seen.last()
        );
        assert!(rounds >= 2, "{rounds} rounds");
        harness.advance_time(interval);
        assert_eq!(reader.take(), [format!("S00000 {price}={price}")]);
    }
}

/// A source may have so many symbols that the notices of a change of its state are many bytes for each
/// stream.
#[test]
fn the_notices_of_a_change_of_state_are_sent_in_turns() {
    let mut harness = Harness::new(Limits::default());
    let names: Vec<_> = (0..1000).map(|number| format!("S{number:04}")).collect();
    names.iter().for_each(|name| harness.tick(name, 1));
    harness.flush();
    let filter = Filter::parse(names.iter().map(String::as_str)).unwrap();
    let head = (Epoch::new(1), harness.log.head());
    let readers: Vec<_> = (0..80)
        .map(|id| {
            let session = session_options(id, Mode::Latest, Duration::MAX);
            let (_, reader) =
                harness.open(Subscription::to(filter.clone()).resumable(session, head));
            reader.0.borrow_mut().received.clear();
            reader
        })
        .collect();
    // The notices come after the batch that the lane makes before it reads the states.
    harness.tick("S0000", 2);
    harness
        .lane
        .follow_log(&harness.log, BATCH_TICKS, Duration::ZERO, harness.now);
    let sources = Sources::default();
    let (_, source) = sources.register("feed", Time::default());
    sources.set(
        &source,
        &SourceState::Down("away".to_owned()),
        Now::default(),
    );
    let (statuses, version) = (sources.statuses(), sources.version());
    harness.lane.update_statuses(statuses, version, harness.now);
    let told = || {
        let is_told = |reader: &&Reader| reader.0.borrow().received.contains("away");
        readers.iter().filter(is_told).count()
    };
    assert_eq!(told(), 0);
    harness.flush();
    assert_eq!(told(), 0);
    harness.lane.visit_for_statuses(harness.now);
    assert!((1..80).contains(&told()), "{}", told());
    while harness.lane.has_work() {
        harness.lane.visit_for_statuses(harness.now);
    }
    assert_eq!(told(), 80);
    for reader in readers {
        let received = &reader.0.borrow().received;
        assert_eq!(received.matches("event: status").count(), 1 + 1000);
    }
}
