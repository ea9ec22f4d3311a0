//! Tests of the file that is made before the next segment needs it.

use super::*;

const BEGIN: i64 = 1_782_907_200_000;

fn spare(folder: &Path) -> PathBuf {
    folder.join("next.new")
}

/// Publishes until the segment is full. Returns whether the next segment was made of the spare.
fn fill_segment(log: &mut Log, folder: &Path) -> bool {
    let before = segments(folder).len();
    for i in 0.. {
        log.publish(["A", "B"][i % 2], i as i64, BEGIN + i as i64);
        // The spare is asked for when half of the segment is full.
        let segments = log.tape.0.segments();
        let newest = segments.back().unwrap();
        while newest.written() > newest.room() / 2 + 1000 && !log.tape.0.spare.is_ready() {
            assert!(segments.len() == before, "a segment began without a spare");
            std::thread::yield_now();
        }
        if segments.len() > before {
            return !spare(folder).exists();
        }
    }
    unreachable!()
}

#[test]
fn a_segment_is_made_of_the_spare() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path());
    for _ in 0..3 {
        assert!(fill_segment(&mut log, folder.path()));
    }
    log.tape.0.sync();
    assert!(
        log.tape
            .0
            .segments()
            .iter()
            .all(|segment| { segment.listed.load(std::sync::atomic::Ordering::SeqCst) })
    );
    let state = log.state();
    kill(log);
    let log = Log::open(folder.path());
    assert_eq!(log.state(), state);
    let head = log.tape.head().get();
    assert!(log.on_disk(Seq::ZERO).into_iter().eq(1..=head));
}

#[test]
fn a_spare_does_not_stay() {
    let folder = tempfile::tempdir().unwrap();
    drop(Log::open(folder.path()));
    assert!(!spare(folder.path()).exists());
    fs::write(spare(folder.path()), [7; 5000]).unwrap();
    let log = Log::open(folder.path());
    assert!(!spare(folder.path()).exists(), "it was left by a kill");
    drop(log);
}

/// A spare that a crash leaves with the name of a segment, but without its first page, is no tape.
#[test]
fn a_spare_without_its_header_is_created_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path());
    log.publish("A", 1, BEGIN);
    let (state, head) = (log.state(), log.tape.head());
    kill(log);
    let name = format!("{:020}.ticks", head.next().get());
    fs::write(folder.path().join(name), [0; 9000]).unwrap();
    let log = Log::open(folder.path());
    assert_eq!(log.state(), state);
}
