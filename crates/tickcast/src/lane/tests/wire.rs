//! Tests the bytes that readers are sent, event by event. The bytes are a compatibility promise:
//! internal changes must not change them.

use tickcast_core::{SourceStatus, State, Time};

use super::*;
use crate::sources::{VersionedStatus, VersionedSymbolStatus};

/// The shortest heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(3);

impl Harness {
    /// Publishes a tick at a fixed wall clock time.
    fn publish_json(&self, json: &str) {
        let wall = Time::from_millis(1_764_205_400_000).unwrap();
        let now = Now {
            wall,
            uptime: self.now,
        };
        self.log
            .publish_now(&Tick::from_json(json.as_bytes()).unwrap(), now);
    }

    /// Opens one stream of each kind. Returns the name and the reader of each stream.
    fn readers(&mut self) -> Vec<(&'static str, Reader)> {
        let head = (self.log.read(|log| log.cursor().epoch), self.log.head());
        let options = |number, mode| session_options(number, mode, HEARTBEAT);
        let with_cursor = |text: &str| SessionOptions {
            last: Some(text.into()),
            ..options(5, Mode::All)
        };
        let kinds = [
            ("simple, all", subscribe("*")),
            (
                "simple, some, paced",
                subscribe("A,C*").max_rate(Rate::per_second(2.0).unwrap()),
            ),
            (
                "resumable, newest values",
                subscribe("*").resumable(options(1, Mode::Latest), head),
            ),
            (
                "resumable, every tick from the oldest",
                subscribe("*")
                    .oldest_first()
                    .resumable(options(2, Mode::All), head),
            ),
            (
                "resumable, paced",
                subscribe("A")
                    .max_rate(Rate::per_second(1.0).unwrap())
                    .resumable(options(3, Mode::Latest), head),
            ),
            (
                "resumable, from a cursor that is no good",
                subscribe("B").resumable(with_cursor("not-a-cursor"), head),
            ),
        ];
        kinds
            .map(|(name, subscription)| (name, self.open(subscription).1))
            .into()
    }
}

fn source_statuses(
    state: State,
    version: u64,
    symbols: Vec<VersionedSymbolStatus>,
) -> Vec<VersionedStatus> {
    let since = Time::from_millis(1_764_205_000_000).unwrap();
    let reason = (state == State::Down).then(|| "connection refused".to_owned());
    let status = SourceStatus {
        source: "feed".to_owned(),
        state,
        since,
        reason,
    };
    vec![VersionedStatus {
        status,
        version,
        symbols,
    }]
}

#[test]
fn readers_are_sent_the_bytes_that_were_promised() {
    // Random values are the same in each run.
    fastrand::seed(1);
    let mut harness = Harness::new(Limits::default());
    harness.publish_json(
        r#"{"symbol":"A","price":1.50,"time":1764205320000,"bid":1.49,"ask":1.51,"note":"a \"quoted\" ü"}"#,
    );
    harness.publish_json(
        r#"{"symbol":"B","price":"-0.000001","prev_close":2,"time":1764205320001,"halted":true}"#,
    );
    harness.publish_json(
        r#"{"symbol":"C=F","price":1e3,"change":-12.5,"time":"2025-11-27T01:02:03.004Z"}"#,
    );
    harness.flush();
    harness
        .lane
        .update_statuses(source_statuses(State::Down, 1, Vec::new()), 1, harness.now);
    let readers = harness.readers();
    harness
        .publish_json(r#"{"symbol":"A","price":1.75,"time":1764205330000,"size":0.001,"id":null}"#);
    harness.publish_json(
        r#"{"symbol":"B","price":12345678901234567890.12345678,"time":1764205330001}"#,
    );
    harness.flush();
    let symbol = Symbol::new("B").unwrap();
    let symbol_status = VersionedSymbolStatus {
        symbol,
        state: State::Stale,
        since: Time::from_millis(1_764_205_000_001).unwrap(),
        reason: Some("halted".to_owned()),
        version: 3,
    };
    harness.lane.update_statuses(
        source_statuses(State::Live, 2, vec![symbol_status]),
        3,
        harness.now,
    );
    harness.log.remove(&symbol, Now::default()).unwrap();
    harness.flush();
    let edit = Edit {
        add: Some(Filter::parse(["B*", "C=F"]).unwrap()),
        ..Edit::default()
    };
    change(&mut harness.lane, StreamId::of(3), edit, harness.now)
        .unwrap()
        .unwrap();
    harness.advance_time(3_000);
    harness.advance_time(12_000);
    harness.lane.end(usize::MAX);
    let sent: String = readers
        .iter()
        .map(|(name, reader)| format!("==== {name}\n{}", reader.0.borrow().received))
        .collect();
    insta::assert_snapshot!(sent.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}
