//! Tests of a tape in a directory, after clean closes, kills, crashes and damage.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tickcast_core::{
    Cursor, Digest, Frame, Limits, Now, Price, Recorded, Reference, Seq, Sequenced, Sequencer,
    SourceId, SourceOptions, Symbol, Tick, TickView, Time,
};

use super::*;

mod forgetting;
mod format;
mod sealing;
mod skipping;
mod spares;

/// A publisher, as the library implements it.
struct Log {
    sequencer: Sequencer,
    writer: Writer,
    tape: DiskTape,
}

impl Log {
    fn open(folder: &Path) -> Self {
        Self::try_open(folder).unwrap()
    }

    fn try_open(folder: &Path) -> Result<Self, OpenError> {
        Self::open_with(folder, Duration::MAX)
    }

    /// Opens a tape. Symbols that were removed longer ago than `forget` are forgotten.
    fn open_with(folder: &Path, forget: Duration) -> Result<Self, OpenError> {
        let options = Options::default()
            .sync(Sync::Never)
            .retention_bytes(4 << 20)
            .forget(forget);
        let Opened {
            sequencer,
            writer,
            tape,
            ..
        } = open(folder, options, limits())?;
        Ok(Self {
            sequencer,
            writer,
            tape,
        })
    }

    fn publish(&mut self, symbol: &str, units: i64, ms: i64) {
        let mut tick = Tick::new(
            Symbol::new(symbol).unwrap(),
            Price::from_units(units, 2).unwrap(),
        );
        tick.time = Some(Time::from_millis(ms).unwrap());
        if units % 7 == 0 {
            tick.prev_close = Some(Price::from_units(units / 2 + 1, 1).unwrap());
        }
        let now = Now {
            wall: tick.time.unwrap(),
            ..Now::default()
        };
        self.writer.make_room().unwrap();
        let before = self.sequencer.newest_position();
        let sequenced = self
            .sequencer
            .accept(&tick, SourceId(3), SourceOptions::default(), now)
            .unwrap();
        if sequenced.seq().is_some() {
            self.record(before, sequenced, now.wall);
        }
    }

    fn remove(&mut self, symbol: &str) {
        self.remove_at(symbol, Time::default());
    }

    fn remove_at(&mut self, symbol: &str, wall: Time) {
        let before = self.sequencer.newest_position();
        let now = Now {
            wall,
            ..Now::default()
        };
        let symbol = Symbol::new(symbol).unwrap();
        if let Some(removed) = self.sequencer.remove(&symbol, now) {
            self.record(before, removed, wall);
        }
    }

    fn record(&mut self, before: (Seq, Digest), sequenced: Sequenced, now: Time) {
        let id = sequenced.symbol;
        let quote = self.sequencer.quote(id).unwrap();
        let prev_close = match quote.reference {
            Reference::PrevClose(close) => Some(close),
            Reference::FirstOfDay { .. } => None,
        };
        let market = self.sequencer.market();
        let json = market.newest(id).map(Frame::json);
        let mut batch = Batch::default();
        batch.begin(before, now);
        batch.push(&Recorded {
            symbol: market.symbol(id),
            prev_close,
            json,
        });
        let digest = self.sequencer.tape().digest();
        self.writer.commit(&mut batch, digest).unwrap();
    }

    fn checkpoint(&self) {
        self.save();
        self.tape.trim();
    }

    /// Writes a snapshot, and drops no segment.
    fn save(&self) {
        let ids = self.sequencer.market().ids_from(0);
        let base = (
            self.sequencer.cursor().seq(),
            self.sequencer.tape().digest(),
        );
        let snapshots = ids.filter_map(|id| self.sequencer.symbol_snapshot(id));
        let keys: Vec<_> = self.sequencer.keys().iter().map(encode_key).collect();
        write_snapshot(&self.tape, base, snapshots, &keys).unwrap();
    }

    /// Returns all state that readers can observe.
    fn state(&self) -> String {
        let market = self.sequencer.market();
        let symbol = |(name, id)| {
            let quote = self.sequencer.quote(id).unwrap();
            let bars: Vec<_> = self.sequencer.candles(id).bars().collect();
            let frame = market
                .newest(id)
                .map(|frame| String::from_utf8(frame.event().to_vec()).unwrap());
            format!(
                "{name} {:?} {frame:?} {} {} {:?} {:?} {:?} {bars:?}\n",
                market.last_seq(id),
                quote.n,
                quote.price,
                quote.time,
                quote.first_time,
                quote.reference
            )
        };
        let all: String = market.names_after(None).map(symbol).collect();
        format!("{} {all}", self.sequencer.cursor())
    }

    /// Returns the sequence numbers of the entries on disk after `from`.
    fn on_disk(&self, from: Seq) -> Vec<u64> {
        let (mut at, mut seen) = (from, Vec::new());
        while at < self.tape.head() {
            at = self
                .tape
                .read(at, |position, _| {
                    seen.push(position.seq.get());
                    ControlFlow::Continue(())
                })
                .unwrap();
        }
        seen
    }
}

fn limits() -> Limits {
    Limits::default().tape_ticks(50)
}

/// Simulates the end of a process: the tape is not closed, but the lock is released.
fn kill(log: Log) -> Cursor {
    let cursor = log.sequencer.cursor();
    let state = log.tape.0.folder.path.join("state.json");
    let before = fs::read(&state).unwrap();
    drop(log);
    fs::write(state, before).unwrap();
    cursor
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "ticks")
    });
    files.sort();
    files
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Removes the footers, as if the segments were not sealed yet.
fn unseal(folder: &Path) {
    for path in segments(folder) {
        let file = fs::File::options()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        if let Some(footer) = footer::Footer::read(&file).unwrap() {
            file.set_len(footer.at).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn a_log_continues_unchanged_after_restarts_and_kills(
        steps in prop::collection::vec((0usize..5, -500i64..500, 0i64..100_000, 0u8..40), 1..400),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::open(folder.path());
        let mut now = 1_782_907_200_000;
        for (name, units, elapsed, action) in steps {
            now += elapsed;
            let name = ["A", "B", "BTC/USD", "^X", "Z"][name];
            match action {
                0 => log.remove(name),
                1 => log.checkpoint(),
                2..=3 => {
                    let before = log.state();
                    if action == 2 { drop(log) } else { kill(log); }
                    log = Log::open(folder.path());
                    prop_assert_eq!(log.state(), before);
                }
                _ => log.publish(name, units, now),
            }
        }
        let head = log.sequencer.cursor().seq().get();
        prop_assert_eq!(log.on_disk(Seq::ZERO), (1..=head).collect::<Vec<_>>());
        prop_assert_eq!(log.on_disk(Seq::new(head / 2)), (head / 2 + 1..=head).collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn after_any_damage_no_wrong_data_is_accepted(
        file: prop::sample::Index, at: prop::sample::Index, bytes in prop::collection::vec(any::<u8>(), 1..40), cut: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::open(folder.path());
        (0..60).for_each(|i| log.publish(["A", "B"][i % 2], i as i64, i as i64));
        log.checkpoint();
        (60..90).for_each(|i| log.publish(["A", "B"][i % 2], i as i64, i as i64));
        kill(log);
        let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        change(&files[file.index(files.len())], |content| {
            // Damage in the reserved space is not useful for this test.
            let length = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            let at = at.index(length + 1);
            if cut {
                content.truncate(at);
            } else {
                let end = content.len().min(at + bytes.len());
                content[at..end].copy_from_slice(&bytes[..end - at]);
            }
        });
        // The tape opens with a prefix of its entries, or reports the damage. In the second case,
        // the tape can be repaired.
        if Log::try_open(folder.path()).is_err() {
            let _ = repair(folder.path());
        }
        if let Ok(log) = Log::try_open(folder.path()) {
            let head = log.sequencer.cursor().seq().get();
            prop_assert!(head <= 90);
            let entries = log.on_disk(Seq::ZERO);
            prop_assert_eq!(entries, (1..=head).collect::<Vec<_>>());
            for id in log.sequencer.market().ids_from(0) {
                let quote = log.sequencer.quote(id).unwrap();
                prop_assert!(quote.n <= 45);
            }
        }
    }
}

/// Fills a tape with enough entries for several segments.
fn filled(folder: &Path) -> Log {
    let mut log = Log::open(folder);
    for i in 0..60_000 {
        log.publish(
            ["A", "B", "C"][i % 3],
            i as i64,
            1_782_907_200_000 + i as i64,
        );
    }
    log
}

#[test]
fn segments_beyond_retention_are_removed_once_a_restart_does_not_need_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = filled(folder.path());
    assert!(
        segments(folder.path()).len() > 2,
        "{:?}",
        segments(folder.path())
    );
    log.tape.trim();
    assert_eq!(
        log.tape.start(),
        Seq::ZERO,
        "without a snapshot, a restart needs every segment"
    );
    log.checkpoint();
    assert!(log.tape.bytes() <= 4 << 20);
    let start = log.tape.start();
    assert!(start > Seq::ZERO);
    assert!(matches!(
        log.tape.read(Seq::ZERO, |_, _| ControlFlow::Continue(())),
        Err(ReadError::Expired)
    ));
    assert_eq!(log.on_disk(start).len() as u64, 60_000 - start.get());
    log.publish("A", 1, 1_782_907_300_000);
    let before = log.state();
    kill(log);
    let log = Log::open(folder.path());
    assert_eq!((log.state(), log.tape.start()), (before, start));
}

#[test]
fn only_one_process_can_open_a_tape() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path());
    let error = Log::try_open(folder.path()).err().unwrap();
    assert!(
        error.to_string().ends_with("is in use by another process"),
        "{error}"
    );
    assert!(check(folder.path()).is_err());
    drop(log);
    Log::open(folder.path());
}

#[test]
fn a_block_cut_off_by_a_crash_is_dropped_and_the_other_entries_stay() {
    for cut in [1, 20, 60, 100] {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::open(folder.path());
        (0..10).for_each(|i| log.publish("A", i, i));
        let written = log.tape.0.segments()[0].written() as usize;
        let cursor = kill(log);
        let path = &segments(folder.path())[0];
        change(path, |bytes| bytes[written - cut..].fill(0));
        let mut log = Log::open(folder.path());
        assert_eq!(
            (log.sequencer.cursor().epoch, log.sequencer.cursor().seq()),
            (cursor.epoch, Seq::new(9))
        );
        log.publish("A", 3, 99);
        let before = log.state();
        kill(log);
        assert_eq!(Log::open(folder.path()).state(), before);
    }
}

#[test]
fn damage_in_the_middle_stops_the_start_and_can_be_moved_away() {
    for file in [0, 1, 9] {
        let folder = tempfile::tempdir().unwrap();
        let log = filled(folder.path());
        let cursor = kill(log);
        let files = segments(folder.path());
        let path = &files[file.min(files.len() - 1)];
        change(path, |bytes| bytes[20_000] ^= 1);
        let error = Log::try_open(folder.path()).err().unwrap().to_string();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(
            error.contains(name)
                && error.contains("at byte ")
                && error.contains("tickcast tape repair "),
            "{error}"
        );
        assert!(check(folder.path()).is_err());
        let (report, moved_files) = repair(folder.path()).unwrap();
        assert_eq!(moved_files.len(), files.len() - file.min(files.len() - 1));
        assert!(report.head < cursor.seq());
        let mut log = Log::open(folder.path());
        assert_eq!(log.sequencer.cursor().seq(), report.head);
        assert_ne!(
            log.sequencer.cursor().epoch,
            cursor.epoch,
            "sequence numbers are assigned again, so the epoch must change"
        );
        log.publish("A", 1, 1_782_907_999_000);
        assert_eq!(log.on_disk(Seq::ZERO).len() as u64, report.head.get() + 1);
    }
}

#[test]
fn a_segment_whose_creation_was_interrupted_is_created_again() {
    for length in [0, 10, 2 << 20] {
        let folder = tempfile::tempdir().unwrap();
        let log = filled(folder.path());
        let before = log.state();
        kill(log);
        fs::write(
            folder.path().join(format!("{:020}.ticks", 60_001)),
            vec![0; length],
        )
        .unwrap();
        assert_eq!(check(folder.path()).unwrap().head.get(), 60_000);
        let mut log = Log::open(folder.path());
        assert_eq!(log.state(), before);
        log.publish("A", 1, 1_782_907_999_000);
        assert_eq!(log.on_disk(Seq::ZERO).len(), 60_001);
    }
}

#[test]
fn a_closed_tape_must_end_where_it_was_closed() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path());
    (0..10).for_each(|i| log.publish("A", i, i));
    let written = log.tape.0.segments()[0].written() as usize;
    drop(log);
    change(&segments(folder.path())[0], |bytes| {
        bytes[written - 5..].fill(0);
    });
    assert!(matches!(
        Log::try_open(folder.path()),
        Err(OpenError::Damaged { .. })
    ));
    assert_eq!(repair(folder.path()).unwrap().0.head.get(), 9);
    assert_eq!(Log::open(folder.path()).sequencer.cursor().seq().get(), 9);
}

/// After a crash, such bytes are a normal trace. After a clean close they are damage, and the
/// repaired tape opens again.
#[test]
fn bytes_after_the_end_of_a_closed_tape_are_moved_away() {
    for distance in [0, 8, 60_000] {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::open(folder.path());
        (0..10).for_each(|i| log.publish("A", i, i));
        let (before, cursor) = (log.state(), log.sequencer.cursor());
        let end = log.tape.0.segments()[0].written() as usize + distance;
        drop(log);
        change(&segments(folder.path())[0], |bytes| {
            bytes.resize(bytes.len().max(end + 7), 0);
            bytes[end..end + 7].copy_from_slice(b"garbage");
        });
        assert!(matches!(
            check(folder.path()),
            Err(OpenError::Damaged { .. })
        ));
        let (report, moved_files) = repair(folder.path()).unwrap();
        assert_eq!((report.head, moved_files.len()), (cursor.seq(), 1));
        check(folder.path()).unwrap();
        let log = Log::open(folder.path());
        assert_eq!(
            (log.state(), log.sequencer.cursor()),
            (before, cursor),
            "the repair loses no entry"
        );
    }
}

#[test]
fn a_damaged_state_file_is_moved_away_and_a_new_epoch_begins() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path());
    (0..10).for_each(|i| log.publish("A", i, i));
    let cursor = kill(log);
    change(&folder.path().join("state.json"), |bytes| bytes[0] = b'x');
    assert!(Log::try_open(folder.path()).is_err());
    let (report, moved_files) = repair(folder.path()).unwrap();
    assert_eq!((report.head.get(), moved_files.len()), (10, 1));
    let log = Log::open(folder.path());
    assert!(
        log.sequencer.cursor().seq() == cursor.seq()
            && log.sequencer.cursor().epoch != cursor.epoch
    );
}

/// Simulates a restart of the operating system: changes the boot id.
fn crash(folder: &Path) {
    let state = folder.join("state.json");
    let text = fs::read_to_string(&state).unwrap();
    let boot = text.lines().find(|line| line.contains("boot")).unwrap();
    fs::write(&state, text.replace(boot, "\"boot\": \"another\",")).unwrap();
}

#[test]
fn a_system_crash_may_lose_data_before_a_segment_that_exists() {
    for end in [
        |bytes: &mut Vec<u8>| bytes.truncate(100_000),
        |bytes: &mut Vec<u8>| bytes[100_000..].fill(0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        kill(filled(folder.path()));
        // The disk has confirmed what is in a sealed segment.
        unseal(folder.path());
        change(&segments(folder.path())[0], end);
        assert!(
            Log::try_open(folder.path()).is_err(),
            "the end of a process loses no data"
        );
        crash(folder.path());
        let mut log = Log::open(folder.path());
        let head = log.sequencer.cursor().seq().get();
        assert!((1..60_000).contains(&head));
        log.publish("A", 1, 1_782_907_999_000);
        assert_eq!(log.on_disk(Seq::ZERO), (1..=head + 1).collect::<Vec<_>>());
        drop(log);
        Log::open(folder.path());
    }
}

#[test]
fn after_a_system_crash_a_new_epoch_begins() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path());
    (0..10).for_each(|i| log.publish("A", i, i));
    let cursor = kill(log);
    crash(folder.path());
    let log = Log::open(folder.path());
    assert_eq!(log.sequencer.cursor().seq(), cursor.seq());
    assert_ne!(log.sequencer.cursor().epoch, cursor.epoch);
    let epoch = log.sequencer.cursor().epoch;
    drop(log);
    assert_eq!(
        Log::open(folder.path()).sequencer.cursor().epoch,
        epoch,
        "a clean close begins no new epoch"
    );
}

#[test]
fn a_damaged_snapshot_is_ignored_if_the_tape_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path());
    (0..10).for_each(|i| log.publish("A", i, i));
    log.checkpoint();
    let before = log.state();
    drop(log);
    let snapshot = folder.path().join(format!("{:020}.market", 10));
    change(&snapshot, |bytes| bytes[40] ^= 1);
    assert_eq!(Log::open(folder.path()).state(), before);
}

#[test]
fn a_trimmed_tape_without_its_snapshot_is_an_error_and_can_be_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let log = filled(folder.path());
    log.checkpoint();
    drop(log);
    fs::remove_file(folder.path().join(format!("{:020}.market", 60_000))).unwrap();
    let error = Log::try_open(folder.path()).err().unwrap().to_string();
    assert!(
        error.contains("the snapshot of the market is missing"),
        "{error}"
    );
    let (report, _) = repair(folder.path()).unwrap();
    let log = Log::open(folder.path());
    assert_eq!(
        (log.sequencer.cursor().seq(), report.head.get()),
        (Seq::new(60_000), 60_000)
    );
    assert_eq!(
        log.sequencer.market().len(),
        3,
        "the symbols of the remaining ticks exist"
    );
}

/// Copies the tape that commit faf8fb7 wrote in the first version of the format: with a restart, a
/// kill and a removed symbol.
fn first_version() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/faf8fb7");
    for entry in fs::read_dir(fixture).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

#[test]
fn a_tape_of_the_first_version_opens_and_continues() {
    let folder = first_version();
    assert_eq!(check(folder.path()).unwrap().head.get(), 12);
    let mut log = Log::open(folder.path());
    let market = log.sequencer.market();
    let newest = |name: &str| {
        let id = market.id(&Symbol::new(name).unwrap())?;
        Some(String::from_utf8(market.newest(id)?.json().to_vec()).unwrap())
    };
    let aapl = r#"{"symbol":"AAPL","price":190.00,"change":0.50,"change_pct":0.2639,"time":1764205322000,"n":4,"note":"after a restart"}"#;
    assert_eq!(newest("AAPL").as_deref(), Some(aapl));
    let oil = r#"{"symbol":"WTI","price":-40.00,"change":-58.27,"change_pct":-318.9381,"time":1764205400000,"n":2}"#;
    assert_eq!(newest("WTI").as_deref(), Some(oil));
    assert!(
        newest("LONG")
            .unwrap()
            .contains("12345678901234567890.12345678")
            && newest("GOES").is_none()
    );
    assert_eq!(log.on_disk(Seq::ZERO), (1..=12).collect::<Vec<_>>());
    // An older version must not mistake the new entries for damage, so a new segment begins.
    log.publish("AAPL", 19_100, 1_764_205_500_000);
    assert_eq!(segments(folder.path()).len(), 2);
    let before = log.state();
    kill(log);
    let log = Log::open(folder.path());
    assert_eq!((log.state(), log.on_disk(Seq::ZERO).len()), (before, 13));
    assert_eq!(
        log.tape.check_at(Seq::new(13)).unwrap(),
        log.sequencer.cursor().position.check
    );
    for seq in 0..13 {
        let in_memory = log.sequencer.tape().digest_at(Seq::new(seq));
        let on_disk = log.tape.check_at(Seq::new(seq)).unwrap();
        assert!(
            in_memory.is_none_or(|digest| digest.check() == on_disk),
            "{seq}"
        );
    }
    let state = fs::read_to_string(folder.path().join("state.json")).unwrap();
    assert!(
        state.contains("\"version\": 2"),
        "an older program must refuse the tape: {state}"
    );
}

#[test]
fn a_state_file_of_a_newer_version_is_rejected() {
    let folder = first_version();
    change(&folder.path().join("state.json"), |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        *bytes = text
            .replace("\"version\": 1", "\"version\": 3")
            .into_bytes();
    });
    let error = Log::try_open(folder.path()).err().unwrap().to_string();
    assert!(
        error.ends_with("state.json was written by a newer version"),
        "{error}"
    );
}

#[test]
fn a_copy_of_a_tape_that_continues_differently_has_another_check() {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut log = Log::open(folder.path());
    (0..100).for_each(|i| log.publish("A", i, i));
    log.checkpoint();
    let restored = copy.path().join("tape");
    fs::create_dir(&restored).unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, restored.join(path.file_name().unwrap())).unwrap();
    }
    let mut other = Log::open(&restored);
    assert_eq!(
        other.sequencer.cursor(),
        log.sequencer.cursor(),
        "the copy is equal so far"
    );
    for i in 0..10 {
        log.publish("A", i, 200 + i);
        other.publish("A", 50 + i, 200 + i);
    }
    let cursors = [log.sequencer.cursor(), other.sequencer.cursor()];
    assert_eq!(
        (cursors[0].epoch, cursors[0].seq()),
        (cursors[1].epoch, cursors[1].seq())
    );
    assert_ne!(cursors[0].position.check, cursors[1].position.check);
    for seq in [0, 1, 60, 100].map(Seq::new) {
        assert_eq!(
            log.tape.check_at(seq).unwrap(),
            other.tape.check_at(seq).unwrap()
        );
    }
    let seq = Seq::new(101);
    assert_ne!(
        log.tape.check_at(seq).unwrap(),
        other.tape.check_at(seq).unwrap()
    );
}

#[test]
fn a_system_crash_may_lose_the_first_page_of_an_unconfirmed_segment() {
    for whole in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        kill(filled(folder.path()));
        let files = segments(folder.path());
        // Either the later pages were written, or no page was written.
        let (last, one_before) = (&files[files.len() - 1], &files[files.len() - 2]);
        change(if whole { one_before } else { last }, |bytes| {
            let end = if whole { bytes.len() } else { 4096 };
            bytes[..end].fill(0);
        });
        assert!(
            Log::try_open(folder.path()).is_err(),
            "the end of a process loses no data"
        );
        crash(folder.path());
        let mut log = Log::open(folder.path());
        let head = log.sequencer.cursor().seq().get();
        assert!((1..60_000).contains(&head));
        log.publish("A", 1, 1_782_907_999_000);
        assert_eq!(log.on_disk(Seq::ZERO).len() as u64, head + 1);
    }
}

#[test]
fn a_kill_does_not_confirm_data() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path());
    (0..10).for_each(|i| log.publish("A", i, i));
    let written = log.tape.0.segments()[0].written() as usize;
    kill(log);
    let mut log = Log::open(folder.path());
    log.publish("A", 10, 10);
    kill(log);
    // The disk had confirmed nothing of either run.
    change(&segments(folder.path())[0], |bytes| {
        bytes[written - 100..written].fill(0);
    });
    crash(folder.path());
    assert_eq!(Log::open(folder.path()).sequencer.cursor().seq().get(), 9);
}

#[test]
fn a_writer_that_loses_its_directory_stops_and_writes_nothing_into_another() {
    for moved in [false, true] {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("tape");
        let mut log = Log::open(&folder);
        log.publish("A", 1, 1);
        if moved {
            fs::rename(&folder, parent.path().join("elsewhere")).unwrap();
        } else {
            fs::remove_dir_all(&folder).unwrap();
        }
        let other = Log::open(&folder);
        let why = loop {
            match log.writer.make_room() {
                Ok(()) => std::thread::yield_now(),
                Err(error) => break error.to_string(),
            }
        };
        // The writer may check the path before the other directory exists.
        let known = [
            "the tape's folder was replaced by another folder",
            "the tape's folder was deleted or moved",
        ];
        assert!(
            known
                .iter()
                .any(|known| why == format!("the tape cannot be written any more: {known}")),
            "{why}"
        );
        let names = |folder: &Path| {
            let mut names: Vec<_> = fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            names.sort();
            names
        };
        let (before, state) = (names(&folder), fs::read(folder.join("state.json")).unwrap());
        let base = (log.sequencer.cursor().seq(), log.sequencer.tape().digest());
        assert!(write_snapshot(&log.tape, base, std::iter::empty(), &[]).is_err());
        drop(log);
        assert_eq!(
            (names(&folder), fs::read(folder.join("state.json")).unwrap()),
            (before, state)
        );
        drop(other);
    }
}

#[test]
fn the_lock_is_on_the_directory_not_on_a_file_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path());
    fs::remove_file(folder.path().join("lock")).unwrap();
    assert!(matches!(
        Log::try_open(folder.path()),
        Err(OpenError::Locked(_))
    ));
    drop(log);
}

#[test]
fn a_published_request_is_stored_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path());
    let now = Time::from_millis(1_782_907_200_000).unwrap();
    let progress = tickcast_core::KeyProgress {
        key: "batch-1",
        next: 3,
        done: true,
        report: b"{\"accepted\":3}",
    };
    log.publish("A", 1, 1_782_907_200_000);
    let mut batch = Batch::default();
    let position = log.sequencer.newest_position();
    batch.begin(position, now);
    batch.push_key(&progress);
    log.writer.commit(&mut batch, position.1).unwrap();
    log.publish("A", 2, 1_782_907_200_000);
    kill(log);
    for snapshot in [true, false] {
        let log = Log::open(folder.path());
        let known = log.sequencer.keys().get("batch-1", now).unwrap();
        assert_eq!(
            (known.next, known.done, &*known.report),
            (3, true, progress.report)
        );
        assert_eq!(
            (log.sequencer.cursor().seq().get(), log.on_disk(Seq::ZERO)),
            (2, vec![1, 2])
        );
        if snapshot {
            log.checkpoint();
        }
    }
}

/// A snapshot contains symbols as they were after its base, while the market changed. A repair may
/// move away ticks that such symbols include.
#[test]
fn a_snapshot_ahead_of_a_repaired_tape_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path());
    log.publish("A", 101, 1_782_907_200_000);
    let base = (log.sequencer.cursor().seq(), log.sequencer.tape().digest());
    let whole = log.state();
    log.publish("A", 102, 1_782_907_201_000);
    log.publish("A", 103, 1_782_907_202_000);
    let ids = log.sequencer.market().ids_from(0);
    let symbols = ids.filter_map(|id| log.sequencer.symbol_snapshot(id));
    write_snapshot(&log.tape, base, symbols, &[]).unwrap();
    drop(log);
    // The first byte of the second block.
    change(&segments(folder.path())[0], |bytes| {
        let second = bytes.windows(4).rposition(|at| at == b"TKB2").unwrap();
        let second = bytes[..second].windows(4).rposition(|at| at == b"TKB2");
        bytes[second.unwrap()] ^= 1;
    });
    assert_eq!(repair(folder.path()).unwrap().0.head, base.0);
    let mut log = Log::open(folder.path());
    let repaired = log.state();
    log.publish("A", 104, 1_782_907_203_000);
    let after = log.state();
    drop(log);
    assert_eq!(
        Log::open(folder.path()).state(),
        after,
        "a restart keeps the newest tick"
    );
    let market = |state: &str| state.split_once(' ').unwrap().1.to_owned();
    assert_eq!(
        market(&repaired),
        market(&whole),
        "ticks that were moved away are not shown"
    );
}

#[test]
fn a_delayed_snapshot_counts_only_on_its_own_tape() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path());
    let delay = Duration::from_secs(900);
    assert!(read_delayed_snapshot(&log.tape, delay).is_none());
    for at in 1..=20 {
        log.publish(["A", "B"][at as usize % 2], at, at);
    }
    let write = |log: &Log, base: Seq| {
        let ids = log.sequencer.market().ids_from(0);
        let symbols = ids.filter_map(|id| log.sequencer.symbol_snapshot(id));
        let base = (base, log.sequencer.tape().digest());
        write_delayed_snapshot(&log.tape, delay, base, symbols).unwrap();
    };
    let head = log.sequencer.cursor().seq();
    write(&log, head);
    log.publish("A", 21, 21);
    let found = read_delayed_snapshot(&log.tape, delay).unwrap();
    assert_eq!((found.base, found.symbols.len()), (head, 2));
    let other = Duration::from_secs(60);
    assert!(read_delayed_snapshot(&log.tape, other).is_none());

    let file = folder.path().join("00000000000000000900.delayed");
    let good = fs::read(&file).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&file, bad).unwrap();
        assert!(
            read_delayed_snapshot(&log.tape, delay).is_none(),
            "byte {at}"
        );
    }
    // A tape that goes on with other entries after this position.
    fs::write(&file, &good).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut other = Log::open(elsewhere.path());
    for at in 1..=30 {
        other.publish("A", at + 100, at);
    }
    fs::copy(&file, elsewhere.path().join("00000000000000000900.delayed")).unwrap();
    assert!(read_delayed_snapshot(&other.tape, delay).is_none());
}
