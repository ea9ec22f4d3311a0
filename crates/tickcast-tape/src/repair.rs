//! Check and repair of a damaged tape.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tickcast_core::{Digest, Epoch, Limits, Seq, Time};

use crate::data_dir::{DataDir, LastRun};
use crate::error::OpenError;
use crate::scan::{Mode, first_stamp, scan};
use crate::snapshot;
use crate::start::Settings;

/// Content of a data directory. Returned by [`check`] and [`repair`].
#[derive(Debug, Clone, Copy)]
pub struct CheckReport {
    /// Number of segment files.
    pub files: usize,
    /// Number of complete segments without a footer that matches. A start reads these segments
    /// block by block, and writes the footers again.
    pub without_footer: usize,
    /// Sequence number before the oldest entry.
    pub start: Seq,
    /// Sequence number of the newest entry.
    pub head: Seq,
}

/// Checks a whole tape and changes nothing.
///
/// # Errors
/// If there is no tape. Otherwise the same errors as [`open`](crate::open): the first damage.
pub fn check(folder: &Path) -> Result<CheckReport, OpenError> {
    let folder = DataDir::open_read_only(folder)?;
    let (_, last_run) = folder.last_run()?;
    inspect(&folder, last_run)
}

fn inspect(folder: &DataDir, last_run: LastRun) -> Result<CheckReport, OpenError> {
    let settings = Settings {
        epoch: Epoch::new(0),
        limits: Limits::default(),
        forget_before: Time::default(),
    };
    let scan = scan(folder, settings, last_run, Mode::Check)?;
    let start = scan
        .segments
        .front()
        .map_or(Seq::ZERO, |segment| Seq::new(segment.first.get() - 1));
    Ok(CheckReport {
        files: scan.segments.len(),
        without_footer: scan.backlog.complete.len(),
        start,
        head: scan.restore.head(),
    })
}

/// Moves damaged data, and everything after the damage, to files that end in `.damaged`, until the
/// tape can be opened. The next run has a new epoch, so that readers know of the possible gap.
/// Returns the state after the repair, and the moved files.
///
/// # Errors
/// If there is no tape, another process uses the tape, or the operating system reports an error.
pub fn repair(path: &Path) -> Result<(CheckReport, Vec<PathBuf>), OpenError> {
    let folder = DataDir::take_tape(path)?;
    let mut moved_files = Vec::new();
    let (epoch, last_run) = match folder.last_run() {
        Err(OpenError::Damaged { file, .. }) => {
            fs::rename(&file, damaged_path(&file)).map_err(OpenError::io(&file))?;
            moved_files.push(damaged_path(&file));
            (None, LastRun::Fresh)
        }
        result => result?,
    };
    loop {
        // A damaged tape no longer ends where it was closed, so the tape is checked as after a
        // kill.
        match inspect(&folder, LastRun::Killed) {
            Ok(report) => {
                let cut_off = matches!(last_run, LastRun::Closed(seq) if seq != report.head);
                if cut_off || !moved_files.is_empty() {
                    folder
                        .invalidate_epoch(epoch.unwrap_or(Epoch::new(0)))
                        .map_err(OpenError::io(path))?;
                // After a crash, bytes after the end are a normal trace. After a clean close they
                // are damage, but no data is lost.
                } else if let Err(OpenError::Damaged { file, offset, .. }) =
                    inspect(&folder, last_run)
                {
                    move_damage(&folder, &file, offset, &mut moved_files)?;
                }
                return Ok((report, moved_files));
            }
            Err(OpenError::Damaged { file, .. })
                if file.extension().is_some_and(|kind| kind == "market") =>
            {
                reset_market(&folder, &file, &mut moved_files)?;
            }
            Err(OpenError::Damaged { file, offset, .. }) => {
                move_damage(&folder, &file, offset, &mut moved_files)?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Starts from an empty market. The ticks that are still on the tape fill the market again.
fn reset_market(
    folder: &DataDir,
    file: &Path,
    moved_files: &mut Vec<PathBuf>,
) -> Result<(), OpenError> {
    if file.exists() {
        fs::rename(file, damaged_path(file)).map_err(OpenError::io(file))?;
        moved_files.push(damaged_path(file));
    }
    let oldest = folder
        .numbered("ticks")?
        .first()
        .map_or(Seq::ZERO, |(first, _)| Seq::new(first.get() - 1));
    let digest = scan_start(folder)?;
    snapshot::write_to(folder, (oldest, digest), std::iter::empty(), &[], || Ok(()))
        .map_err(OpenError::io(file))
}

/// Returns the digest of the tape before its oldest entry.
fn scan_start(folder: &DataDir) -> Result<Digest, OpenError> {
    let Some((_, path)) = folder.numbered("ticks")?.into_iter().next() else {
        return Ok(Digest::START);
    };
    let bytes = fs::read(&path).map_err(OpenError::io(&path))?;
    Ok(first_stamp(&bytes).unwrap_or_default())
}

/// Returns the file name for moved data.
fn damaged_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".damaged");
    PathBuf::from(name)
}

/// Moves the bytes of a file from `offset` on, and all later files.
fn move_damage(
    folder: &DataDir,
    file: &Path,
    offset: u64,
    moved_files: &mut Vec<PathBuf>,
) -> Result<(), OpenError> {
    let io = || OpenError::io(file);
    for (_, later) in folder
        .numbered("ticks")?
        .iter()
        .filter(|(_, path)| path.as_path() > file)
    {
        fs::rename(later, damaged_path(later)).map_err(OpenError::io(later))?;
        moved_files.push(damaged_path(later));
    }
    if offset == 0 {
        fs::rename(file, damaged_path(file)).map_err(io())?;
    } else {
        let source = File::options()
            .read(true)
            .write(true)
            .open(file)
            .map_err(io())?;
        let length = source.metadata().map_err(io())?.len();
        let mut bytes = vec![0; usize::try_from(length.saturating_sub(offset)).unwrap_or(0)];
        source.read_exact_at(&mut bytes, offset).map_err(io())?;
        // The copy must be safe on disk before the original bytes are removed.
        File::create(damaged_path(file))
            .and_then(|mut copy| copy.write_all(&bytes).and_then(|()| copy.sync_all()))
            .and_then(|()| folder.confirm())
            .map_err(io())?;
        source.set_len(offset).map_err(io())?;
        source.sync_all().map_err(io())?;
    }
    moved_files.push(damaged_path(file));
    folder.confirm().map_err(OpenError::io(&folder.path))
}
