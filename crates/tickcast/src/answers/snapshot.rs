//! Snapshots of the market at one cursor, shared by all answers that need one.

use std::sync::Weak;

use tickcast_core::{Cursor, Frame, Sequencer, Symbol};
use tokio::time::Instant;

use super::{AnswerPermit, Busy, Cut};

/// The newest tick of each symbol, as of one cursor.
pub(crate) struct Snapshot {
    pub(crate) cursor: Cursor,
    /// The ticks, in order of symbol names.
    pub(crate) ticks: Vec<(Symbol, Frame)>,
    /// The memory permit of the snapshot. A snapshot without a permit is small.
    pub(super) _room: Option<AnswerPermit>,
}

/// The newest snapshot while at least one answer holds it, and the time when the snapshot was made.
#[derive(Default)]
pub(super) struct SnapshotCache {
    pub(super) snapshot: Weak<Snapshot>,
    pub(super) made: Option<Instant>,
}

/// The reason why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoSnapshot {
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error(transparent)]
    Cut(#[from] Cut),
}

impl Snapshot {
    /// Returns the newest ticks of the named symbols, at most as many as one filter can name.
    pub(crate) fn get(names: &[Symbol], log: &Sequencer) -> Self {
        let market = log.market();
        let newest = |name: &Symbol| Some((*name, market.newest(market.id(name)?)?.clone()));
        Self {
            cursor: log.cursor(),
            ticks: names.iter().filter_map(newest).collect(),
            _room: None,
        }
    }
}
