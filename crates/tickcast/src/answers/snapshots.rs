//! The market as it stands, for answers about all of it.

use std::sync::Arc;
use std::time::Duration;

use tickcast_core::{Frame, Symbol, SymbolId};
use tokio::time::Instant;

use super::{Answers, Busy, NoSnapshot, Snapshot};
use crate::hub::Hub;

/// The least time between two snapshots of a large market: each takes some milliseconds, of publishers too.
const MIN_SNAPSHOT_INTERVAL: Duration = Duration::from_millis(250);

/// A market of no more symbols than this is copied whenever it is asked for.
const MAX_SMALL_MARKET: usize = 1024;

impl Snapshot {
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
        let room = Some(hub.answers().reserve(bytes)?);
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
        let small = hub.log().with(|log| log.market().len()) <= MAX_SMALL_MARKET;
        let snapshot = if small {
            Snapshot::get_all(hub)?
        } else {
            if let Some(made) = newest.made {
                tokio::time::sleep_until(made + MIN_SNAPSHOT_INTERVAL).await;
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
