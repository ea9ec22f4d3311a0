//! The market as it stood at one place, shared by all answers about it.

use std::sync::Weak;

use tickcast_core::{Cursor, Frame, Sequencer, Symbol};
use tokio::time::Instant;

use super::{AnswerPermit, Busy, Cut};

/// The newest tick of each symbol, as of one place.
pub(crate) struct Snapshot {
    pub(crate) cursor: Cursor,
    /// In order of names.
    pub(crate) ticks: Vec<(Symbol, Frame)>,
    /// Room for it among what answers may hold. Without one it is small.
    pub(super) _room: Option<AnswerPermit>,
}

/// The newest snapshot, as long as some answer holds it, and when it was made.
#[derive(Default)]
pub(super) struct SnapshotCache {
    pub(super) snapshot: Weak<Snapshot>,
    pub(super) made: Option<Instant>,
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoSnapshot {
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error(transparent)]
    Cut(#[from] Cut),
}

impl Snapshot {
    /// The newest ticks of symbols that are named, at most as many as a filter names.
    pub(crate) fn get(names: &[Symbol], log: &Sequencer) -> Self {
        let market = log.market();
        let newest = |name: &Symbol| Some((*name, market.newest(market.id(name)?)?.clone()));
        Self { cursor: log.cursor(), ticks: names.iter().filter_map(newest).collect(), _room: None }
    }
}
