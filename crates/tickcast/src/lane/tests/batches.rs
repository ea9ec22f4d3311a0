//! Tests batches above the maximum size.

use super::*;

#[test]
fn ticks_above_the_maximum_batch_size_are_sent_in_several_payloads() {
    let mut stage = Stage::new(Limits::default());
    let (filters, ticks) = (["*", "A,B", "A*", "B"], 3000);
    let readers = filters.map(|filter| stage.open(to(filter)).1);
    let pad = "x".repeat(900);
    for i in 0..ticks {
        let symbol = ["A", "B"][i % 2];
        let tick = format!("{{\"symbol\":\"{symbol}\",\"price\":{i},\"pad\":\"{pad}\"}}");
        let tick = Tick::from_json(tick.as_bytes()).unwrap();
        stage.publish(&tick);
    }
    stage.flush();
    for (filter, reader) in filters.iter().zip(&readers) {
        let wanted = Filter::parse(filter.split(',')).unwrap();
        let wanted = |i: &usize| wanted.matches(&Symbol::new(["A", "B"][i % 2]).unwrap());
        let expected: Vec<_> =
            (0..ticks).filter(wanted).map(|i| format!("{} {}={i}", ["A", "B"][i % 2], i / 2 + 1)).collect();
        let (most, received) = {
            let connection = reader.0.borrow();
            (connection.most, connection.received.len())
        };
        assert!(received > 1 << 20 && most <= 1 << 20, "{filter}: {most} of {received} bytes at once");
        assert_eq!(reader.take(), expected, "{filter}");
    }
}
