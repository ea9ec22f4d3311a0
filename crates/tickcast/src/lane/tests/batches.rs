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
