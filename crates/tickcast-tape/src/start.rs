//! Start of a restoration: the newest snapshot of the market.

use std::path::PathBuf;

use tickcast_core::{Digest, Epoch, Limits, Restore, Seq, SymbolSnapshot, Time};

use crate::data_dir::DataDir;
use crate::error::OpenError;
use crate::snapshot::{self, SnapshotRecord};

/// Settings of a restored log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) epoch: Epoch,
    pub(crate) limits: Limits,
    /// Symbols that were removed before this time are left out.
    pub(crate) forget_before: Time,
}

/// Restores from the newest valid snapshot.
pub(crate) fn begin(
    folder: &DataDir,
    settings: Settings,
    oldest: Seq,
) -> Result<(Restore, Option<Digest>), OpenError> {
    let Settings {
        epoch,
        limits,
        forget_before,
    } = settings;
    let mut damaged_snapshot: Option<(PathBuf, &'static str)> = None;
    for (base, path) in folder
        .numbered("market")?
        .into_iter()
        .rev()
        .filter(|(base, _)| *base >= oldest)
    {
        let mut restore = Restore::new(epoch, limits, (base, Digest::START));
        let mut forgotten = 0;
        let restore_record = |record: SnapshotRecord<'_>| match record {
            SnapshotRecord::Symbol(snapshot) if is_forgotten(&snapshot, base, forget_before) => {
                forgotten += 1;
            }
            SnapshotRecord::Symbol(snapshot) => restore.symbol(*snapshot),
            SnapshotRecord::Key(progress, at) => restore.record_key(progress, at),
        };
        match snapshot::read(&path, base, restore_record) {
            Ok(digest) => {
                restore.set_digest(digest.unwrap_or_default());
                restore.forget_until(base);
                if forgotten > 0 {
                    tracing::info!(
                        symbols = forgotten,
                        "symbols that were removed long ago are forgotten"
                    );
                }
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

/// Checks whether a symbol of a snapshot at `base` is left out. The tape in memory begins at `base`.
/// So a reader who continues on it has learned that the symbol is gone.
fn is_forgotten(snapshot: &SymbolSnapshot, base: Seq, forget_before: Time) -> bool {
    let long_gone = snapshot
        .gone_since()
        .is_some_and(|since| since < forget_before);
    long_gone && snapshot.updated_at.seq <= base
}
