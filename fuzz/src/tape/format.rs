//! Segments and snapshots whose checksums are right, whatever they contain: as if another program
//! had written them.

use std::fs;
use std::path::Path;

use tickcast_core::{Limits, Tick};
use tickcast_tape::{OpenError, open, repair};

use super::{Log, options, scratch};

/// Checks a segment of one block. The first two bytes are the numbers of ticks and of key records,
/// and the others the records. The segment is refused as damaged, or its ticks can be read, and the
/// tape can be continued.
pub fn tape_segment(data: &[u8]) {
    let Some((&[ticks, keys], records)) = data.split_first_chunk::<2>() else {
        return;
    };
    let mut block = Vec::from(*b"TKB2");
    let length = u32::try_from(records.len()).unwrap_or(u32::MAX);
    let mut head = Vec::new();
    head.extend(u32::from(ticks).to_le_bytes());
    head.extend(1u64.to_le_bytes());
    head.extend(0u64.to_le_bytes());
    head.extend(1_782_907_200_000i64.to_le_bytes());
    head.extend(0u32.to_le_bytes());
    head.extend(u32::from(keys).to_le_bytes());
    head.extend(records);
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&length.to_le_bytes()), &head);
    block.extend(length.to_le_bytes());
    block.extend(checksum.to_le_bytes());
    block.extend(head);
    let mut segment = Vec::from(*b"TICKTAPE");
    segment.extend(2u32.to_le_bytes());
    segment.extend(1u64.to_le_bytes());
    segment.extend(crc32c::crc32c(&segment).to_le_bytes());
    segment.extend(block);
    check_file(&format!("{:020}.ticks", 1), &segment);
}

/// Checks a snapshot of any records. Each record follows its length in two bytes.
pub fn tape_snapshot(data: &[u8]) {
    let mut snapshot = Vec::from(*b"TICKMARK");
    snapshot.extend(2u32.to_le_bytes());
    snapshot.extend(0u64.to_le_bytes());
    snapshot.extend(0u32.to_le_bytes());
    let (mut rest, mut count) = (data, 0u32);
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length)).min(after.len());
        // A record without bytes ends a snapshot.
        if length == 0 {
            break;
        }
        let (record, after) = after.split_at(length);
        snapshot.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        snapshot.extend(crc32c::crc32c(record).to_le_bytes());
        snapshot.extend(record);
        (rest, count) = (after, count + 1);
    }
    snapshot.extend(0u32.to_le_bytes());
    snapshot.extend(crc32c::crc32c(&count.to_le_bytes()).to_le_bytes());
    snapshot.extend(count.to_le_bytes());
    check_file(&format!("{:020}.market", 0), &snapshot);
}

/// Opens a tape of one file.
fn check_file(name: &str, bytes: &[u8]) {
    let folder = scratch();
    fs::write(folder.path().join(name), bytes).expect("the folder is writable");
    match open(folder.path(), options(), Limits::default()) {
        Ok(opened) => check_continued(folder.path(), Log(opened)),
        Err(OpenError::Damaged { .. }) => {
            let repaired = repair(folder.path());
            assert!(repaired.is_ok(), "{repaired:?}");
            check_continued(folder.path(), Log::open(folder.path(), options()));
        }
        Err(error) => panic!("{error}"),
    }
}

/// Publishes another tick of each symbol, and opens the tape again: without a snapshot and with
/// one.
fn check_continued(folder: &Path, mut log: Log) {
    let (_, entries) = log.entries();
    let symbols: Vec<_> = log.0.sequencer.market().names_after(None).collect();
    log.0.writer.make_room().expect("the disk has room");
    for (symbol, _) in symbols {
        let price = "12.50".parse().expect("the price is valid");
        log.publish(&Tick::new(symbol, price));
    }
    let market = log.market();
    drop(log);
    let log = Log::open(folder, options());
    assert_eq!(log.market(), market);
    assert!(log.entries().1.starts_with(&entries));
    log.checkpoint(log.position());
    drop(log);
    assert_eq!(Log::open(folder, options()).market(), market);
}
