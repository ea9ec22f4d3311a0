//! Tests of reading only the parts of a tape that contain requested times.

use super::*;
use crate::Skipped;

const BEGIN: i64 = 1_782_907_200_000;

/// Returns the sequence numbers of the ticks within a range of times, and the number of entries
/// read.
fn within(tape: &DiskTape, from: i64, to: i64) -> Result<(Vec<u64>, usize), ReadError> {
    let range = (
        Time::from_millis(from).unwrap(),
        Time::from_millis(to).unwrap(),
    );
    let (mut at, mut found, mut read) = (tape.start(), Vec::new(), 0);
    while at < tape.head() {
        match tape.skip(at, range)? {
            Skipped::SoFar(seq) => at = seq,
            Skipped::To(seq) if seq >= tape.head() => break,
            Skipped::To(seq) => {
                at = tape.read(seq, |position, recorded| {
                    read += 1;
                    let tick = recorded.json.and_then(TickView::read);
                    if tick.is_some_and(|tick| (range.0..=range.1).contains(&tick.time)) {
                        found.push(position.seq.get());
                    }
                    ControlFlow::Continue(())
                })?;
            }
        }
    }
    Ok((found, read))
}

#[test]
fn a_time_range_is_found_completely_and_other_parts_are_not_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = filled(folder.path());
    let end = BEGIN + 60_000;
    // One late tick at the end: ticks are not ordered by time.
    log.publish("LATE", 1, BEGIN + 30_000);
    log.publish("A", 1, end);
    for _ in 0..2 {
        let (found, read) = within(&log.tape, end - 99, end).unwrap();
        assert_eq!(found, (59_902..=60_000).chain([60_002]).collect::<Vec<_>>());
        assert!(
            read < 10_000,
            "{read} entries were read for the last hundred"
        );
        let (found, _) = within(&log.tape, BEGIN + 30_000, BEGIN + 30_001).unwrap();
        assert_eq!(found, [30_001, 30_002, 60_001]);
        log = {
            kill(log);
            Log::open(folder.path())
        };
    }
    assert_eq!(within(&log.tape, 0, BEGIN - 1).unwrap(), (vec![], 0));
    assert_eq!(
        within(&log.tape, 0, i64::from(u32::MAX) * 1000)
            .unwrap()
            .0
            .len(),
        60_002
    );
    // Damage in skipped parts is not detected. Damage in other parts is.
    let files = segments(folder.path());
    change(&files[0], |bytes| bytes[20_000] ^= 1);
    assert_eq!(within(&log.tape, end - 99, end).unwrap().0.len(), 100);
    assert!(matches!(
        within(&log.tape, BEGIN, BEGIN + 10),
        Err(ReadError::Damaged { .. })
    ));
}

/// The damaged parts are skipped: nothing of them is read.
#[test]
fn the_first_search_after_a_start_reads_only_what_it_finds() {
    let folder = tempfile::tempdir().unwrap();
    let log = filled(folder.path());
    log.save();
    kill(log);
    let files = segments(folder.path());
    for path in &files[..files.len() - 1] {
        change(path, |bytes| bytes[20_000] ^= 1);
    }
    let mut log = Log::open(folder.path());
    log.publish("A", 1, BEGIN + 70_000);
    let end = BEGIN + 59_999;
    let (found, read) = within(&log.tape, end - 99, end).unwrap();
    assert_eq!(found, (59_901..=60_000).collect::<Vec<_>>());
    assert!(read < 1500, "{read} entries were read for the last hundred");
    assert!(within(&log.tape, BEGIN, BEGIN + 99).is_err());
}

#[test]
fn entries_added_since_the_last_scan_are_scanned_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path());
    for i in 0..10 {
        log.publish("A", i, BEGIN + i);
        assert_eq!(
            within(&log.tape, BEGIN + i, BEGIN + i).unwrap().0,
            [i as u64 + 1]
        );
        assert_eq!(
            within(&log.tape, BEGIN + i + 1, BEGIN + 99).unwrap(),
            (vec![], 0)
        );
    }
    log.remove("A");
    assert_eq!(within(&log.tape, BEGIN, BEGIN + 99).unwrap().0.len(), 10);
}
