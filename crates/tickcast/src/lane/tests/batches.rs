//! Tests batches above the maximum size.

use super::*;

#[test]
fn ticks_above_the_maximum_batch_size_are_sent_in_several_payloads() {
    let mut harness = Harness::new(Limits::default());
    let (filters, ticks) = (["*", "A,B", "A*", "B"], 3000);
    let readers = filters.map(|filter| harness.open(subscribe(filter)).1);
    let padding = "x".repeat(900);
    for i in 0..ticks {
        let symbol = ["A", "B"][i % 2];
        let tick = format!("{{\"symbol\":\"{symbol}\",\"price\":{i},\"pad\":\"{padding}\"}}");
        let tick = Tick::from_json(tick.as_bytes()).unwrap();
        harness.publish(&tick);
    }
    harness.flush();
    for (filter, reader) in filters.iter().zip(&readers) {
        let parsed = Filter::parse(filter.split(',')).unwrap();
        let selected = |i: &usize| parsed.matches(&Symbol::new(["A", "B"][i % 2]).unwrap());
        let expected: Vec<_> = (0..ticks)
            .filter(selected)
            .map(|i| format!("{} {}={i}", ["A", "B"][i % 2], i / 2 + 1))
            .collect();
        let (max_payload_bytes, received) = {
            let connection = reader.0.borrow();
            (connection.max_payload_bytes, connection.received.len())
        };
        assert!(
            received > 1 << 20 && max_payload_bytes <= 1 << 20,
            "{filter}: {max_payload_bytes} of {received} bytes at once"
        );
        assert_eq!(reader.take(), expected, "{filter}");
    }
}

#[test]
fn a_batch_that_waits_grows_and_is_sent_with_one_write() {
    let mut harness = Harness::new(Limits::default());
    ["A", "B"].iter().for_each(|symbol| harness.tick(symbol, 1));
    harness.flush();
    let readers = ["A", "B"].map(|filter| harness.open(subscribe(filter)).1);
    readers.iter().for_each(|reader| drop(reader.take()));
    let follow = |harness: &mut Harness| {
        ["A", "B"].iter().for_each(|symbol| harness.tick(symbol, 2));
        let Harness { lane, log, now, .. } = harness;
        lane.follow_log(log, BATCH_TICKS, Duration::ZERO, *now)
    };
    assert_eq!(follow(&mut harness), 2);
    assert!(harness.lane.deliver_batches(1, harness.now), "B waits");
    // A new stream starts with a snapshot, and is not sent the batch as well.
    let (_, late) = harness.open(subscribe("B"));
    assert_eq!(late.take(), ["B 2=2"]);
    assert_eq!(follow(&mut harness), 2);
    for reader in &readers {
        reader.0.borrow_mut().tried_writes = 0;
    }
    while harness.lane.deliver_batches(1, harness.now) {}
    harness.lane.visit_flushed(harness.now);
    assert_eq!(readers[0].take(), ["A 2=2", "A 3=2"]);
    assert_eq!(readers[1].take(), ["B 2=2", "B 3=2"]);
    assert_eq!(readers[1].0.borrow().tried_writes, 1);
    assert_eq!(late.take(), ["B 3=2"]);
}
