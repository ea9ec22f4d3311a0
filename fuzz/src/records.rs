//! Files of ticks: JSON and CSV, plain and compressed.

use std::fmt::Display;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tickcast_core::{Tick, TickError};
use tickcast_feeds::records::{Layout, RecordSink, Records};

use crate::tape::scratch;

/// The records of a file, in order: a text, or the reason of a rejection.
#[derive(Debug, Default, PartialEq)]
struct Seen(Vec<(u64, Result<Vec<u8>, String>)>);

impl RecordSink for Seen {
    fn take(&mut self, line: u64, text: &[u8]) -> ControlFlow<()> {
        self.0.push((line, Ok(text.to_vec())));
        ControlFlow::Continue(())
    }

    fn reject(&mut self, line: u64, why: &dyn Display) -> ControlFlow<()> {
        self.0.push((line, Err(why.to_string())));
        ControlFlow::Continue(())
    }

    fn warn(&mut self, _: u64, what: &str) {
        assert!(!what.is_empty());
    }

    fn pause(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Checks files of ticks. The lines are read in order, at most once each, and a row of a CSV
/// becomes one JSON object. A compressed file has the same records.
pub fn records(data: &[u8]) {
    let folder = scratch();
    let file = folder.path().join("ticks");
    let plain = read(&file, data);
    let text = data
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(data)
        .trim_ascii_start();
    let lines = |end: fn(&u8) -> bool| {
        let lines = text.split(end);
        lines.filter(|line| !line.trim_ascii().is_empty()).count()
    };
    let compressed = [&b"\x1f\x8b"[..], b"\x28\xb5\x2f\xfd"]
        .iter()
        .any(|magic| data.starts_with(magic));
    let (seen, whole) = &plain;
    let is_sorted = seen.0.is_sorted_by(|(one, _), (other, _)| one < other);
    assert!(is_sorted, "{seen:?}");
    if compressed {
        return;
    }
    match text.first() {
        Some(b'{') if *whole => assert_eq!(seen.0.len(), lines(|byte| *byte == b'\n'), "{seen:?}"),
        Some(b'[' | b'{') | None => {}
        Some(_) => {
            // A carriage return alone ends a line, too.
            let lines = lines(|byte| matches!(byte, b'\n' | b'\r'));
            assert!(seen.0.len() <= lines, "{seen:?}");
            seen.0
                .iter()
                .filter_map(|(_, row)| row.as_ref().ok())
                .for_each(|row| check_row(row));
        }
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).expect("memory takes everything");
    let gzip = encoder.finish().expect("memory takes everything");
    assert_eq!(read(&file, &gzip), plain);
    let zstd = zstd::encode_all(data, 1).expect("memory takes everything");
    assert_eq!(read(&file, &zstd), plain);
}

/// Checks that a row of a CSV became an object, whatever its cells contain.
fn check_row(row: &[u8]) {
    let json: Value = serde_json::from_slice(row).expect("a row is JSON");
    assert!(json.is_object(), "{json}");
    if let Err(rejected) = Tick::from_json(row) {
        assert!(
            !matches!(rejected.error, TickError::NotJson(_)),
            "{json}: {rejected}"
        );
    }
}

/// Reads a file with these bytes. Returns its records, and whether it could be read to its end.
fn read(file: &Path, bytes: &[u8]) -> (Seen, bool) {
    std::fs::write(file, bytes).expect("the folder is writable");
    let mut seen = Seen::default();
    let records = Records::open(file, Layout::default()).expect("the file exists");
    let whole = records.read(&mut seen).is_ok();
    (seen, whole)
}
