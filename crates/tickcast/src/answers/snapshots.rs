//! Snapshots of the whole market.

use std::sync::Arc;
use std::time::Duration;

use tickcast_core::{Cursor, Frame, Position, Symbol, SymbolId};

use tokio::sync::OwnedMutexGuard;

use super::snapshot_cache::{SnapshotCache, expire};
use super::{Answers, Busy, Cut, NoSnapshot, Snapshot};
use crate::hub::Hub;
use crate::workers::{Undone, Work};

/// Minimum time between two snapshots of a large market: at most four a second. Each snapshot takes
/// some milliseconds of a worker thread.
const MIN_SNAPSHOT_INTERVAL: Duration = Duration::from_millis(250);

/// Maximum number of symbols in a small market. A small market is copied for every request that
/// finds it changed.
const MAX_SMALL_MARKET: usize = 1024;

/// Memory for a tick of a snapshot in addition to its bytes and its text.
const TICK_OVERHEAD: usize = size_of::<(Symbol, Frame)>() + 40;

impl Snapshot {
    /// Returns the newest ticks of the named symbols, at most as many as one filter can name.
    pub(crate) fn get(hub: &Hub, names: &[Symbol]) -> Self {
        let known = hub.log().names();
        let ids: Vec<_> = names.iter().map(|name| (*name, known.id(name))).collect();
        let (cursor, ticks) = hub.log().read(|log| {
            let market = log.market();
            // A name that was not known may have been added meanwhile.
            let newest = |(name, id): &(Symbol, Option<SymbolId>)| {
                let frame = market.newest(id.or_else(|| market.id(name))?)?;
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
        let mut ticks = Vec::with_capacity(market.len());
        ticks.extend(market.names_after(None).filter_map(newest));
        let cursor = Cursor {
            epoch: hub.head().0,
            position: Position::new(tape.head(), tape.digest().check()),
        };
        // The answer with all ticks is written when someone asks for it. It has room already, so
        // that it cannot fail half-way.
        let bytes =
            |(_, frame): &(Symbol, Frame)| frame.event().len() + frame.json().len() + TICK_OVERHEAD;
        let room = hub.answers().reserve(ticks.iter().map(bytes).sum())?;
        Ok(Self::new(cursor, ticks, Some(room)))
    }
}

impl Answers {
    /// Returns the whole market as of now, or as of some moment after this call. All requests
    /// between two changes of the market share one snapshot.
    pub(crate) async fn snapshot(&self, hub: &Hub) -> Result<Arc<Snapshot>, NoSnapshot> {
        let head = hub.head().1;
        let mut cache = Arc::clone(&self.snapshot_cache).lock_owned().await;
        // Another request may have made a snapshot while this request waited for the lock.
        if let Some(snapshot) = cache.get(head) {
            return Ok(snapshot);
        }
        // A client that vanishes does not end the task, so that nobody makes copies in vain.
        tokio::spawn(make(hub.clone(), cache))
            .await
            .map_err(|_| Cut::from(Undone))?
    }
}

/// Makes a new snapshot and keeps it. Other requests wait for the cache meanwhile.
async fn make(
    hub: Hub,
    mut cache: OwnedMutexGuard<SnapshotCache>,
) -> Result<Arc<Snapshot>, NoSnapshot> {
    let made = cache.clear();
    let small = hub.log().read(|log| log.market().len()) <= MAX_SMALL_MARKET;
    let snapshot = if small {
        Snapshot::get_all(&hub)?
    } else {
        if let Some(made) = made {
            tokio::time::sleep_until(made + MIN_SNAPSHOT_INTERVAL).await;
        }
        let of = hub.clone();
        let copy = move || Snapshot::get_all(&of);
        hub.answers().work(Work::Memory, copy).await??
    };
    let snapshot = Arc::new(snapshot);
    if cache.keep(&snapshot) {
        let cache = OwnedMutexGuard::mutex(&cache);
        tokio::spawn(expire(Arc::downgrade(cache)));
    }
    Ok(snapshot)
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

    /// A slow client holds a piece of an answer, and not the memory of the snapshot.
    #[tokio::test]
    async fn a_piece_does_not_hold_the_snapshot() {
        let hub = Hub::builder().lanes(1).max_answer_bytes(1).build();
        publish(&hub, 0..10);
        let (piece, _) = hub.answers().snapshot(&hub).await.unwrap().piece(0);
        publish(&hub, 0..1);
        assert!(hub.answers().snapshot(&hub).await.is_ok());
        drop(piece);
    }

    /// A client that vanishes while the market is copied does not cause another copy.
    #[tokio::test(start_paused = true)]
    async fn a_copy_that_was_begun_is_kept() {
        let hub = Hub::builder().lanes(1).build();
        publish(&hub, 0..2000);
        let mut first = Box::pin(hub.answers().snapshot(&hub));
        assert!(futures_util::poll!(&mut first).is_pending());
        drop(first);
        let (second, third) =
            tokio::join!(hub.answers().snapshot(&hub), hub.answers().snapshot(&hub));
        assert!(Arc::ptr_eq(&second.unwrap(), &third.unwrap()));
        let cache = hub.answers().snapshot_cache.lock().await;
        assert_eq!(cache.count(), 1);
    }

    /// Whoever asks for a symbol while it is published gets it, or a cursor before it.
    #[test]
    fn a_cursor_never_includes_a_symbol_that_its_answer_lacks() {
        let hub = Hub::builder().lanes(1).build();
        let (of, asked) = (hub.clone(), 3000);
        let publisher = std::thread::spawn(move || publish(&of, 0..asked));
        for n in 0..asked {
            let name = Symbol::new(&format!("S{n:05}")).unwrap();
            loop {
                let answer = Snapshot::get(&hub, &[name]);
                // Symbol number `n` is the entry after `n` others.
                let includes = answer.cursor.seq().get() > n as u64;
                assert_eq!(answer.ticks.len(), usize::from(includes), "{name}");
                if includes {
                    break;
                }
            }
        }
        publisher.join().unwrap();
    }
}
