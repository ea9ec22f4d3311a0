//! Tests the limit of buffered bytes.

use super::*;
use crate::lane::Buffered;

#[test]
fn if_streams_buffer_too_much_those_blocked_the_longest_are_cut() {
    let max_bytes = STREAM_LIMITS.buffered_bytes;
    let mut harness = Harness::new(Limits::default());
    let readers: Vec<_> = (0..8)
        .map(|number| {
            harness.advance_time(10);
            let (_, reader) = harness.open(subscribe("A"));
            harness.tick("A", number);
            (number as usize, reader)
        })
        .collect();
    let set_buffered = |number: usize, end: usize, bytes: usize| {
        readers[number].1.0.borrow_mut().buffered = Some(Buffered { end, bytes });
    };
    let cut = || {
        readers
            .iter()
            .filter(|(_, reader)| reader.0.borrow().cut)
            .map(|(number, _)| *number)
            .collect::<Vec<_>>()
    };
    // Without a refused write, the lane does not count buffered bytes.
    readers[0].1.stop(true);
    harness.tick("A", 100);
    harness.flush();
    // Seven readers share a buffer, which counts once, so the sum is exactly the limit.
    (0..7).for_each(|number| set_buffered(number, 1, max_bytes / 2));
    set_buffered(7, 2, max_bytes / 2);
    harness.advance_time(1000);
    assert!(cut().is_empty());
    // Each reader now has its own buffer.
    (0..8).for_each(|number| set_buffered(number, number, max_bytes / 7));
    harness.advance_time(200);
    assert!(cut().is_empty(), "it is counted four times a second");
    harness.advance_time(100);
    assert_eq!(cut(), [0, 1, 2]);
    assert_eq!(harness.lane.stats.streams(), 5);
    harness.advance_time(1000);
    assert_eq!(cut(), [0, 1, 2], "the others keep no more than they may");
}
