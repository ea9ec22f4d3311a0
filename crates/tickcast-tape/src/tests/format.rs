//! Tests of the bytes on disk. The format is stable: the code may change, but the bytes must stay
//! the same, or the version must change.

use std::fmt::Write as _;

use super::*;
use crate::footer::Footer;
use crate::index::{Index, Stride};
use crate::times::Times;

/// Returns the bytes of the tape files in a directory, as lines of 32 bytes. The state file and
/// trailing zero bytes (reserved space) are left out.
fn dump(folder: &Path) -> String {
    let mut out = String::new();
    for path in files(folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".ticks") && !name.ends_with(".market") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let written = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        writeln!(out, "==== {name}").unwrap();
        out.push_str(&hex(&bytes[..written]));
    }
    out
}

/// Returns bytes as lines of 32 bytes.
fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    for line in bytes.chunks(32) {
        let hex: String = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = line.iter().map(|byte| {
            if (32..127).contains(byte) {
                char::from(*byte)
            } else {
                '.'
            }
        });
        writeln!(out, "{hex:<64} {}", text.collect::<String>()).unwrap();
    }
    out
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

#[test]
fn a_tape_has_the_bytes_that_later_versions_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path());
    for (symbol, units, ms) in [
        ("A", 150, 1),
        ("B", -70, 2),
        ("C=F", 7, 1_764_205_320_000),
        ("A", 151, 86_400_000),
    ] {
        log.publish(symbol, units, ms);
    }
    log.remove("B");
    log.checkpoint();
    log.publish("A", 152, 86_400_001);
    kill(log);
    insta::assert_snapshot!(dump(folder.path()));
}

/// An older version reads such a block as one without entries and without keys.
#[test]
fn a_footer_has_the_bytes_that_later_versions_read() {
    let times = Times {
        earliest: Time::from_millis(1).unwrap(),
        latest: Time::from_millis(1_764_205_320_000).unwrap(),
    };
    let stride = |first, offset, times| Stride {
        times,
        ..Stride::new(Seq::new(first), offset, Digest::from_bits(first as u32))
    };
    let strides = vec![stride(3, 24, times), stride(9, 70_000, Times::default())];
    let footer = Footer {
        first: Seq::new(3),
        last: Seq::new(12),
        before: Digest::from_bits(3),
        after: Digest::from_bits(77),
        at: 90_000,
        index: Index::of(strides),
    };
    let bytes = footer.encode();
    let (block, length) = block::Block::read(&bytes).unwrap();
    assert_eq!(
        (length, block.first.get(), block.count),
        (bytes.len(), 13, 0)
    );
    assert_eq!((block.records().count(), block.keys().count()), (0, 0));
    insta::assert_snapshot!(hex(&bytes));
}
