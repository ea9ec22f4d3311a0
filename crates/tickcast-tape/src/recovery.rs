//! Opening of a tape. Every file is checked before its content is used.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use tickcast_core::{Digest, Epoch, Limits, Restore, Seq, Sequencer};

use crate::archive::DiskTape;
use crate::block::{Block, NoBlock};
use crate::data_dir::{DataDir, LastRun};
use crate::error::OpenError;
use crate::segment::{HEAD, Segment, check_head};
use crate::segment_set::SegmentSet;
use crate::snapshot::SnapshotRecord;
use crate::writer::Writer;
use crate::{Options, Sync, snapshot};

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
    let scan = scan(&folder, (epoch, limits), last_run, true)?;
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
        for segment in &segments {
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
    let writer = Writer::new(Arc::clone(&segments), segment, digest, sealed_sender)
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

/// Result of a scan.
pub(crate) struct Scan {
    pub(crate) segments: VecDeque<Arc<Segment>>,
    pub(crate) restore: Restore,
    /// Sequence number of the snapshot that the scan started with.
    pub(crate) base: Seq,
    /// Whether an older version wrote the newest segment.
    pub(crate) older: bool,
}

/// Checks all files and restores the log. If `change` is true, data that a crash has cut off is
/// removed.
pub(crate) fn scan(
    folder: &DataDir,
    (epoch, limits): (Epoch, Limits),
    last_run: LastRun,
    change: bool,
) -> Result<Scan, OpenError> {
    let files = folder.numbered("ticks")?;
    let oldest = files
        .first()
        .map_or(Seq::ZERO, |(first, _)| Seq::new(first.get() - 1));
    let (mut restore, snapshot_digest) = begin(folder, epoch, limits, oldest)?;
    let base = restore.head();
    let (mut head, mut older) = (oldest, false);
    let mut walk = Walk {
        restore: &mut restore,
        base,
        snapshot_digest,
        digest: None,
    };
    let mut segments: VecDeque<Arc<Segment>> = VecDeque::new();
    let count = files.len();
    for (at, (first, path)) in files.iter().enumerate() {
        let (first, path) = (*first, path.clone());
        let damaged = |offset, why| OpenError::Damaged {
            file: path.clone(),
            offset,
            why,
        };
        if first != head.next() {
            // The data before this file was not on the disk yet when the system crashed.
            if last_run == LastRun::Crashed && lost_with(&files[at..], head)? {
                drop_later(&files[at..], change)?;
                break;
            }
            return Err(damaged(
                0,
                "the files before this file are missing or end at another position",
            ));
        }
        let file = File::options()
            .read(true)
            .write(change)
            .open(&path)
            .map_err(OpenError::io(&path))?;
        let mut bytes = Vec::new();
        (&file)
            .read_to_end(&mut bytes)
            .map_err(OpenError::io(&path))?;
        let newest = at + 1 == count;
        // The creation of the file was interrupted: nothing was ever written to the file.
        if newest && bytes.iter().all(|b| *b == 0) {
            if change {
                tracing::warn!(file = %path.display(), "the creation of a segment was interrupted; the segment will be created again");
                std::fs::remove_file(&path).map_err(OpenError::io(&path))?;
            }
            continue;
        }
        match check_head(&bytes, first) {
            Ok(std::cmp::Ordering::Greater) => return Err(OpenError::Newer(path)),
            Ok(version) => older = version.is_lt(),
            // The first page of the file was not on the disk yet when the system crashed.
            Err(_) if last_run == LastRun::Crashed && lost_with(&files[at..], head)? => {
                drop_later(&files[at..], change)?;
                break;
            }
            Err(why) => return Err(damaged(0, why)),
        }
        let before = walk
            .digest
            .or_else(|| first_stamp(&bytes))
            .unwrap_or_default();
        let segment = Segment::of(path.clone(), file, (first, before));
        let fault = walk.read_segment(&bytes, &segment);
        head = segment.last();
        let written = segment.written();
        if let Some(why) = fault {
            let later = &files[at + 1..];
            let alone =
                later.is_empty() || (last_run == LastRun::Crashed && lost_with(later, head)?);
            if !alone || !is_torn(&bytes[written as usize..], head, last_run) {
                return Err(damaged(written, why));
            }
            if change {
                cut(&segment, written, why).map_err(OpenError::io(&path))?;
            }
            drop_later(later, change)?;
            segments.push_back(Arc::new(segment));
            break;
        }
        segments.push_back(Arc::new(segment));
    }
    if let LastRun::Closed(seq) = last_run
        && seq != head
        && let Some(last) = segments.back()
    {
        let why =
            "the tape does not end at the position that was recorded when the tape was closed";
        return Err(OpenError::Damaged {
            file: last.path.clone(),
            offset: last.written(),
            why,
        });
    }
    // A symbol that includes later entries than the tape has would lose as many new ones.
    if restore.head() != head || restore.latest_snapshot() > head {
        let file = folder.path.join(format!("{:020}.market", base.get()));
        return Err(OpenError::Damaged {
            file,
            offset: 0,
            why: "the tape ends before the snapshot of the market",
        });
    }
    Ok(Scan {
        segments,
        restore,
        base,
        older,
    })
}

/// Returns the digest of the tape before a segment, if the first block contains this digest.
pub(crate) fn first_stamp(bytes: &[u8]) -> Option<Digest> {
    let (block, _) = Block::read(bytes.get(HEAD..)?).ok()?;
    block.stamp.map(|stamp| stamp.before)
}

/// Restores from the newest valid snapshot.
fn begin(
    folder: &DataDir,
    epoch: Epoch,
    limits: Limits,
    oldest: Seq,
) -> Result<(Restore, Option<Digest>), OpenError> {
    let mut damaged_snapshot: Option<(PathBuf, &'static str)> = None;
    for (base, path) in folder
        .numbered("market")?
        .into_iter()
        .rev()
        .filter(|(base, _)| *base >= oldest)
    {
        let mut restore = Restore::new(epoch, limits, (base, Digest::START));
        let restore_record = |record: SnapshotRecord<'_>| match record {
            SnapshotRecord::Symbol(snapshot) => restore.symbol(*snapshot),
            SnapshotRecord::Key(progress, at) => restore.record_key(progress, at),
        };
        match snapshot::read(&path, base, restore_record) {
            Ok(digest) => {
                restore.set_digest(digest.unwrap_or_default());
                return Ok((restore, digest));
            }
            Err(why) => {
                tracing::warn!(file = %path.display(), "a snapshot of the market is skipped: {why}");
                damaged_snapshot = Some((path, why));
            }
        }
    }
    // If the tape starts at the first tick, no snapshot is needed.
    if oldest == Seq::ZERO {
        return Ok((
            Restore::new(epoch, limits, (Seq::ZERO, Digest::START)),
            Some(Digest::START),
        ));
    }
    let (file, why) = damaged_snapshot.unwrap_or_else(|| {
        (
            folder.path.join("*.market"),
            "the snapshot of the market is missing",
        )
    });
    Err(OpenError::Damaged {
        file,
        offset: 0,
        why,
    })
}

/// Walk through a tape, block by block.
struct Walk<'r> {
    restore: &'r mut Restore,
    /// Sequence number of the snapshot, and the digest in the snapshot, if any.
    base: Seq,
    snapshot_digest: Option<Digest>,
    /// Digest of the tape so far. `None` before the first segment.
    digest: Option<Digest>,
}

impl Walk<'_> {
    /// Walks through a segment, up to its end or up to damage. Returns a description of the damage.
    fn read_segment(&mut self, bytes: &[u8], segment: &Segment) -> Option<&'static str> {
        self.digest = Some(segment.start().before);
        if let Some(why) = self.check_digest_at(Seq::new(segment.first.get() - 1)) {
            return Some(why);
        }
        let mut at = HEAD;
        loop {
            let (block, length) = match Block::read(&bytes[at..]) {
                Ok(read) => read,
                // After the end, all bytes must be zero.
                Err(NoBlock::End) if bytes[at..].iter().all(|b| *b == 0) => return None,
                Err(NoBlock::End | NoBlock::Short(_)) => return Some("a block is cut off"),
                Err(NoBlock::Damaged(why)) => return Some(why),
            };
            if block.first != segment.last().next() {
                return Some("a block before this block is missing");
            }
            if block.records().count() != block.count as usize {
                return Some("the entries of the block are invalid");
            }
            let before = self.digest.unwrap_or_default();
            if block.stamp.is_some_and(|stamp| stamp.before != before) {
                return Some("the block does not continue the data before the block");
            }
            if let Some(why) = self.replay_block(&block) {
                return Some(why);
            }
            segment.grow((block.first, block.last()), length as u64, before);
            at += length;
        }
    }

    /// Replays a block.
    fn replay_block(&mut self, block: &Block<'_>) -> Option<&'static str> {
        let now = block.stamp.map(|stamp| stamp.now);
        for (seq, recorded) in block.records() {
            self.digest = self
                .digest
                .map(|digest| digest.with(&recorded.symbol, recorded.json));
            // Entries that the snapshot includes are not stored in memory again.
            if seq > self.base {
                self.restore.replay(recorded, now);
            } else if let Some(why) = self.check_digest_at(seq) {
                return Some(why);
            }
        }
        for progress in block.keys().filter(|_| block.first > self.base) {
            self.restore.record_key(progress, now.unwrap_or_default());
        }
        None
    }

    /// Records that the tape was read up to `seq`. At the position of the snapshot, the digest must
    /// be the digest in the snapshot.
    fn check_digest_at(&mut self, seq: Seq) -> Option<&'static str> {
        if seq != self.base {
            return None;
        }
        match (self.snapshot_digest, self.digest) {
            (Some(expected), Some(digest)) if expected != digest => {
                Some("the snapshot of the market was made from another tape")
            }
            (None, Some(digest)) => {
                self.restore.set_digest(digest);
                None
            }
            _ => None,
        }
    }
}

/// Checks whether the rest of a segment was cut off by a crash, and is not damage to confirmed
/// data. After a kill, no complete block may follow. After a system crash, no later block may show
/// that the lost data was confirmed.
fn is_torn(rest: &[u8], head: Seq, last_run: LastRun) -> bool {
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
fn lost_with(files: &[(Seq, PathBuf)], head: Seq) -> Result<bool, OpenError> {
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

fn drop_later(files: &[(Seq, PathBuf)], change: bool) -> Result<(), OpenError> {
    for (_, path) in files.iter().filter(|_| change) {
        tracing::warn!(file = %path.display(), "the data before this segment was lost in a crash; the segment is deleted");
        std::fs::remove_file(path).map_err(OpenError::io(path))?;
    }
    Ok(())
}

/// Removes the bytes after the last complete block.
fn cut(segment: &Segment, written: u64, why: &'static str) -> io::Result<()> {
    tracing::warn!(
        file = %segment.path.display(),
        "a crash cut off the end of the tape at byte {written} ({why}); the tape continues after {}",
        segment.last().get()
    );
    // The bytes after the end are zero when space is reserved again.
    segment.file.set_len(written)?;
    segment.file.sync_all()
}
