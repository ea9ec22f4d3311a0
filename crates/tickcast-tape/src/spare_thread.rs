//! The thread that makes the file of the next segment.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use crate::segment::Segment;
use crate::segment_set::SegmentSet;

/// Work for the thread of the spare.
#[derive(Debug)]
pub(crate) enum SpareWork {
    /// The next segment will be needed soon.
    Prepare,
    /// The spare is a segment now, and this was the segment before it.
    Used(Arc<Segment>),
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
                    if segments.wait_to_retry() {
                        break;
                    }
                }
            }
            SpareWork::Used(before) => {
                segments.confirm_folder();
                before.release();
            }
        }
    }
    segments.spare.discard(&segments.folder);
}
