//! Snapshots of the whole market.

use std::sync::Arc;
use std::time::Duration;

use tickcast_core::{Frame, Symbol, SymbolId};
use tokio::time::Instant;

use super::{Answers, Busy, NoSnapshot, Snapshot};
use crate::hub::Hub;

/// Minimum time between two snapshots of a large market. Each snapshot takes some milliseconds, and
/// publishers wait during a part of that time.
const MIN_SNAPSHOT_INTERVAL: Duration = Duration::from_millis(250);

/// Maximum number of symbols in a small market. A small market is copied for every request.
const MAX_SMALL_MARKET: usize = 1024;

impl Snapshot {
    /// Returns the newest ticks of all symbols.
    fn get_all(hub: &Hub) -> Result<Self, Busy> {
        // The lock is held only to copy references, all at once. The slow work comes after the
        // lock.
        let (cursor, mut ticks) = hub.log().read(|log| {
            let market = log.market();
            let mut ticks = Vec::with_capacity(market.len());
            let newest = |id: SymbolId| Some((market.symbol(id), market.newest(id)?.clone()));
            ticks.extend(market.ids_from(0).filter_map(newest));
            (log.cursor(), ticks)
        });
        let bytes = ticks
            .iter()
            .map(|(_, frame)| frame.event().len() + size_of::<(Symbol, Frame)>())
            .sum();
        let room = Some(hub.answers().reserve(bytes)?);
        ticks.sort_unstable_by_key(|(name, _)| *name);
        Ok(Self {
            cursor,
            ticks,
            _room: room,
        })
    }
}

impl Answers {
    /// Returns the whole market as of now, or as of some moment after this call.
    pub(crate) async fn snapshot(&self, hub: &Hub) -> Result<Arc<Snapshot>, NoSnapshot> {
        let asked = hub.head().1;
        let mut newest = self.snapshot_cache.lock().await;
        // Another request may have made a snapshot while this request waited for the lock.
        if let Some(snapshot) = newest
            .snapshot
            .upgrade()
            .filter(|there| there.cursor.seq() >= asked)
        {
            return Ok(snapshot);
        }
        let small = hub.log().read(|log| log.market().len()) <= MAX_SMALL_MARKET;
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
