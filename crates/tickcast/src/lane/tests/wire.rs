//! Tests the bytes that readers are sent, event by event. The bytes are a compatibility promise: internal
//! changes must not change them.

use tickcast_core::{SourceStatus, State, Time};

use super::*;
use crate::sources::{VersionedStatus, VersionedSymbolStatus};

/// The shortest heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(3);

impl Stage {
    /// Publishes a tick at a fixed wall clock time.
    fn json(&self, json: &str) {
        let wall = Time::from_millis(1_764_205_400_000).unwrap();
        let taken = |_, outcome: Result<Outcome, TickError>| _ = outcome.unwrap();
        let how = (SourceId::default(), SourceOptions::default(), Now { wall, uptime: self.now });
        self.log.publish([&Tick::from_json(json.as_bytes()).unwrap()], how, taken, || None);
    }

    /// Opens one stream of each kind. Returns the name and the reader of each stream.
    fn readers(&mut self) -> Vec<(&'static str, Reader)> {
        let head = (self.log.read(|log| log.cursor().epoch), self.log.head());
        let named = |number, mode| terms(number, mode, HEARTBEAT);
        let last = |text: &str| SessionOptions { last: Some(text.into()), ..named(5, Mode::All) };
        let kinds = [
            ("simple, all", to("*")),
            ("simple, some, paced", to("A,C*").max_rate(Rate::per_second(2.0).unwrap())),
            ("resumable, newest values", to("*").resumable(named(1, Mode::Latest), head)),
            (
                "resumable, every tick from the oldest",
                to("*").oldest_first().resumable(named(2, Mode::All), head),
            ),
            (
                "resumable, paced",
                to("A").max_rate(Rate::per_second(1.0).unwrap()).resumable(named(3, Mode::Latest), head),
            ),
            ("resumable, from a cursor that is no good", to("B").resumable(last("not-a-cursor"), head)),
        ];
        kinds.map(|(name, subscription)| (name, self.open(subscription).1)).into()
    }
}

fn turned(state: State, turn: u64, symbols: Vec<VersionedSymbolStatus>) -> Vec<VersionedStatus> {
    let since = Time::from_millis(1_764_205_000_000).unwrap();
    let reason = (state == State::Down).then(|| "connection refused".to_owned());
    let status = SourceStatus { source: "feed".to_owned(), state, since, reason };
    vec![VersionedStatus { status, version: turn, symbols }]
}

#[test]
fn readers_are_sent_the_bytes_that_were_promised() {
    // Random values are the same in each run.
    fastrand::seed(1);
    let mut stage = Stage::new(Limits::default());
    stage.json(
        r#"{"symbol":"A","price":1.50,"time":1764205320000,"bid":1.49,"ask":1.51,"note":"a \"quoted\" ü"}"#,
    );
    stage.json(r#"{"symbol":"B","price":"-0.000001","prev_close":2,"time":1764205320001,"halted":true}"#);
    stage.json(r#"{"symbol":"C=F","price":1e3,"change":-12.5,"time":"2025-11-27T01:02:03.004Z"}"#);
    stage.flush();
    stage.lane.update_statuses(turned(State::Down, 1, Vec::new()), 1, stage.now);
    let readers = stage.readers();
    stage.json(r#"{"symbol":"A","price":1.75,"time":1764205330000,"size":0.001,"id":null}"#);
    stage.json(r#"{"symbol":"B","price":12345678901234567890.12345678,"time":1764205330001}"#);
    stage.flush();
    let symbol = Symbol::new("B").unwrap();
    let own = VersionedSymbolStatus {
        symbol,
        state: State::Stale,
        since: Time::from_millis(1_764_205_000_001).unwrap(),
        reason: Some("halted".to_owned()),
        version: 3,
    };
    stage.lane.update_statuses(turned(State::Live, 2, vec![own]), 3, stage.now);
    stage.log.remove(&symbol, Now::default()).unwrap();
    stage.flush();
    let edit = Edit { add: Some(Filter::parse(["B*", "C=F"]).unwrap()), ..Edit::default() };
    change(&mut stage.lane, StreamId::of(3), edit, stage.now).unwrap().unwrap();
    stage.pass(3_000);
    stage.pass(12_000);
    stage.lane.end(usize::MAX);
    let sent: String =
        readers.iter().map(|(name, reader)| format!("==== {name}\n{}", reader.0.borrow().received)).collect();
    insta::assert_snapshot!(sent.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}
