//! Tests streams that were quiet, or blocked, for a long time.

use super::*;

#[test]
fn a_simple_stream_can_have_its_own_keep_alive_interval() {
    let mut stage = Stage::new(Limits::default());
    let (_, reader) = stage.open(to("*").heartbeat(Heartbeat::seconds(3)));
    for _ in 0..2 {
        stage.pass(2_999);
        assert!(reader.take().is_empty());
        stage.pass(1);
        assert_eq!(reader.take(), [": keep-alive"]);
    }
}

#[test]
fn quiet_streams_are_sent_keep_alive_comments() {
    let mut stage = Stage::new(Limits::default());
    let (_, reader) = stage.open(to("*"));
    stage.pass(10_000);
    stage.tick("A", 1);
    stage.flush();
    stage.pass(14_999);
    assert_eq!(reader.take(), ["A 1=1"]);
    stage.pass(1);
    assert_eq!(reader.take(), [": keep-alive"]);
    stage.pass(15_000);
    assert_eq!(reader.take(), [": keep-alive"]);
}

#[test]
fn a_connection_that_was_reset_is_removed_at_its_heartbeat() {
    let mut stage = Stage::new(Limits::default());
    let (_, reader) = stage.open(to("*"));
    let (_, other) = stage.open(to("*"));
    reader.0.borrow_mut().left = true;
    // The lane was not notified of the reset, and did not run for a long time.
    stage.pass(60_000);
    assert_eq!(stage.lane.stats.streams(), 1);
    assert_eq!(other.take(), [": keep-alive"]);
}

#[test]
fn a_reader_that_accepts_nothing_is_cut_and_a_slow_reader_is_not() {
    let mut stage = Stage::new(Limits::default());
    let (_, dead) = stage.open(to("*"));
    let (slow_key, slow) = stage.open(to("*"));
    dead.stop(true);
    slow.0.borrow_mut().room = Some(0);
    for second in 0..50 {
        stage.tick("A", second);
        stage.flush();
        stage.pass(1000);
        if second % 20 == 19 {
            slow.0.borrow_mut().room = Some(1);
            stage.lane.ready(slow_key, stage.now);
        }
    }
    assert!(dead.0.borrow().cut && !slow.0.borrow().cut);
    assert_eq!(stage.lane.stats.streams(), 1);
    assert_eq!(slow.take().len(), 2, "the newest, each time");
}
