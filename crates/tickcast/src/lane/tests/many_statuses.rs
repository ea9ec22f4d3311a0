//! However many symbols have a state of their own, each state is sent.

use tickcast_core::{State, Time};

use super::restored::{events, feed};
use super::*;
use crate::sources::{VersionedStatus, VersionedSymbolStatus};
use crate::subscription::Edit;

const SYMBOLS: usize = 1200;

/// Returns a market with many symbols of one source, which is live.
fn market() -> Harness {
    let mut harness = Harness::new(Limits::default());
    for n in 0..SYMBOLS {
        harness.tick(&format!("S{n:04}"), 1);
    }
    harness.flush();
    harness
}

impl Harness {
    /// Sends all statuses, turn after turn.
    fn tell_statuses(&mut self) {
        while self.lane.has_status_visits() {
            self.lane.visit_for_statuses(self.now);
        }
    }

    /// Sets the state of each symbol, one after the other. The first change has the version `from`.
    fn set_each_symbol(&mut self, from: u64, state: State) {
        let symbols = (0..SYMBOLS).map(|n| VersionedSymbolStatus {
            symbol: Symbol::new(&format!("S{n:04}")).unwrap(),
            state,
            since: Time::default(),
            reason: None,
            // The order of the versions is not that of the names.
            version: from + ((n * 7) % SYMBOLS) as u64,
        });
        let status = VersionedStatus {
            symbols: symbols.collect(),
            ..feed(1, State::Live)
        };
        let (version, now) = (from + SYMBOLS as u64 - 1, self.now);
        self.lane.update_statuses(vec![status], version, now);
    }
}

/// Checks that the events tell this state of each symbol once.
fn assert_told(events: &[String], state: &str) {
    let suffix = format!(" {state}");
    let told = events
        .iter()
        .filter_map(|event| event.strip_suffix(&suffix));
    let mut told: Vec<_> = told.filter(|name| *name != "feed").collect();
    told.sort_unstable();
    let expected: Vec<_> = (0..SYMBOLS).map(|n| format!("S{n:04}")).collect();
    assert_eq!(told, expected);
}

/// Checks that the events first tell that each symbol is down, and then have the ticks.
fn assert_down_before_ticks(events: &[String]) {
    assert_told(events, "down");
    let first_tick = events.iter().position(|event| event.contains('='));
    assert_eq!(first_tick, Some(SYMBOLS));
}

#[test]
fn a_stream_is_told_in_several_payloads() {
    let mut harness = market();
    let (_, reader) = harness.read("*", Mode::Latest, None);
    events(&reader);
    reader.0.borrow_mut().max_payload_bytes = 0;
    for (from, state) in [(2, "down"), (5000, "live"), (9000, "down")] {
        let to = if state == "live" {
            State::Live
        } else {
            State::Down
        };
        harness.set_each_symbol(from, to);
        assert_told(&events(&reader), state);
    }
    assert!(reader.0.borrow().max_payload_bytes < 72 << 10);
}

#[test]
fn a_slow_stream_is_told_the_rest_when_it_reads_again() {
    let mut harness = market();
    let (key, reader) = harness.read("*", Mode::Latest, None);
    events(&reader);
    reader.0.borrow_mut().remaining_writes = Some(1);
    harness.set_each_symbol(2, State::Down);
    let mut told = events(&reader);
    assert!(told.len() < SYMBOLS);
    reader.0.borrow_mut().remaining_writes = None;
    reader.stop(false);
    harness.lane.ready(key, harness.now);
    harness.tell_statuses();
    told.extend(events(&reader));
    assert_told(&told, "down");
}

#[test]
fn a_new_stream_is_told_before_its_ticks() {
    let mut harness = market();
    harness.set_each_symbol(2, State::Down);
    let (_, reader) = harness.read("*", Mode::Latest, None);
    harness.tell_statuses();
    assert_down_before_ticks(&events(&reader));
}

#[test]
fn a_changed_filter_is_told_before_its_ticks() {
    let mut harness = market();
    harness.set_each_symbol(2, State::Down);
    let (_, reader) = harness.read("X", Mode::Latest, None);
    assert!(events(&reader).is_empty());
    let edit = Edit {
        set: Some(Filter::all()),
        ..Edit::default()
    };
    assert!(change(&mut harness.lane, StreamId::of(1), edit, harness.now).is_some());
    harness.tell_statuses();
    assert_down_before_ticks(&events(&reader));
}

#[test]
fn many_streams_are_told_of_many_symbols_in_turns() {
    let mut harness = market();
    let head = (Epoch::new(1), harness.log.head());
    let readers: Vec<_> = (0..100)
        .map(|id| {
            let session = session_options(id, Mode::Latest, Duration::MAX);
            let (_, reader) = harness.open(Subscription::default().resumable(session, head));
            events(&reader);
            reader
        })
        .collect();
    harness.set_each_symbol(2, State::Down);
    let sent = readers
        .iter()
        .map(|reader| reader.0.borrow().received.len())
        .sum::<usize>();
    assert!((1..7 << 20).contains(&sent), "{sent}");
    harness.tell_statuses();
    for reader in readers {
        assert_told(&events(&reader), "down");
    }
}
