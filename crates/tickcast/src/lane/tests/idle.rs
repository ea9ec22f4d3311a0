//! Tests streams that were quiet, or blocked, for a long time.

use super::*;

#[test]
fn a_simple_stream_can_have_its_own_keep_alive_interval() {
    let mut harness = Harness::new(Limits::default());
    let (_, reader) = harness.open(subscribe("*").heartbeat(Heartbeat::seconds(3)));
    for _ in 0..2 {
        harness.advance_time(2_999);
        assert!(reader.take().is_empty());
        harness.advance_time(1);
        assert_eq!(reader.take(), [": keep-alive"]);
    }
}

#[test]
fn quiet_streams_are_sent_keep_alive_comments() {
    let mut harness = Harness::new(Limits::default());
    let (_, reader) = harness.open(subscribe("*"));
    harness.advance_time(10_000);
    harness.tick("A", 1);
    harness.flush();
    harness.advance_time(14_999);
    assert_eq!(reader.take(), ["A 1=1"]);
    harness.advance_time(1);
    assert_eq!(reader.take(), [": keep-alive"]);
    harness.advance_time(15_000);
    assert_eq!(reader.take(), [": keep-alive"]);
}

#[test]
fn a_connection_that_was_reset_is_removed_at_its_heartbeat() {
    let mut harness = Harness::new(Limits::default());
    let (_, reader) = harness.open(subscribe("*"));
    let (_, other) = harness.open(subscribe("*"));
    reader.0.borrow_mut().peer_reset = true;
    // The lane was not notified of the reset, and did not run for a long time.
    harness.advance_time(60_000);
    assert_eq!(harness.lane.stats.streams(), 1);
    assert_eq!(other.take(), [": keep-alive"]);
}

#[test]
fn a_reader_that_accepts_nothing_is_cut_and_a_slow_reader_is_not() {
    let mut harness = Harness::new(Limits::default());
    let (_, dead) = harness.open(subscribe("*"));
    let (slow_key, slow) = harness.open(subscribe("*"));
    dead.stop(true);
    slow.0.borrow_mut().remaining_writes = Some(0);
    for second in 0..50 {
        harness.tick("A", second);
        harness.flush();
        harness.advance_time(1000);
        if second % 20 == 19 {
            slow.0.borrow_mut().remaining_writes = Some(1);
            harness.lane.ready(slow_key, harness.now);
        }
    }
    assert!(dead.0.borrow().cut && !slow.0.borrow().cut);
    assert_eq!(harness.lane.stats.streams(), 1);
    assert_eq!(slow.take().len(), 2, "the newest, each time");
}
