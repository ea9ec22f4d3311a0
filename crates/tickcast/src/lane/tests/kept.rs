//! Tests the limit of buffered bytes.

use super::*;
use crate::lane::Buffered;

#[test]
fn if_streams_buffer_too_much_those_blocked_the_longest_are_cut() {
    let most = MANNERS.buffered_bytes;
    let mut stage = Stage::new(Limits::default());
    let readers: Vec<_> = (0..8)
        .map(|number| {
            stage.pass(10);
            let (_, reader) = stage.open(to("A"));
            stage.tick("A", number);
            (number as usize, reader)
        })
        .collect();
    let keep = |number: usize, end: usize, bytes: usize| {
        readers[number].1.0.borrow_mut().held = Some(Buffered { end, bytes });
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
    stage.tick("A", 100);
    stage.flush();
    // Seven readers share a buffer, which counts once, so the sum is exactly the limit.
    (0..7).for_each(|number| keep(number, 1, most / 2));
    keep(7, 2, most / 2);
    stage.pass(1000);
    assert!(cut().is_empty());
    // Each reader now has its own buffer.
    (0..8).for_each(|number| keep(number, number, most / 7));
    stage.pass(200);
    assert!(cut().is_empty(), "it is counted four times a second");
    stage.pass(100);
    assert_eq!(cut(), [0, 1, 2]);
    assert_eq!(stage.lane.stats.streams(), 5);
    stage.pass(1000);
    assert_eq!(cut(), [0, 1, 2], "the others keep no more than they may");
}
