//! The market as it stood at one place, shared by all answers about it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tickcast_core::{Cursor, Frame, Sequencer, Symbol, SymbolId};
use tokio::time::Instant;

use super::{AnswerPermit, Answers, Busy, Cut};
use crate::hub::Hub;

/// The least time between two snapshots of a large market: each takes some milliseconds, of publishers too.
const INTERVAL: Duration = Duration::from_millis(250);

/// A market of no more symbols than this is copied whenever it is asked for.
const SMALL: usize = 1024;

/// The newest tick of each symbol, as of one place.
pub(crate) struct Snapshot {
    pub(crate) cursor: Cursor,
    /// In order of names.
    pub(crate) ticks: Vec<(Symbol, Frame)>,
    /// Room for it among what answers may hold. Without one it is small.
    _room: Option<AnswerPermit>,
}

/// The newest snapshot, as long as some answer holds it, and when it was made.
#[derive(Default)]
pub(super) struct SnapshotCache {
    snapshot: Weak<Snapshot>,
    made: Option<Instant>,
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

    /// The newest ticks of all symbols.
    fn get_all(hub: &Hub) -> Result<Self, Busy> {
        // Under the lock references are copied, in one go; what takes its time comes after.
        let (cursor, mut ticks) = hub.log().with(|log| {
            let market = log.market();
            let mut ticks = Vec::with_capacity(market.len());
            let newest = |id: SymbolId| Some((market.symbol(id), market.newest(id)?.clone()));
            ticks.extend(market.ids_from(0).filter_map(newest));
            (log.cursor(), ticks)
        });
        let bytes = ticks.iter().map(|(_, frame)| frame.event().len() + size_of::<(Symbol, Frame)>()).sum();
        let room = Some(hub.answers().hold(bytes)?);
        ticks.sort_unstable_by_key(|(name, _)| *name);
        Ok(Self { cursor, ticks, _room: room })
    }
}

impl Answers {
    /// Returns the whole market as it stands, or as it stood at some moment since this was called.
    pub(crate) async fn snapshot(&self, hub: &Hub) -> Result<Arc<Snapshot>, NoSnapshot> {
        let asked = hub.head().1;
        let mut newest = self.snapshot_cache.lock().await;
        // Whoever had to wait may find that one was made meanwhile.
        if let Some(snapshot) = newest.snapshot.upgrade().filter(|there| there.cursor.seq() >= asked) {
            return Ok(snapshot);
        }
        let small = hub.log().with(|log| log.market().len()) <= SMALL;
        let snapshot = if small {
            Snapshot::get_all(hub)?
        } else {
            if let Some(made) = newest.made {
                tokio::time::sleep_until(made + INTERVAL).await;
            }
            let of = hub.clone();
            self.work(move || Snapshot::get_all(&of)).await??
        };
        newest.made = Some(Instant::now());
        let snapshot = Arc::new(snapshot);
        newest.snapshot = Arc::downgrade(&snapshot);
        Ok(snapshot)
    }
}
