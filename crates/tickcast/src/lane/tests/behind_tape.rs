//! Tests readers that stop during a catch-up for so long that the tape no longer holds the target.

use super::*;
use crate::access::Viewer;

/// Opens a stream whose reader stops at once and continues after the tape has moved on. Returns the
/// kind of each event, and whether the event has an id.
fn events_of_stopped_reader(mode: Mode, rate: Option<Rate>) -> Vec<(String, bool)> {
    let mut harness = Harness::new(Limits::default().tape_ticks(4));
    ["A", "B"].iter().for_each(|symbol| harness.tick(symbol, 1));
    harness.flush();
    let options = SessionOptions {
        id: StreamId::of(7),
        mode,
        heartbeat: Duration::from_secs(60),
        last: None,
        broken: None,
        unverified: None,
        viewer: Viewer::default(),
        prepared_stream: None,
    };
    let subscription = rate.map_or_else(|| subscribe("*"), |rate| subscribe("*").max_rate(rate));
    let subscription = subscription.resumable(options, (Epoch::new(1), harness.log.head()));
    let reader = Reader::default();
    reader.stop(true);
    let sink = |_| Ok::<_, std::convert::Infallible>(reader.clone());
    let Ok(key) = harness.lane.open(sink, subscription, harness.now);
    for price in 2..9 {
        harness.tick("A", price);
        harness.flush();
    }
    reader.stop(false);
    harness.lane.ready(key, harness.now);
    let received = std::mem::take(&mut reader.0.borrow_mut().received);
    let events = received.split_terminator("\n\n").map(|event| {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
        (
            field("event: ").unwrap().to_owned(),
            field("id: ").is_some_and(|id| id.contains('-')),
        )
    });
    events.collect()
}

#[test]
fn newest_ticks_carry_a_cursor_that_a_reader_can_resume_from() {
    for rate in [None, Rate::per_second(10.0).ok()] {
        let events = events_of_stopped_reader(Mode::Latest, rate);
        let kinds: Vec<_> = events.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, ["tick", "tick", "ready"]);
        assert!(events.iter().all(|(_, id)| *id), "{events:?}");
    }
}

#[test]
fn a_reader_of_every_tick_is_sent_bye_first_if_ticks_are_lost() {
    let events = events_of_stopped_reader(Mode::All, None);
    assert_eq!(
        events
            .iter()
            .map(|(kind, _)| kind.as_str())
            .collect::<Vec<_>>(),
        ["bye"]
    );
}
