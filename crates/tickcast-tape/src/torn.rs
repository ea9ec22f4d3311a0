//! What a crash leaves at the end of a tape.

use std::io;
use std::path::PathBuf;

use tickcast_core::Seq;

use crate::block::Block;
use crate::data_dir::LastRun;
use crate::error::OpenError;
use crate::segment::{HEAD, Segment};

/// Checks whether the rest of a segment was cut off by a crash, and is not damage to confirmed
/// data. After a kill, no complete block may follow. After a system crash, no later block may show
/// that the lost data was confirmed.
pub(crate) fn is_torn(rest: &[u8], head: Seq, last_run: LastRun) -> bool {
    let lost = head.next();
    let later_blocks = (1..rest.len()).filter_map(|at| {
        let possible = rest[at] == b'T'
            && [b"TKB1", b"TKB2"]
                .iter()
                .any(|magic| rest[at..].starts_with(*magic));
        possible.then(|| Block::read(&rest[at..]).ok()).flatten()
    });
    let mut later_blocks = later_blocks.filter(|(block, _)| block.first > lost);
    match last_run {
        LastRun::Closed(_) => false,
        LastRun::Crashed => !later_blocks.any(|(block, _)| block.durable >= lost),
        LastRun::Fresh | LastRun::Killed => later_blocks.next().is_none(),
    }
}

/// Checks whether a system crash can have lost the data between `head` and these files. This is not
/// possible if a block in these files shows that later data was confirmed.
pub(crate) fn lost_with(files: &[(Seq, PathBuf)], head: Seq) -> Result<bool, OpenError> {
    for (_, path) in files {
        let bytes = std::fs::read(path).map_err(OpenError::io(path))?;
        let mut rest = bytes.get(HEAD..).unwrap_or_default();
        while let Ok((block, length)) = Block::read(rest) {
            if block.durable > head {
                return Ok(false);
            }
            rest = &rest[length..];
        }
    }
    Ok(true)
}

pub(crate) fn drop_later(files: &[(Seq, PathBuf)], change: bool) -> Result<(), OpenError> {
    for (_, path) in files.iter().filter(|_| change) {
        tracing::warn!(file = %path.display(), "the data before this segment was lost in a crash; the segment is deleted");
        std::fs::remove_file(path).map_err(OpenError::io(path))?;
    }
    Ok(())
}

/// Removes the bytes after the last complete block.
pub(crate) fn cut(segment: &Segment, written: u64, why: &'static str) -> io::Result<()> {
    tracing::warn!(
        file = %segment.path.display(),
        "a crash cut off the end of the tape at byte {written} ({why}); the tape continues after {}",
        segment.last().get()
    );
    // The bytes after the end are zero when space is reserved again.
    segment.file.set_len(written)?;
    segment.file.sync_all()
}
