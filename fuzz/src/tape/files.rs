//! Damaged files of a tape.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tickcast_core::{Limits, Seq, Tick};
use tickcast_tape::{OpenError, check, open, repair};

use super::{BY_FOOTER, Log, TapeEntry, WHOLE, WholeTape, options, scratch};

/// Maximum number of edits of one tape.
const MAX_EDITS: usize = 16;

/// Checks damaged tapes. The first byte says how the last run ended: closed, killed, or with the
/// system, and which of two tapes it is. Each four bytes after it are an edit of a file of a whole tape. What an opened or
/// repaired tape holds is a part of the whole tape, without a gap and from the same positions on.
pub fn tape_files(data: &[u8]) {
    let Some((first, edits)) = data.split_first() else {
        return;
    };
    let whole: &WholeTape = match first / 3 % 2 {
        0 => &WHOLE,
        _ => &BY_FOOTER,
    };
    let mut files = whole.files.clone();
    for (name, bytes) in &mut files {
        if name == "state.json" {
            *bytes = ended(bytes, first % 3);
        }
    }
    for edit in edits.chunks_exact(4).take(MAX_EDITS) {
        apply(&mut files, [edit[0], edit[1], edit[2], edit[3]]);
    }
    let folder = scratch();
    write_files(folder.path(), &files);
    check_folder(folder.path(), &whole.entries);
}

pub(super) fn write_files(folder: &Path, files: &[(String, Vec<u8>)]) {
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).expect("the folder is writable");
    }
}

/// Returns the recorded state of a run that was closed, killed, or stopped with the system.
fn ended(state: &[u8], how: u8) -> Vec<u8> {
    let mut state: Value = serde_json::from_slice(state).expect("the state is JSON");
    if how > 0 {
        state["closed_at"] = Value::Null;
    }
    if how > 1 {
        state["boot"] = "".into();
    }
    state.to_string().into_bytes()
}

/// Edits a file: the lowest bits of the first byte select the file, the others the edit. The next
/// two are the position.
fn apply(files: &mut Vec<(String, Vec<u8>)>, [what, low, high, value]: [u8; 4]) {
    if files.is_empty() {
        return;
    }
    let which = usize::from(what & 7) % files.len();
    let bytes = &mut files[which].1;
    let at = usize::from(u16::from_le_bytes([low, high])) % (bytes.len() + 1);
    match what >> 3 {
        0 => _ = files.remove(which),
        1..=3 => bytes.truncate(at),
        4..=6 => bytes[at..].fill(0),
        7..=9 => bytes.insert(at, value),
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= value;
            }
        }
    }
}

fn check_folder(folder: &Path, whole: &[TapeEntry]) {
    let checked = check(folder);
    let opened = open(folder, options(), Limits::default());
    let damage = match (checked, opened) {
        (Ok(_) | Err(OpenError::NoTape(_)), Ok(opened)) => {
            return check_opened(folder, Log(opened), whole);
        }
        // The damage is in a segment that is not read at the start. Its readers meet it.
        (Err(damage @ OpenError::Damaged { .. }), Ok(opened)) => {
            let (start, entries, error) = Log(opened).entries_until_error();
            check_entries(start, &entries, whole);
            assert!(error.is_some(), "{damage}");
            damage
        }
        (Err(OpenError::NoTape(_)) | Err(_), Err(damage)) => damage,
        (checked, opened) => panic!("{checked:?}, {opened:?}"),
    };
    match (repair(folder), damage) {
        (Ok((report, _)), OpenError::Damaged { .. }) => {
            let log = Log::open(folder, options());
            assert_eq!(log.0.tape.head(), report.head);
            check_opened(folder, log, whole);
        }
        // A flipped bit of a version is a version.
        (Ok(_) | Err(OpenError::Newer(_)), OpenError::Newer(_)) | (Err(OpenError::Newer(_)), _) => {
        }
        (repaired, damage) => panic!("{damage}: {repaired:?}"),
    }
}

/// Checks that entries are a part of the whole tape, without a gap.
fn check_entries(start: Seq, entries: &[TapeEntry], whole: &[TapeEntry]) {
    let from = usize::try_from(start.get()).expect("positions are small");
    let part = whole.get(from..from + entries.len());
    assert_eq!(part, Some(entries), "after {start:?}");
}

/// Checks the entries and the market of an opened tape. Then checks that the tape can be continued.
pub(super) fn check_opened(folder: &Path, mut log: Log, whole: &[TapeEntry]) {
    let (start, entries) = log.entries();
    check_entries(start, &entries, whole);
    assert_eq!(log.0.sequencer.cursor().seq(), log.0.tape.head());
    check_newest(&log, start, &entries);
    let tick = Tick::from_json(br#"{"symbol":"NEW","price":1}"#).expect("the tick is valid");
    log.0.writer.make_room().expect("the disk has room");
    log.publish(&tick);
    let (epoch, market) = (log.0.sequencer.cursor(), log.market());
    drop(log);
    let again = Log::open(folder, options());
    assert_eq!(
        (again.0.sequencer.cursor(), again.market()),
        (epoch, market)
    );
}

/// Checks that the newest tick of each symbol is its last entry.
fn check_newest(log: &Log, start: Seq, entries: &[TapeEntry]) {
    let market = log.0.sequencer.market();
    for (symbol, id) in market.names_after(None) {
        let json = market.newest(id).map(|frame| frame.json().to_vec());
        let last = entries.iter().rfind(|(name, _)| *name == symbol);
        match last {
            Some((_, last)) => assert_eq!(&json, last, "{symbol}"),
            // The snapshot holds symbols whose last entry is no longer on the tape.
            None => assert!(start > Seq::ZERO, "{symbol}"),
        }
    }
}
