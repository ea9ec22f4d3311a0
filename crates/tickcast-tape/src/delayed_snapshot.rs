//! Snapshots of delayed markets. The tape alone cannot restore such a market: the snapshot of the live
//! market is newer, and the tape before it may be gone.

use std::io;
use std::time::Duration;

use tickcast_core::{Digest, Seq, SymbolSnapshot};

use crate::archive::DiskTape;
use crate::snapshot::{self, SnapshotRecord};

/// A snapshot of a delayed market. Returned by [`read_delayed_snapshot`].
#[derive(Debug)]
pub struct DelayedSnapshot {
    /// The position of the market.
    pub base: Seq,
    /// The digest of the tape at this position.
    pub digest: Digest,
    /// All symbols as of this position.
    pub symbols: Vec<SymbolSnapshot>,
}

/// Writes a snapshot of the market with this delay, in place of the one before. All symbols must be
/// as of `base`.
///
/// # Errors
/// If the operating system reports an error. The last snapshot is then still present.
pub fn write_delayed_snapshot(
    tape: &DiskTape,
    delay: Duration,
    base: (Seq, Digest),
    symbols: impl Iterator<Item = SymbolSnapshot>,
) -> io::Result<()> {
    let folder = &tape.segment_set().folder;
    snapshot::write_file((folder, &name(delay)), base, symbols, &[], || Ok(()))
}

/// Reads the snapshot of the market with this delay. Returns `None` if there is none, if it is
/// damaged, or if the tape does not continue it.
#[must_use]
pub fn read_delayed_snapshot(tape: &DiskTape, delay: Duration) -> Option<DelayedSnapshot> {
    let path = tape.segment_set().folder.path.join(name(delay));
    let base = snapshot::base_of(&path)?;
    let mut symbols = Vec::new();
    let digest = snapshot::read(&path, base, |record| {
        if let SnapshotRecord::Symbol(symbol) = record {
            symbols.push(*symbol);
        }
    });
    let digest = digest.ok().flatten()?;
    let whole = symbols.iter().all(|symbol| symbol.as_of == base) && base <= tape.head();
    // After a crash of the system, the tape may go on with other entries.
    let continued = || tape.digest_at(base).is_ok_and(|own| own == digest);
    (whole && continued()).then_some(DelayedSnapshot {
        base,
        digest,
        symbols,
    })
}

fn name(delay: Duration) -> String {
    format!("{:020}.delayed", delay.as_secs())
}
