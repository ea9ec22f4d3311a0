//! Streams whose readers may read until a certain time.

use super::*;

fn until(seconds: u64, subscription: Subscription) -> Subscription {
    Subscription {
        expiry: Expiry::Uptime(Duration::from_secs(seconds)),
        ..subscription
    }
}

fn text(reader: &Reader) -> String {
    reader.0.borrow().received.clone()
}

fn ended(reader: &Reader) -> bool {
    reader.0.borrow().ended
}

#[test]
fn a_stream_ends_when_its_permission_ends() {
    let mut harness = Harness::new(Limits::default());
    harness.tick("A", 1);
    harness.flush();
    let head = (Epoch::new(1), harness.log.head());
    let options = session_options(1, Mode::Latest, Duration::from_secs(60));
    let (_, resumable) = harness.open(until(10, subscribe("*").resumable(options, head)));
    let (_, simple) = harness.open(until(10, subscribe("*")));
    let (_, stays) = harness.open(subscribe("*"));
    harness.advance_time(9_999);
    assert!(!text(&resumable).contains("bye") && !ended(&simple));
    harness.advance_time(1);
    let received = text(&resumable);
    let (_, bye) = received.split_once("event: bye").unwrap();
    assert!(bye.contains(r#""reason":"expired""#), "{received}");
    assert!(ended(&resumable) && ended(&simple) && !ended(&stays));
    harness.tick("A", 2);
    harness.flush();
    assert!(text(&stays).contains(r#""price":2"#));
    assert!(!text(&resumable).contains(r#""price":2"#));
}

#[test]
fn a_stopped_reader_receives_no_price_after_its_permission() {
    let mut harness = Harness::new(Limits::default());
    harness.tick("A", 1);
    harness.flush();
    let (key, reader) = harness.open(until(10, subscribe("*")));
    reader.stop(true);
    harness.tick("A", 2);
    harness.flush();
    harness.advance_time(10_000);
    harness.tick("A", 3);
    harness.flush();
    reader.stop(false);
    harness.lane.ready(key, harness.now);
    let received = text(&reader);
    assert!(
        !received.contains(r#""price":2"#) && !received.contains(r#""price":3"#),
        "{received}"
    );
    assert!(ended(&reader));
}
