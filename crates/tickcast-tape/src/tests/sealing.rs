//! Tests of the footers of sealed segments.

use super::*;
use crate::blocks::untimed;
use crate::footer::Footer;
use crate::index::Index;
use crate::times::Times;

fn footer(path: &Path) -> Result<Option<Footer>, &'static str> {
    Footer::read(&fs::File::open(path).unwrap())
}

/// Writes several segments, and a snapshot after most of them. Returns the segments and the state.
fn sealed(folder: &Path) -> (Vec<PathBuf>, String) {
    let mut log = filled(folder);
    // No segment is dropped.
    log.save();
    log.publish("A", 7, 1_782_907_300_000);
    let state = log.state();
    kill(log);
    (segments(folder), state)
}

/// Waits until the thread of an open log has written a footer again.
fn wait_for_footer(path: &Path, expected: &Footer) {
    while footer(path) != Ok(Some(expected.clone())) {
        std::thread::yield_now();
    }
}

#[test]
fn a_complete_segment_has_a_footer_and_the_newest_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = sealed(folder.path());
    let (newest, complete) = files.split_last().unwrap();
    assert_eq!(footer(newest), Ok(None));
    let mut next = Seq::new(1);
    for path in complete {
        let footer = footer(path).unwrap().unwrap();
        assert_eq!(footer.first, next);
        assert!(footer.index.strides().len() > 20);
        next = footer.last.next();
    }
    assert_eq!(check(folder.path()).unwrap().without_footer, 0);
}

#[test]
fn segments_before_the_snapshot_are_not_read_at_the_start_but_checked_later() {
    let folder = tempfile::tempdir().unwrap();
    let (files, state) = sealed(folder.path());
    change(&files[0], |bytes| bytes[700_000] ^= 1);
    let log = Log::open(folder.path());
    assert_eq!(log.state(), state);
    while log.tape.damaged_segments() == 0 {
        std::thread::yield_now();
    }
    assert_eq!(log.tape.damaged_segments(), 1);
    drop(log);
    assert!(
        matches!(check(folder.path()), Err(OpenError::Damaged { file, .. }) if file == files[0])
    );
}

#[test]
fn a_reader_of_a_damaged_block_gets_an_error() {
    type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = sealed(folder.path());
    let whole = fs::read(&files[0]).unwrap();
    let other_block = whole[24..24 + 200].to_vec();
    let damages: [Damage<'_>; 4] = [
        &|bytes| bytes[700_000] ^= 1,
        &|bytes| bytes[700_000..800_000].fill(0),
        // A whole block that belongs to another place.
        &|bytes| {
            let at = 700_000
                + bytes[700_000..]
                    .windows(4)
                    .position(|at| at == b"TKB2")
                    .unwrap();
            bytes[at..at + 200].copy_from_slice(&other_block);
        },
        &|bytes| {
            let footer = bytes.split_off(bytes.len() - 2000);
            bytes.truncate(700_000);
            bytes.extend(footer);
        },
    ];
    for damage in damages {
        fs::write(&files[0], &whole).unwrap();
        change(&files[0], |bytes| damage(bytes));
        let Ok(log) = Log::try_open(folder.path()) else {
            // A footer that does not fit its file is not believed, so the segment was read.
            continue;
        };
        let (mut at, mut seen) = (Seq::ZERO, 0);
        let error = loop {
            let read = log.tape.read(at, |position, _| {
                seen += 1;
                assert_eq!(position.seq.get(), seen, "an entry is missing");
                ControlFlow::Continue(())
            });
            match read {
                Ok(reached) => at = reached,
                Err(error) => break error,
            }
        };
        assert!(
            matches!(error, ReadError::Damaged { ref file, .. } if *file == files[0]),
            "{error}"
        );
        assert_eq!(log.tape.damaged_segments(), 1);
        let second = footer(&files[1]).unwrap().unwrap().first;
        assert!(log.tape.check_at(Seq::new(second.get() - 2)).is_ok());
        assert_eq!(
            log.on_disk(Seq::new(second.get() - 1)).len() as u64,
            60_002 - second.get()
        );
        kill(log);
    }
}

#[test]
fn a_damaged_or_torn_footer_is_a_missing_footer_and_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let (files, state) = sealed(folder.path());
    let (path, whole) = (&files[0], fs::read(&files[0]).unwrap());
    let expected = footer(path).unwrap().unwrap();
    let (start, length) = (expected.at as usize, whole.len() - expected.at as usize);
    let mut damages = vec![(0, 0), (0, 1), (0, 30), (0, 49), (0, 52), (4096, 0)];
    damages.extend([10, 20, 40, 48, 49, length - 60, length - 1].map(|at| (at, 0)));
    for (at, kept) in damages {
        for system in [false, true] {
            change(path, |bytes| {
                bytes.clone_from(&whole);
                match kept {
                    // A flipped bit, or the first page was lost.
                    0 if at == 4096 => bytes[start..start + 4096.min(length - 1)].fill(0),
                    0 => bytes[start + at] ^= 1,
                    // A kill ended the write.
                    kept => {
                        bytes[start + kept..].fill(0);
                        bytes.resize(start + length + 10_000, 0);
                    }
                }
            });
            if system {
                crash(folder.path());
            }
            assert_eq!(
                check(folder.path()).unwrap().without_footer,
                1,
                "{at} {kept}"
            );
            let log = Log::open(folder.path());
            let market = |state: &str| state.split_once(' ').unwrap().1.to_owned();
            assert_eq!(market(&log.state()), market(&state));
            wait_for_footer(path, &expected);
            kill(log);
            assert!(fs::read(path).unwrap() == whole, "{at} {kept}");
        }
    }
}

#[test]
fn a_tape_without_footers_gets_them() {
    let folder = tempfile::tempdir().unwrap();
    let (files, state) = sealed(folder.path());
    let whole: Vec<_> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    unseal(folder.path());
    assert_eq!(
        check(folder.path()).unwrap().without_footer,
        files.len() - 1
    );
    let modified = || fs::metadata(&files[0]).unwrap().modified().unwrap();
    let before = modified();
    let log = Log::open(folder.path());
    assert_eq!(log.state(), state);
    kill(log);
    for (path, whole) in files.iter().zip(whole).take(files.len() - 1) {
        assert!(fs::read(path).unwrap() == whole, "{}", path.display());
    }
    assert_eq!(modified(), before, "retention counts from the last entry");
}

/// The checksum of such a footer is right, as if another program had written it.
#[test]
fn a_footer_that_does_not_match_its_segment_is_written_again() {
    let changes: [fn(&mut Footer); 4] = [
        |footer| {
            let mut strides = footer.index.strides().to_vec();
            strides[3].times.latest = Time::MAX;
            footer.index = Index::of(strides);
        },
        |footer| {
            let mut strides = footer.index.strides().to_vec();
            strides[3].offset += 1;
            footer.index = Index::of(strides);
        },
        |footer| footer.after = Digest::from_bits(footer.after.to_bits() ^ 1),
        |footer| footer.last = Seq::new(footer.last.get() - 1),
    ];
    let folder = tempfile::tempdir().unwrap();
    let (files, state) = sealed(folder.path());
    let expected = footer(&files[0]).unwrap().unwrap();
    for change_footer in changes {
        let mut other = expected.clone();
        change_footer(&mut other);
        change(&files[0], |bytes| {
            bytes.truncate(expected.at as usize);
            bytes.extend(other.encode());
        });
        assert!(matches!(footer(&files[0]), Ok(Some(_))));
        assert_eq!(check(folder.path()).unwrap().without_footer, 1);
        let log = Log::open(folder.path());
        assert_eq!(log.state(), state);
        wait_for_footer(&files[0], &expected);
        assert_eq!(log.on_disk(Seq::ZERO).len(), 60_001);
        kill(log);
    }
}

/// The file of the next segment has its name before its first page is written.
#[test]
fn a_complete_segment_goes_on_if_the_next_segment_was_never_written() {
    for has_footer in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        kill(filled(folder.path()));
        if !has_footer {
            unseal(folder.path());
        }
        let files = segments(folder.path());
        files[2..]
            .iter()
            .for_each(|path| fs::remove_file(path).unwrap());
        fs::write(&files[1], [0; 9000]).unwrap();
        let mut log = Log::open(folder.path());
        let head = log.tape.head().get();
        (0..20_000).for_each(|i| log.publish("A", i, 1_782_907_300_000 + i));
        kill(log);
        let log = Log::open(folder.path());
        assert_eq!(log.on_disk(Seq::ZERO).len() as u64, head + 20_000);
        assert_eq!(log.tape.damaged_segments(), 0);
        drop(log);
        assert_eq!(check(folder.path()).unwrap().without_footer, 0);
    }
}

/// The segment after it may have been lost in a crash, or moved away by a repair.
#[test]
fn a_sealed_segment_that_is_the_newest_again_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    kill(filled(folder.path()));
    let files = segments(folder.path());
    let last = footer(&files[0]).unwrap().unwrap().last;
    files[1..]
        .iter()
        .for_each(|path| fs::remove_file(path).unwrap());
    for round in 0..3 {
        let mut log = Log::open(folder.path());
        assert_eq!(log.tape.head().get(), last.get() + round);
        log.publish("A", 7, 1_782_907_300_000 + round as i64);
        kill(log);
    }
    let mut log = Log::open(folder.path());
    for i in 0..60_000 {
        log.publish("B", i, 1_782_907_400_000 + i);
    }
    let state = log.state();
    kill(log);
    assert_eq!(check(folder.path()).unwrap().without_footer, 0);
    let log = Log::open(folder.path());
    assert_eq!(log.state(), state);
    assert_eq!(log.on_disk(Seq::ZERO).len() as u64, last.get() + 60_003);
}

/// Retention frees the space of segments that were sealed after the start, too.
#[test]
fn segments_that_an_older_version_left_are_closed_when_they_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = sealed(folder.path());
    unseal(folder.path());
    let mut log = Log::open(folder.path());
    for i in 0..120_000 {
        log.publish("B", i, 1_782_907_400_000 + i);
        if i % 20_000 == 0 {
            log.checkpoint();
        }
    }
    log.checkpoint();
    let held = || {
        let open = fs::read_dir("/proc/self/fd").unwrap();
        let paths = open.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        let ours = paths.filter(|path| path.starts_with(folder.path()));
        ours.filter(|path| path.to_string_lossy().ends_with("(deleted)"))
            .count()
    };
    assert!(files.iter().any(|path| !path.exists()));
    while held() > 0 {
        std::thread::yield_now();
    }
}

/// A rest of a footer is not part of the segment that becomes the newest again.
#[test]
fn a_torn_footer_of_the_newest_segment_does_not_stop_a_later_start() {
    for publish in [0, 1] {
        let folder = tempfile::tempdir().unwrap();
        kill(filled(folder.path()));
        let files = segments(folder.path());
        let at = footer(&files[0]).unwrap().unwrap().at as usize;
        change(&files[0], |bytes| bytes[at..at + 512].fill(0));
        files[2..]
            .iter()
            .for_each(|path| fs::remove_file(path).unwrap());
        fs::write(&files[1], [0; 9000]).unwrap();
        crash(folder.path());
        let mut log = Log::open(folder.path());
        (0..publish).for_each(|_| log.publish("A", 7, 1_782_907_300_000));
        let state = log.state();
        drop(log);
        assert_eq!(Log::open(folder.path()).state(), state);
    }
}

/// Two exports read the newest segment, and the one that began later is first.
#[test]
fn an_older_view_of_a_stride_finds_its_times_known() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path());
    (0..50).for_each(|i| log.publish("A", i, 1_782_907_300_000 + i));
    let segment = log.tape.0.newest().unwrap();
    let older_end = segment.written();
    (0..50).for_each(|i| log.publish("A", i, 1_782_907_300_100 + i));
    let newer = segment.part(Seq::new(1));
    let times = untimed(&segment, &newer).unwrap();
    segment.note_times(&newer, times);
    let mut older = segment.part(Seq::new(1));
    older.end = older_end;
    assert!(older.times().is_some());
    assert!(untimed(&segment, &older).is_ok());
}

/// A footer with wrong times is corrected, for exports as well.
#[test]
fn a_corrected_footer_corrects_what_an_export_skips() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = sealed(folder.path());
    let expected = footer(&files[0]).unwrap().unwrap();
    let mut other = expected.clone();
    let mut strides = other.index.strides().to_vec();
    for stride in &mut strides {
        stride.times = Times::default();
    }
    other.index = Index::of(strides);
    change(&files[0], |bytes| {
        bytes.truncate(expected.at as usize);
        bytes.extend(other.encode());
    });
    let log = Log::open(folder.path());
    wait_for_footer(&files[0], &expected);
    let time = |millis| Time::from_millis(millis).unwrap();
    let first = (time(1_782_907_200_000), time(1_782_907_200_010));
    let is_skipped = || {
        let to = log.tape.skip(Seq::ZERO, first).unwrap();
        format!("{to:?}").contains(&(expected.last.get() + 1).to_string())
    };
    while is_skipped() {
        std::thread::yield_now();
    }
}

/// A segment has the name of its first entry. While there is none, no segment can follow.
#[test]
fn a_segment_with_keys_alone_grows_until_it_has_an_entry() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path());
    let now = Time::from_millis(1_782_907_200_000).unwrap();
    let report = vec![b' '; 50_000];
    let note = |log: &mut Log, number: u64| {
        log.writer.make_room().unwrap();
        let (key, position) = (number.to_string(), log.sequencer.newest_position());
        let mut batch = Batch::default();
        batch.begin(position, now);
        batch.push_key(&tickcast_core::KeyProgress {
            key: &key,
            next: number,
            done: true,
            report: &report,
        });
        log.writer.commit(&mut batch, position.1).unwrap();
    };
    for part in 0..3 {
        // A segment has 2 MiB here, and these are 5 MB.
        for number in 0..100 {
            note(&mut log, 100 * part + number);
        }
        assert_eq!(segments(folder.path()).len() as u64, 1 + part);
        log.publish("A", 1 + part as i64, now.as_millis());
    }
    let state = log.state();
    kill(log);
    let log = Log::open(folder.path());
    assert_eq!(log.state(), state);
    assert_eq!(log.on_disk(Seq::ZERO), [1, 2, 3]);
    let known = |number: u64| {
        let key = log.sequencer.keys().get(&number.to_string(), now);
        key.is_some_and(|key| key.next == number)
    };
    assert_eq!((0..300).filter(|number| !known(*number)).count(), 0);
    log.checkpoint();
    drop(log);
    assert_eq!(Log::open(folder.path()).state(), state);
}
