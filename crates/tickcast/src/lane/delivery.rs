//! Delivery of new entries by the thread that publishes them.
//!
//! To wake a lane takes longer than to send a tick to a few readers. So if one sleeping lane with few
//! streams wants the new entries, their publisher sends them itself. It does so at most once in each
//! `flush_interval`, and never waits: if the lane is not free, or has more to do, it is woken.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use super::work::Work;
use crate::doorbell::Sleeper;

/// Maximum number of streams of a lane for which a publisher sends. One takes some microseconds.
const MAX_STREAMS: usize = 16;

/// Maximum number of entries that a publisher sends.
const MAX_ENTRIES: u64 = 64;

impl Sleeper for Mutex<Work> {
    fn deliver(&self) -> bool {
        // If a lane panics, its publisher goes on. The lane finds its state poisoned, and ends.
        let delivered = catch_unwind(AssertUnwindSafe(|| {
            self.try_lock().is_ok_and(|mut work| work.deliver())
        }));
        delivered.unwrap_or(false)
    }
}

impl Work {
    /// Sends new entries to the readers. Returns `false` if the lane has to be woken, because
    /// something is left to do.
    fn deliver(&mut self) -> bool {
        let started_at = self.clock.uptime();
        let is_due = started_at >= self.flush_due;
        let is_status_known = self.sources.version() == self.lane.status_version();
        let limits = (MAX_STREAMS, MAX_ENTRIES);
        if !is_due || !is_status_known || !self.lane.is_quick_to_flush(&self.log, limits) {
            return false;
        }
        self.stats.begin_turn(started_at);
        let due = self.flush_due;
        let ticks = self
            .lane
            .follow_log(&self.log, MAX_ENTRIES, due, started_at);
        self.lane.deliver_batches(MAX_STREAMS, started_at);
        let has_more = self.lane.has_work();
        let ended_at = self.clock.uptime();
        self.lane.note_delays(ended_at);
        if has_more {
            self.unfinished_flush = Some((started_at, ticks));
        } else if ticks > 0 {
            self.flush_due = self.next_flush(ticks, started_at, ended_at);
        }
        let pending = self.listen();
        self.stats.rest();
        !has_more && !pending && !self.has_earlier_timer()
    }

    /// Checks whether the lane has something to do before its rest ends.
    fn has_earlier_timer(&self) -> bool {
        let next = self.lane.next_timer();
        next.is_some_and(|next| self.rests_until.is_none_or(|end| next < end))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use tickcast_core::{Price, Symbol, Tick};

    use super::MAX_STREAMS;
    use crate::Hub;
    use crate::lane::BodySlot;
    use crate::subscription::Subscription;

    const FLUSH_INTERVAL: Duration = Duration::from_millis(5);

    fn publish(hub: &Hub, symbol: &str, price: i64) {
        let price = Price::from_units(price, 0).unwrap();
        let tick = Tick::new(Symbol::new(symbol).unwrap(), price);
        hub.try_publish(&tick).unwrap();
    }

    /// Opens streams of a market with the symbol A. Their lane sleeps then.
    async fn open(hub: &Hub, streams: usize) -> Vec<Arc<BodySlot>> {
        publish(hub, "A", 1);
        let open = || {
            let subscription = Subscription::default().at(hub.head().1);
            hub.inner().open_body(subscription)
        };
        let slots: Vec<_> = (0..streams).map(|_| open()).collect();
        for slot in &slots {
            assert!(next(slot).await.contains(r#""price":1"#));
        }
        tokio::time::advance(FLUSH_INTERVAL).await;
        slots
    }

    /// Returns what the reader has been sent, without waiting.
    fn sent(slot: &BodySlot) -> Option<String> {
        match slot.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(bytes) => Some(String::from_utf8(bytes?.to_vec()).unwrap()),
            Poll::Pending => None,
        }
    }

    async fn next(slot: &BodySlot) -> String {
        let bytes = std::future::poll_fn(|cx| slot.poll(cx)).await;
        String::from_utf8(bytes.unwrap().to_vec()).unwrap()
    }

    // The clock of these tests stands still while something can run, and the lane cannot run until
    // the test waits.

    #[tokio::test(start_paused = true)]
    async fn a_publisher_sends_a_tick_to_the_few_readers_of_a_sleeping_lane() {
        let hub = Hub::builder().lanes(1).build();
        let slots = open(&hub, MAX_STREAMS).await;
        publish(&hub, "A", 2);
        for slot in &slots {
            assert!(sent(slot).is_some_and(|sent| sent.contains(r#""price":2"#)));
        }
        assert_eq!(hub.stats().delays.count(), 1);
        // The next tick waits until a flush may start again.
        publish(&hub, "A", 3);
        assert_eq!(sent(&slots[0]), None);
        let before = tokio::time::Instant::now();
        assert!(next(&slots[0]).await.contains(r#""price":3"#));
        assert!(before.elapsed() >= FLUSH_INTERVAL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_with_many_streams_sends_by_itself() {
        let hub = Hub::builder().lanes(1).build();
        let slots = open(&hub, MAX_STREAMS + 1).await;
        publish(&hub, "A", 2);
        assert!(slots.iter().all(|slot| sent(slot).is_none()));
        for slot in &slots {
            assert!(next(slot).await.contains(r#""price":2"#));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_symbol_is_left_to_the_lane() {
        let hub = Hub::builder().lanes(1).build();
        let slots = open(&hub, 1).await;
        publish(&hub, "B", 2);
        assert_eq!(sent(&slots[0]), None);
        assert!(next(&slots[0]).await.contains(r#""symbol":"B""#));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_does_not_read_loses_nothing() {
        let hub = Hub::builder().lanes(1).build();
        let slots = open(&hub, 1).await;
        for price in 2..10 {
            publish(&hub, "A", price);
            tokio::time::advance(FLUSH_INTERVAL).await;
        }
        let mut received = String::new();
        while !received.contains(r#""price":9"#) {
            received += &next(&slots[0]).await;
        }
        let prices = received.matches(r#""symbol":"A""#).count();
        assert_eq!(prices, 8, "{received}");
    }
}
