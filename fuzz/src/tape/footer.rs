//! Footers whose checksums are right, whatever they contain: as if another program had written them.

use tickcast_core::Limits;
use tickcast_tape::{check, open};

use super::files::{check_opened, write_files};
use super::{BY_FOOTER, Log, options, scratch};

/// Length of the header of a block.
const HEAD: usize = 48;

/// Checks changed footers. Each three bytes are a position in the content of the footer, and what to
/// change there. No footer stops the start or hides an entry: a reader receives every entry, or an
/// error.
pub fn tape_footer(data: &[u8]) {
    let mut files = BY_FOOTER.files.clone();
    let first = files.iter_mut().find(|(name, _)| name.ends_with(".ticks"));
    let segment = &mut first.expect("there is a segment").1;
    let length = segment.len() - 12;
    let length = u32::from_le_bytes([0, 1, 2, 3].map(|at| segment[length + at])) as usize;
    let mut footer = segment.split_off(segment.len() - length);
    for change in data.chunks_exact(3) {
        let at = u16::from_le_bytes([change[0], change[1]]);
        let content = &mut footer[HEAD..];
        let at = usize::from(at) % content.len();
        content[at] ^= change[2];
    }
    // The checksum covers everything but the mark and itself.
    let sum = crc32c::crc32c_append(crc32c::crc32c(&footer[4..8]), &footer[12..]);
    footer[8..12].copy_from_slice(&sum.to_le_bytes());
    segment.extend(footer);

    let folder = scratch();
    write_files(folder.path(), &files);
    check(folder.path()).expect("no entry is damaged");
    let opened = open(folder.path(), options(), Limits::default()).expect("no entry is damaged");
    let log = Log(opened);
    let (start, entries, _) = log.entries_until_error();
    assert_eq!(start.get(), 0);
    assert!(BY_FOOTER.entries.starts_with(&entries));
    drop(log);
    // Whether the footer was written again or not, a repair changes nothing that was written.
    let (report, moved) = tickcast_tape::repair(folder.path()).expect("no entry is damaged");
    assert_eq!(
        (report.head.get(), moved.len()),
        (BY_FOOTER.entries.len() as u64, 0)
    );
    std::fs::remove_file(folder.path().join("state.json")).expect("there is a state");
    let log = Log(open(folder.path(), options(), Limits::default()).expect("no entry is damaged"));
    if log.entries_until_error().2.is_none() {
        check_opened(folder.path(), log, &BY_FOOTER.entries);
    }
}
