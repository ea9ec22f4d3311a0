//! Opening of a tape.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::SystemTime;

use tickcast_core::{Epoch, Limits, Restore, Sequencer, Time};

use crate::archive::DiskTape;
use crate::data_dir::{DataDir, LastRun};
use crate::error::OpenError;
use crate::scan::{Mode, scan};
use crate::segment::Segment;
use crate::segment_set::SegmentSet;
use crate::start::Settings;
use crate::writer::Writer;
use crate::{Options, Sync};

/// An opened tape. Returned by [`open`].
#[derive(Debug)]
pub struct Opened {
    /// The restored log.
    pub sequencer: Sequencer,
    /// Writer that continues the tape.
    pub writer: Writer,
    /// Read access to the same tape.
    pub tape: DiskTape,
    /// Receives a message when a segment is complete: time for a snapshot and for retention. Ends
    /// with the writer.
    pub segment_sealed: Receiver<()>,
}

/// Opens the tape in `folder`, or creates a tape there. `limits` are the limits of the restored
/// log.
///
/// # Errors
/// If another process uses the tape, if the operating system reports an error, or if the tape is
/// damaged. An incomplete last block after a crash is no error: the block is dropped and logged.
/// Sealed segments before the newest snapshot are opened by their footers, and are read after the
/// start: damage is logged then, and counts among the [damaged
/// segments](DiskTape::damaged_segments).
pub fn open(folder: &Path, options: Options, limits: Limits) -> Result<Opened, OpenError> {
    let folder = DataDir::take(folder)?;
    let (last_epoch, last_run) = folder.last_run()?;
    // A system crash may have lost ticks that readers have received. Their sequence numbers will be
    // used again, so a new epoch must begin.
    let epoch = match (last_epoch, last_run) {
        (Some(epoch), LastRun::Closed(_) | LastRun::Killed) => epoch,
        (Some(_), _) => {
            tracing::warn!("the system stopped before the tape was closed; a new epoch begins");
            fresh_epoch()
        }
        (None, _) => fresh_epoch(),
    };
    let settings = Settings {
        epoch,
        limits,
        forget_before: Time::from(SystemTime::now()).saturating_sub(options.forget),
    };
    let mut scan = scan(&folder, settings, last_run, Mode::Open)?;
    let backlog = std::mem::take(&mut scan.backlog);
    let mut segments = scan.segments;
    let restore = scan.restore;
    let head = restore.head();
    let io = OpenError::io(&folder.path);
    let opened = match segments.back().cloned() {
        // An older version must not mistake the new format for damage, so a new segment begins.
        Some(last) if scan.older && last.last() >= last.first => {
            begin_segment(&folder, &mut segments, &restore, options)
        }
        Some(last) => last.reserve(options.segment_bytes()).map(|()| last),
        None => begin_segment(&folder, &mut segments, &restore, options),
    };
    let segment = match opened {
        Ok(segment) => segment,
        // A full disk must not stop the server from serving the existing data.
        Err(error) if !segments.is_empty() && error.kind() == io::ErrorKind::StorageFull => {
            tracing::error!(%error, "the disk is full: nothing can be published until there is room");
            segments
                .back()
                .cloned()
                .unwrap_or_else(|| unreachable!("there is one"))
        }
        Err(error) => return Err(io(error)),
    };
    if let Err(error) = folder.begin_run(epoch) {
        // The next run must not believe that this run was closed cleanly or only killed. Without a
        // state file, the next run begins a new epoch.
        tracing::warn!(%error, "cannot record the start of this run; the next run will begin a new epoch");
        folder.remove_state().map_err(OpenError::io(&folder.path))?;
    }
    // The data of a killed run may not be confirmed on disk, so the data is confirmed now.
    if options.sync != Sync::Never {
        for segment in segments.iter().filter(|segment| !segment.is_confirmed()) {
            segment
                .file
                .sync_all()
                .map_err(OpenError::io(&segment.path))?;
        }
    }
    let durable = if options.sync == Sync::Never {
        scan.base
    } else {
        head
    };
    let segments = Arc::new(SegmentSet::new(
        (folder, scan.base),
        epoch,
        options,
        (segments, durable),
    ));
    let (sealed_sender, sealed_receiver) = channel();
    let path = segments.folder.path.clone();
    let digest = restore.digest();
    let writer = Writer::new(
        Arc::clone(&segments),
        (segment, digest),
        backlog,
        sealed_sender,
    )
    .map_err(OpenError::io(&path))?;
    Ok(Opened {
        sequencer: restore.done(),
        writer,
        tape: DiskTape(segments),
        segment_sealed: sealed_receiver,
    })
}

/// Creates another segment at the end of the tape.
fn begin_segment(
    folder: &DataDir,
    segments: &mut VecDeque<Arc<Segment>>,
    restore: &Restore,
    options: Options,
) -> io::Result<Arc<Segment>> {
    let start = (restore.head().next(), restore.digest());
    let fresh = Arc::new(Segment::create(
        &folder.path,
        start,
        options.segment_bytes(),
    )?);
    folder.confirm()?;
    segments.push_back(Arc::clone(&fresh));
    Ok(fresh)
}

fn fresh_epoch() -> Epoch {
    Epoch::new(getrandom::u64().unwrap_or_else(|_| fastrand::u64(..)))
}
