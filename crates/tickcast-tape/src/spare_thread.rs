//! The thread that makes the file of the next segment.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use crate::segment_set::SegmentSet;

/// Time before the next segment is made again, after the disk had no room for it.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Work for the thread of the spare.
#[derive(Debug)]
pub(crate) enum SpareWork {
    /// The next segment will be needed soon.
    Prepare,
    /// The spare is a segment now.
    Used,
}

/// Does the work of the spare until the tape is closed.
pub(crate) fn run(segments: &SegmentSet, work: &Receiver<SpareWork>) {
    for work in work {
        match work {
            SpareWork::Prepare => {
                let room = segments.options.segment_bytes();
                while let Err(error) = segments.spare.prepare(&segments.folder, room) {
                    // If the disk has no room in time, the writer makes the segment itself.
                    tracing::debug!(%error, "the next segment cannot be made ahead");
                    if segments.wait(RETRY_INTERVAL) {
                        break;
                    }
                }
            }
            SpareWork::Used => segments.confirm_folder(),
        }
    }
    segments.spare.discard(&segments.folder);
}
