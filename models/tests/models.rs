//! Runs the models in very many orders of their threads.

use tickcast_models::{staleness, waking};

/// Number of runs of each model with random orders.
const RUNS: usize = 20_000;

#[test]
fn no_lane_sleeps_over_a_tick_that_it_wants() {
    shuttle::check_random(waking::lanes_and_publishers, RUNS);
    shuttle::check_pct(waking::lanes_and_publishers, RUNS, 3);
}

#[test]
fn no_source_is_stale_after_a_tick() {
    shuttle::check_random(staleness::a_tick_ends_the_silence, RUNS);
    shuttle::check_pct(staleness::a_tick_ends_the_silence, RUNS, 3);
}

#[test]
fn every_state_of_a_source_reaches_the_lane() {
    shuttle::check_random(staleness::a_state_reaches_the_lane, RUNS);
    shuttle::check_pct(staleness::a_state_reaches_the_lane, RUNS, 3);
}

#[test]
fn no_lane_takes_the_bit_of_another_one() {
    shuttle::check_dfs(waking::lanes_that_share_a_bit, None);
}
