//! Snapshots of the whole market.

use std::sync::Arc;
use std::time::Duration;

use tickcast_core::{Cursor, Frame, Position, Symbol, SymbolId};

use super::snapshot_cache::expire;
use super::{Answers, Busy, NoSnapshot, Snapshot};
use crate::hub::Hub;

/// Minimum time between two snapshots of a large market: at most four a second. Each snapshot takes
/// some milliseconds of a worker thread.
const MIN_SNAPSHOT_INTERVAL: Duration = Duration::from_millis(250);

/// Maximum number of symbols in a small market. A small market is copied for every request that
/// finds it changed.
const MAX_SMALL_MARKET: usize = 1024;

impl Snapshot {
    /// Returns the newest ticks of the named symbols, at most as many as one filter can name.
    pub(crate) fn get(hub: &Hub, names: &[Symbol]) -> Self {
        let known = hub.log().names();
        let ids: Vec<_> = names
            .iter()
            .filter_map(|name| Some((*name, known.id(name)?)))
            .collect();
        let (cursor, ticks) = hub.log().read(|log| {
            let newest = |(name, id): &(Symbol, SymbolId)| {
                let frame = log.market().newest(*id)?;
                Some((*name, frame.clone()))
            };
            (log.cursor(), ids.iter().filter_map(newest).collect())
        });
        Self::new(cursor, ticks, None)
    }

    /// Returns the newest ticks of all symbols.
    fn get_all(hub: &Hub) -> Result<Self, Busy> {
        // Publishers wait for small pieces of the copy only. All other work needs no lock.
        let replica = hub.log().copy();
        let (market, tape) = (replica.market(), replica.tape());
        let newest = |(name, id)| Some((name, market.newest(id)?.clone()));
        let ticks: Vec<_> = market.names_after(None).filter_map(newest).collect();
        let cursor = Cursor {
            epoch: hub.head().0,
            position: Position::new(tape.head(), tape.digest().check()),
        };
        // The answer with all ticks is written when someone asks for it. It has room already, so
        // that it cannot fail half-way.
        let bytes = |(_, frame): &(Symbol, Frame)| {
            frame.event().len() + frame.json().len() + size_of::<(Symbol, Frame)>()
        };
        let room = hub.answers().reserve(ticks.iter().map(bytes).sum())?;
        Ok(Self::new(cursor, ticks, Some(room)))
    }
}

impl Answers {
    /// Returns the whole market as of now, or as of some moment after this call. All requests
    /// between two changes of the market share one snapshot.
    pub(crate) async fn snapshot(&self, hub: &Hub) -> Result<Arc<Snapshot>, NoSnapshot> {
        let head = hub.head().1;
        let mut cache = self.snapshot_cache.lock().await;
        // Another request may have made a snapshot while this request waited for the lock.
        if let Some(snapshot) = cache.get(head) {
            return Ok(snapshot);
        }
        let made = cache.clear();
        let small = hub.log().read(|log| log.market().len()) <= MAX_SMALL_MARKET;
        let snapshot = if small {
            Snapshot::get_all(hub)?
        } else {
            if let Some(made) = made {
                tokio::time::sleep_until(made + MIN_SNAPSHOT_INTERVAL).await;
            }
            let of = hub.clone();
            self.work(move || Snapshot::get_all(&of)).await??
        };
        let snapshot = Arc::new(snapshot);
        if cache.keep(&snapshot) {
            tokio::spawn(expire(Arc::downgrade(&self.snapshot_cache)));
        }
        Ok(snapshot)
    }
}

#[cfg(test)]
mod tests {
    use tickcast_core::Tick;

    use super::super::snapshot_cache::KEEP_TIME;
    use super::*;

    fn publish(hub: &Hub, range: std::ops::Range<usize>) {
        for n in range {
            let tick = format!(r#"{{"symbol":"S{n:05}","price":1,"pad":"{n:0>100}"}}"#);
            let tick = Tick::from_json(tick.as_bytes()).unwrap();
            hub.try_publish(&tick).unwrap();
        }
    }

    /// Returns the whole answer.
    fn whole(snapshot: &Arc<Snapshot>) -> Vec<u8> {
        let mut all = Vec::new();
        for index in 0.. {
            let (piece, is_last) = snapshot.piece(index);
            all.extend_from_slice(&piece);
            if is_last {
                break;
            }
        }
        all
    }

    #[tokio::test(start_paused = true)]
    async fn requests_share_a_snapshot_until_the_market_changes_or_nobody_asks() {
        let hub = Hub::builder().lanes(1).build();
        publish(&hub, 0..2000);
        let next = async || hub.answers().snapshot(&hub).await.unwrap();
        let first = Arc::downgrade(&next().await);
        for _ in 0..20 {
            tokio::time::sleep(KEEP_TIME / 2).await;
            assert!(first.ptr_eq(&Arc::downgrade(&next().await)));
        }
        publish(&hub, 0..1);
        let second = Arc::downgrade(&next().await);
        assert!(first.upgrade().is_none());
        tokio::time::sleep(2 * KEEP_TIME).await;
        assert!(second.upgrade().is_none());
        // A task that has dropped a snapshot does not drop the next one.
        let third = Arc::downgrade(&next().await);
        tokio::time::sleep(KEEP_TIME / 2).await;
        assert!(third.upgrade().is_some());
    }

    #[tokio::test]
    async fn the_answer_with_all_ticks_is_written_once() {
        let hub = Hub::builder().lanes(1).build();
        publish(&hub, 0..2000);
        let snapshot = hub.answers().snapshot(&hub).await.unwrap();
        let ((first, is_last), (again, _)) = (snapshot.piece(0), snapshot.piece(0));
        assert!(!is_last);
        assert_eq!(first.as_ptr(), again.as_ptr());
        let text = whole(&snapshot);
        assert_eq!(text, whole(&snapshot));
        let answer: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(answer["cursor"], hub.cursor().to_string());
        let ticks = answer["prices"].as_array().unwrap().iter();
        let names: Vec<_> = ticks.map(|tick| tick["symbol"].clone()).collect();
        let expected: Vec<_> = (0..2000).map(|n| format!("S{n:05}")).collect();
        assert_eq!(names, expected);
    }

    /// A piece on its way to a client takes memory, so the permit of its snapshot is still taken.
    #[tokio::test]
    async fn a_piece_holds_the_memory_permit_of_its_snapshot() {
        let hub = Hub::builder().lanes(1).max_answer_bytes(1).build();
        publish(&hub, 0..10);
        let (piece, _) = hub.answers().snapshot(&hub).await.unwrap().piece(0);
        publish(&hub, 0..1);
        let refused = hub.answers().snapshot(&hub).await;
        assert!(matches!(refused, Err(NoSnapshot::Busy(_))));
        drop(piece);
        assert!(hub.answers().snapshot(&hub).await.is_ok());
    }
}
