//! Runs the models in very many orders of their threads.

use tickcast_models::waking;

/// Number of runs of each model with random orders.
const RUNS: usize = 20_000;

#[test]
fn no_lane_sleeps_over_a_tick_that_it_wants() {
    shuttle::check_random(waking::lanes_and_publishers, RUNS);
    shuttle::check_pct(waking::lanes_and_publishers, RUNS, 3);
}

#[test]
fn no_lane_takes_the_bit_of_another_one() {
    shuttle::check_dfs(waking::lanes_that_share_a_bit, None);
}
