//! What a tape holds, and who sees it.

use std::collections::VecDeque;
use std::time::Duration;

use super::*;
use crate::{Frame, Market, SourceId, Symbol};

/// A tape with a number as the JSON of each entry.
fn writer(max_entries: usize, max_bytes: usize, pushes: u64) -> TapeWriter {
    let mut writer = TapeWriter::new((Seq::ZERO, Digest::START), max_entries, max_bytes);
    for n in 0..pushes {
        push(&mut writer, &n.to_string());
    }
    writer
}

fn push(writer: &mut TapeWriter, json: &str) {
    let name = Symbol::new("A").unwrap();
    let symbol = Market::default().add_symbol(name);
    let tick = Some(Frame::verbatim("A", json));
    let of = (symbol, name, SourceId(0));
    writer.push(Entry::after(
        (writer.tape().head(), writer.tape().digest()),
        of,
        tick,
        Duration::ZERO,
    ));
}

fn numbers(tape: &Tape, from: u64) -> Option<Vec<u64>> {
    let runs = tape.runs(Seq::new(from))?;
    let entries = runs.iter().flat_map(Run::entries);
    Some(entries.map(|(seq, _)| seq.get()).collect())
}

#[test]
fn a_tape_is_bounded_in_entries() {
    let writer = writer(3, usize::MAX, 10);
    let tape = writer.tape();
    assert_eq!(numbers(tape, 7).unwrap(), [8, 9, 10]);
    assert_eq!(numbers(tape, 8).unwrap(), [9, 10]);
    assert_eq!(numbers(tape, 10).unwrap(), [0; 0]);
    assert_eq!(numbers(tape, 99).unwrap(), [0; 0]);
    assert_eq!(numbers(tape, 6), None);
    assert_eq!(tape.readable_start(), Seq::new(7));
    assert!(tape.reaches_back_to(Seq::new(7)) && !tape.reaches_back_to(Seq::new(6)));
}

#[test]
fn a_tape_knows_the_digest_at_every_position_it_holds() {
    let (whole, part) = (writer(9, usize::MAX, 9), writer(3, usize::MAX, 9));
    let (whole, part) = (whole.tape(), part.tape());
    for seq in 0..=9 {
        let (known, seen) = (
            whole.digest_at(Seq::new(seq)),
            part.digest_at(Seq::new(seq)),
        );
        let held = seq == 0 || seq >= 6;
        assert_eq!(seen, known.filter(|_| held), "{seq}");
    }
    assert_eq!(whole.digest_at(Seq::new(10)), None);
    assert_eq!(whole.digest_at(Seq::new(9)), Some(whole.digest()));
    assert_ne!(whole.digest_at(Seq::new(8)), Some(whole.digest()));
}

#[test]
fn a_tape_is_bounded_in_bytes() {
    let one = writer(9, usize::MAX, 1).bytes();
    let writer = writer(usize::MAX, 2 * one, 9);
    assert_eq!((writer.tape().len(), writer.bytes()), (2, 2 * one));
    assert_eq!(numbers(writer.tape(), 7).unwrap(), [8, 9]);
}

#[test]
fn readers_see_what_is_shown() {
    let mut writer = writer(9, usize::MAX, 0);
    let reader = writer.tape().clone();
    push(&mut writer, "1");
    assert_eq!(reader.visible(), Seq::ZERO);
    assert!(writer.show() && !writer.show());
    assert_eq!(reader.visible(), Seq::new(1));
    assert!(reader.is_empty(), "a tape ends at its own head");
}

/// A tape has the same entries as a simple queue, with chunks of any size and from any position on.
#[test]
fn a_tape_is_a_bounded_queue() {
    let mut rng = fastrand::Rng::with_seed(3);
    for round in 0..300 {
        let origin = Seq::new(rng.u64(..2000));
        let max_entries = [1, 5, 64, 200, 1000, 40_000][rng.usize(..6)];
        let max_bytes = [1, 900, 20_000, usize::MAX][rng.usize(..4)];
        let start = (origin, Digest::START.with(&Symbol::new("B").unwrap(), None));
        let mut writer = TapeWriter::new(start, max_entries, max_bytes);
        let mut model = VecDeque::new();
        for n in 0..rng.u64(..1500) {
            push(&mut writer, &"7".repeat(rng.usize(1..30)));
            let weight = |(_, weight): &(Digest, usize)| *weight;
            let tape = writer.tape();
            let last = tape.run(Seq::new(origin.get() + n)).unwrap();
            let (seq, entry) = last.entries().next().unwrap();
            assert_eq!(seq, Seq::new(origin.get() + n + 1));
            model.push_back((entry.digest, entry.weight()));
            while model.len() > 1
                && (model.len() > max_entries
                    || model.iter().map(weight).sum::<usize>() > max_bytes)
            {
                model.pop_front();
            }
            if n % 97 != 0 {
                continue;
            }
            assert_eq!(tape.len(), model.len(), "round {round}, entry {n}");
            assert_eq!(writer.bytes(), model.iter().map(weight).sum::<usize>());
            let runs = tape.runs(tape.start()).unwrap();
            let entries = runs.iter().flat_map(Run::entries);
            assert!(
                entries
                    .map(|(_, entry)| entry.digest)
                    .eq(model.iter().map(|of| of.0))
            );
            for (seq, (digest, _)) in (tape.start().get() + 1..).zip(&model) {
                assert_eq!(tape.digest_at(Seq::new(seq)), Some(*digest));
            }
            assert!(tape.digest_at(tape.start()).is_some());
        }
    }
}

/// Readers in other threads see each entry once and in order, or learn that they are too far behind.
#[test]
fn readers_follow_without_a_lock() {
    const PUSHES: u64 = 50_000;
    let mut writer = writer(700, usize::MAX, 0);
    let tape = writer.tape().clone();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let mut own = tape.clone();
            scope.spawn(move || {
                while own.head() < Seq::new(PUSHES) {
                    let visible = own.visible();
                    match own.run_between(own.head(), visible) {
                        Some(run) => {
                            let mut expected = own.head();
                            for (seq, entry) in run.entries() {
                                expected = expected.next();
                                let json = entry.frame().unwrap().json();
                                let written = std::str::from_utf8(json).unwrap();
                                assert_eq!((seq, written), (expected, &*seq.get().to_string()));
                            }
                            assert_eq!(run.end(), expected);
                            own.advance_past(&run);
                        }
                        // The reader is at the head, or it was too slow and continues there.
                        None if visible > own.head() => {
                            assert!(!own.reaches_back_to(own.head()));
                            (own.head, own.digest) = (visible, Digest::START);
                        }
                        None => std::thread::yield_now(),
                    }
                }
            });
        }
        for n in 1..=PUSHES {
            push(&mut writer, &n.to_string());
            writer.show();
        }
    });
}

#[test]
fn a_new_reader_begins_a_little_after_the_oldest_entry() {
    let start = |pushes| writer(640, usize::MAX, pushes).tape().readable_start();
    assert_eq!(start(640), Seq::ZERO);
    assert_eq!(start(641), Seq::new(11));
}
