use std::time::Duration;

use super::ending::DRAIN_STEP;
use super::*;
use crate::subscription::Subscription;

#[tokio::test]
async fn a_lane_that_has_ended_receives_no_new_streams() {
    let hub = Hub::builder().lanes(2).build();
    drop(
        hub.inner()
            .open_body(Subscription::default().at(hub.head().1)),
    );
    let [first, second] = hub.lanes() else {
        panic!("two lanes")
    };
    assert_eq!(hub.failed_lanes(), (0, 2));
    // This is what happens at the end of a lane's task, whatever the reason.
    first.inbox.close();
    first.stats.reset_gauges();
    assert_eq!(hub.failed_lanes(), (1, 2));
    for _ in 0..3 {
        assert!(Arc::ptr_eq(&hub.inner().next_lane(), &second.inbox));
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_a_lane_that_has_ended() {
    let hub = Hub::builder().lanes(1).build();
    drop(
        hub.inner()
            .open_body(Subscription::default().at(hub.head().1)),
    );
    let [lane] = hub.lanes() else {
        panic!("one lane")
    };
    lane.inbox.close();
    lane.stats.reset_gauges();
    // This stream was assigned after the lane ended and before its counters were reset.
    lane.stats.assign();
    let begin = tokio::time::Instant::now();
    hub.drain(Duration::ZERO).await;
    assert!(begin.elapsed() < DRAIN_STEP, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn the_lanes_of_a_dropped_hub_release_its_log() {
    let hub = Hub::builder().lanes(1).build();
    let subscription = Subscription::default().at(hub.head().1);
    let slot = hub.inner().open_body(subscription);
    let log = Arc::downgrade(&hub.0.log);
    drop(hub);
    while std::future::poll_fn(|cx| slot.poll(cx)).await.is_some() {}
    while log.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
}
