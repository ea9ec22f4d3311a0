//! The thread that seals complete segments, and that checks the segments that were opened without
//! reading them.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use tickcast_core::Digest;

use crate::blocks::{Blocks, untimed};
use crate::error::ReadError;
use crate::index::Index;
use crate::segment::Segment;
use crate::segment_set::SegmentSet;

/// Pause after each 256 KiB of a check. So a check reads at most 64 MiB a second, and a tape of
/// 100 GiB is checked half an hour after the start.
const PAUSE: Duration = Duration::from_millis(4);

/// Amount by which the priority of the thread is lowered: nobody waits for it.
#[cfg(target_os = "linux")]
const LOWER: i32 = 10;

/// A complete segment, and the digest of the tape after it.
pub(crate) type Complete = (Arc<Segment>, Digest);

/// What an earlier run has left to do. Default: nothing.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// Segments without a footer.
    pub(crate) complete: VecDeque<Complete>,
    /// Segments that were opened by their footers.
    pub(crate) unverified: VecDeque<Arc<Segment>>,
}

/// Seals and checks segments until the tape is closed.
pub(crate) fn run(segments: &SegmentSet, backlog: Backlog, complete: &Receiver<Complete>) {
    // On other systems, only the whole process has a priority.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(LOWER) {
        tracing::debug!(%error, "the priority of a thread cannot be lowered");
    }
    // The oldest first: a footer says that the disk has confirmed everything before it.
    let Backlog {
        complete: older,
        mut unverified,
    } = backlog;
    older.into_iter().for_each(|older| seal(segments, &older));
    loop {
        let next = match unverified.is_empty() {
            true => complete.recv().map_err(|_| TryRecvError::Disconnected),
            false => complete.try_recv(),
        };
        match next {
            Ok(next) => seal(segments, &next),
            Err(TryRecvError::Empty) => {
                let oldest = unverified.pop_front();
                oldest
                    .into_iter()
                    .for_each(|oldest| check(segments, &oldest));
            }
            Err(TryRecvError::Disconnected) => return,
        }
    }
}

/// Seals a segment, if nothing is wrong with it.
fn seal(segments: &SegmentSet, (segment, after): &Complete) {
    let sealed = (|| {
        while let Some(part) = segment.untimed() {
            segment.note_times(&part, untimed(segment, &part)?);
        }
        if !segments.is_broken() {
            segments.confirm(segment)?;
            segment.seal(*after)?;
        }
        Ok::<_, ReadError>(())
    })();
    if let Err(error) = sealed {
        tracing::warn!(
            %error, file = %segment.path.display(),
            "a segment has no footer: each start reads the whole segment"
        );
        segment.release();
    }
}

/// Checks a segment that was opened by its footer. If the blocks are whole, but the index is not
/// their index, the footer is written again.
fn check(segments: &SegmentSet, segment: &Arc<Segment>) {
    let is_there = |segment: &Arc<Segment>| {
        let there = segments.containing(segment.first);
        there.is_some_and(|there| Arc::ptr_eq(&there, segment))
    };
    if !is_there(segment) {
        return;
    }
    match read_index(segment, || segments.wait(PAUSE)) {
        Ok(Some((index, after))) => {
            if !segment.has_index(&index) {
                tracing::warn!(
                    file = %segment.path.display(),
                    "the footer of a segment does not match the segment; the footer is written again"
                );
                segment.set_index(index);
                seal(segments, &(Arc::clone(segment), after));
            }
        }
        // The tape is closed, or the damage was noted.
        Err(error) => segment.note_damage(&error),
        // The tape is closed.
        Ok(None) => {}
    }
}

/// Reads a whole sealed segment. Returns its index, and the digest of the tape after it. Returns
/// `None` if `pause` returned that there is no time for it.
fn read_index(
    segment: &Segment,
    mut pause: impl FnMut() -> bool,
) -> Result<Option<(Index, Digest)>, ReadError> {
    let (mut index, mut buffer) = (Index::default(), Vec::new());
    let mut blocks = Blocks::find(segment, segment.first);
    loop {
        let flow = blocks.read_chunk(&mut buffer, |block, bytes, digest| {
            index.add(block.first, bytes.0, *digest);
            index.add_times(block.times(), bytes);
            let records = block.records();
            *digest = records.fold(*digest, |digest, (_, recorded)| {
                digest.with(&recorded.symbol, recorded.json)
            });
            ControlFlow::Continue(())
        })?;
        if flow != ControlFlow::Continue(true) {
            return Ok(Some((index, blocks.digest)));
        }
        if pause() {
            return Ok(None);
        }
    }
}
