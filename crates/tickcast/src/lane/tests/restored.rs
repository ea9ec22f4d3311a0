//! A price from before a restart never looks live, and no other price looks stale for long.

use tickcast_core::{Digest, Recorded, Restore, SourceStatus, State, Time};

use super::*;
use crate::sources::VersionedStatus;

/// Returns a market whose symbols all have the price 1 from before a restart.
fn restarted(symbols: &[&str]) -> Harness {
    let before = Harness::new(Limits::default());
    let mut restore = Restore::new(Epoch::new(1), Limits::default(), (Seq::ZERO, Digest::START));
    for name in symbols {
        before.tick(name, 1);
        let symbol = Symbol::new(name).unwrap();
        let json = before.log.read(|log| {
            let market = log.market();
            let frame = market.newest(market.id(&symbol)?)?;
            Some(frame.json().to_vec())
        });
        let recorded = Recorded {
            symbol,
            prev_close: None,
            json: json.as_deref(),
        };
        restore.replay(recorded, Some(Time::default()));
    }
    let mut harness = Harness::of(Log::new(restore.done()));
    harness.statuses(1, State::Live);
    harness.flush();
    harness
}

impl Harness {
    fn statuses(&mut self, version: u64, state: State) {
        let (status, now) = (feed(version, state), self.now);
        self.lane.update_statuses(vec![status], version, now);
    }

    pub(super) fn read(&mut self, filter: &str, mode: Mode, rate: Option<f64>) -> (Key, Reader) {
        let head = (self.log.read(|log| log.cursor().epoch), self.log.head());
        let mut subscription = subscribe(filter);
        if let Some(rate) = rate {
            subscription = subscription.max_rate(Rate::per_second(rate).unwrap());
        }
        let options = session_options(1, mode, Duration::from_secs(3600));
        self.open(subscription.resumable(options, head))
    }

    fn remove(&self, symbol: &str) {
        let symbol = Symbol::new(symbol).unwrap();
        assert!(self.log.remove(&symbol, Now::default()).unwrap().0);
    }
}

/// Returns the status of a source whose symbols have no states of their own.
pub(super) fn feed(version: u64, state: State) -> VersionedStatus {
    VersionedStatus {
        status: SourceStatus {
            source: "feed".to_owned(),
            state,
            since: Time::default(),
            reason: None,
        },
        version,
        symbols: Vec::new(),
    }
}

/// Takes the events: `A=2` for a tick, `A live` for a status, `feed down`, `A gone`.
pub(super) fn events(reader: &Reader) -> Vec<String> {
    let received = std::mem::take(&mut reader.0.borrow_mut().received);
    let event = |block: &str| {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
        let data: serde_json::Value = serde_json::from_str(field("data: ")?).unwrap();
        let name = data["symbol"].as_str().or(data["source"].as_str());
        match field("event: ").unwrap_or("tick") {
            "tick" => Some(format!("{}={}", name?, data["price"])),
            "status" => Some(format!("{} {}", name?, data["state"].as_str()?)),
            kind @ "gone" => Some(format!("{} {kind}", name?)),
            _ => None,
        }
    };
    received.split("\n\n").filter_map(event).collect()
}

#[test]
fn a_symbol_is_live_after_its_tick() {
    let mut harness = restarted(&["A", "B"]);
    for (mode, rate) in [(Mode::Latest, None), (Mode::All, None)] {
        let (key, reader) = harness.read("*", mode, rate);
        assert_eq!(events(&reader), ["A stale", "B stale", "A=1", "B=1"]);
        harness.lane.close(key);
    }
    let (_, reader) = harness.read("*", Mode::Latest, None);
    events(&reader);
    harness.tick("A", 2);
    harness.flush();
    assert_eq!(events(&reader), ["A=2", "A live"]);
}

#[test]
fn a_stream_with_a_rate_is_told_with_its_next_tick() {
    let mut harness = restarted(&["A", "B"]);
    harness.tick("B", 2);
    harness.flush();
    let (_, reader) = harness.read("*", Mode::Latest, Some(0.1));
    assert_eq!(events(&reader), ["A stale", "A=1", "B=2"]);
    harness.tick("A", 2);
    harness.flush();
    // Its source was stale and is live again. The price of A is still the old one.
    harness.statuses(2, State::Stale);
    assert_eq!(events(&reader), ["feed stale", "A stale", "B stale"]);
    harness.statuses(3, State::Live);
    assert_eq!(events(&reader), ["feed live", "B live"]);
    harness.advance_time(10_000);
    assert_eq!(events(&reader), ["A=2", "A live"]);
}

#[test]
fn a_symbol_of_a_source_that_is_down_is_not_live() {
    let mut harness = restarted(&["A"]);
    let (_, reader) = harness.read("*", Mode::Latest, Some(0.1));
    events(&reader);
    harness.tick("A", 2);
    harness.flush();
    harness.statuses(2, State::Down);
    assert_eq!(events(&reader), ["feed down", "A down"]);
    harness.advance_time(10_000);
    assert_eq!(events(&reader), ["A=2", "A down"]);
    harness.statuses(3, State::Live);
    assert_eq!(events(&reader), ["feed live", "A live"]);
}

#[test]
fn a_removed_symbol_is_not_live() {
    let mut harness = restarted(&["A"]);
    let (_, reader) = harness.read("*", Mode::Latest, Some(0.1));
    events(&reader);
    harness.tick("A", 2);
    harness.remove("A");
    harness.flush();
    harness.advance_time(10_000);
    assert_eq!(events(&reader), ["A gone"]);
}

#[test]
fn a_reader_with_room_for_one_payload_is_told() {
    let mut harness = restarted(&["A"]);
    let (key, reader) = harness.read("*", Mode::Latest, None);
    events(&reader);
    let mut seen = Vec::new();
    for price in 2..6 {
        harness.tick("A", price);
        harness.flush();
        reader.0.borrow_mut().remaining_writes = Some(1);
        harness.lane.ready(key, harness.now);
        seen.extend(events(&reader));
    }
    assert!(seen.contains(&"A live".to_owned()), "{seen:?}");
}

#[test]
fn a_symbol_that_was_said_to_be_stale_is_told_in_a_wide_filter_too() {
    let names: Vec<_> = (0..1200).map(|number| format!("S{number}")).collect();
    let mut names: Vec<_> = names.iter().map(String::as_str).collect();
    names.push("A");
    let mut harness = restarted(&names);
    let (_, reader) = harness.read("A", Mode::Latest, None);
    assert_eq!(events(&reader), ["A stale", "A=1"]);
    let wide = Edit {
        set: Some(Filter::all()),
        ..Edit::default()
    };
    let id = StreamId::of(1);
    assert!(change(&mut harness.lane, id, wide, harness.now).is_some());
    harness.advance_time(1000);
    events(&reader);
    harness.tick("A", 2);
    harness.flush();
    assert_eq!(events(&reader), ["A=2", "A live"]);
}
