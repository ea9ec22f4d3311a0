//! A histogram of delays.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the buckets, in microseconds. One more bucket counts the delays above the last
/// bound.
const BOUNDS_US: [u64; 15] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 10_000_000,
];

/// Number of buckets.
const BUCKETS: usize = BOUNDS_US.len() + 1;

/// A histogram of the delays of ticks, from the arrival of a tick at the hub until a lane had
/// passed it on to its streams. A tick counts once for each lane that passes it on. Field of
/// [`HubStats`](super::HubStats), which counts since the start of the hub. Default: no delays.
///
/// The bounds of the 16 buckets are fixed. The first bucket is up to 100 µs, the last bound is 10
/// s, and the last bucket has the longer delays. The buckets are not cumulative: for Prometheus,
/// add up the counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Delays {
    counts: [u64; BUCKETS],
    sum: Duration,
}

impl Delays {
    /// Returns the 16 buckets in order: the upper bound of each, which the bucket includes, and the
    /// number of delays in the bucket. The last bucket has no upper bound. Each delay is in one
    /// bucket only.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS_US
            .into_iter()
            .map(|us| Some(Duration::from_micros(us)));
        bounds.chain([None]).zip(self.counts)
    }

    /// Returns the number of delays.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the sum of all delays.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        self.sum
    }
}

/// The delays of one lane, counted while others read.
#[derive(Debug, Default)]
pub(super) struct DelayCounters {
    counts: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

impl DelayCounters {
    pub(super) fn count(&self, delay: Duration) {
        let us = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|bound| Duration::from_micros(*bound) < delay);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
    }

    pub(super) fn add_to(&self, total: &mut Delays) {
        total.sum += Duration::from_micros(self.sum_us.load(Relaxed));
        for (total, count) in total.counts.iter_mut().zip(&self.counts) {
            *total += count.load(Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_delay_is_counted_in_the_bucket_that_includes_it() {
        let counters = DelayCounters::default();
        let delays =
            [100_000, 100_001, 250_000, 10_000_000_000, 10_000_000_001].map(Duration::from_nanos);
        delays.iter().for_each(|delay| counters.count(*delay));
        let mut total = Delays::default();
        counters.add_to(&mut total);
        let counts: Vec<_> = total.buckets().filter(|(_, count)| *count > 0).collect();
        let [first, second] = [100, 250].map(|us| Some(Duration::from_micros(us)));
        assert_eq!(
            counts,
            [
                (first, 1),
                (second, 2),
                (Some(Duration::from_secs(10)), 1),
                (None, 1)
            ]
        );
        assert_eq!(
            (total.count(), total.sum()),
            (5, Duration::from_micros(20_000_450))
        );
    }
}
