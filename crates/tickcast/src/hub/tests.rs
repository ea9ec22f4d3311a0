use super::*;

#[tokio::test]
async fn a_lane_that_has_ended_is_given_no_more_readers() {
    let hub = Hub::builder().lanes(2).build();
    drop(hub.inner().open_body(Subscription::default().at(hub.head().1)));
    let [first, second] = hub.lanes() else { panic!("two lanes") };
    assert_eq!(hub.lost_lanes(), (0, 2));
    // As at the end of a task, however it comes.
    first.inbox.close();
    first.stats.forget();
    assert_eq!(hub.lost_lanes(), (1, 2));
    for _ in 0..3 {
        assert!(Arc::ptr_eq(&hub.inner().next_lane(), &second.inbox));
    }
}
