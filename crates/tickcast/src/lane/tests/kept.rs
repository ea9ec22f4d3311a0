//! What readers keep that take nothing.

use super::*;
use crate::lane::Buffered;

#[test]
fn those_that_are_stuck_the_longest_are_cut_where_all_keep_too_much() {
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
    // Somebody would not take something: otherwise nobody counts.
    readers[0].1.stop(true);
    stage.tick("A", 100);
    stage.flush();
    // Most of them share what they keep, so it is just as much as there may be.
    (0..7).for_each(|number| keep(number, 1, most / 2));
    keep(7, 2, most / 2);
    stage.pass(1000);
    assert!(cut().is_empty());
    // Each a buffer of its own, and the last has taken something since.
    (0..8).for_each(|number| keep(number, number, most / 7));
    stage.pass(200);
    assert!(cut().is_empty(), "it is counted four times a second");
    stage.pass(100);
    assert_eq!(cut(), [0, 1, 2]);
    assert_eq!(stage.lane.stats.streams(), 5);
    stage.pass(1000);
    assert_eq!(cut(), [0, 1, 2], "the others keep no more than they may");
}
