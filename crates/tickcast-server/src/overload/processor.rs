//! How busy the process keeps the processor.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Weight of the newest measurement in the average: the last ten count for two thirds.
const WEIGHT: f64 = 0.1;

/// The share of the processor time that this process uses, averaged over the last seconds.
#[derive(Debug)]
pub(super) struct Processor {
    /// The cores that the process could use at its start. To ask each time takes longer than all
    /// other measurements.
    cores: f64,
    /// The processor time at the last measurement.
    before: Duration,
    share: f64,
}

impl Processor {
    pub(super) fn new() -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from) as f64,
            before: processor_time(),
            share: 0.0,
        }
    }

    /// Returns the share, from 0 to 1, of all cores that the process may use. `elapsed` is the time
    /// since the last call.
    pub(super) fn busy(&mut self, elapsed: Duration) -> f64 {
        self.add(processor_time(), elapsed)
    }

    /// Adds a measurement: the processor time so far, and the time since the last measurement.
    fn add(&mut self, now: Duration, elapsed: Duration) -> f64 {
        let used = now.saturating_sub(self.before).as_secs_f64();
        let share = used / (elapsed.as_secs_f64() * self.cores);
        self.share += (share.min(1.0) - self.share) * WEIGHT;
        self.before = now;
        self.share
    }
}

/// Returns the processor time of this process, in user and system mode.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_process_is_busy_after_some_seconds() {
        let interval = Duration::from_millis(250);
        let mut processor = Processor {
            cores: 2.0,
            before: Duration::ZERO,
            share: 0.0,
        };
        for n in 1..=60 {
            processor.add(interval * 2 * n, interval);
        }
        assert!(processor.share > 0.99, "{}", processor.share);
        assert!(processor.add(Duration::MAX, interval) <= 1.0);
        let before = processor.share;
        assert!(processor.add(Duration::ZERO, interval) < before);
    }

    #[test]
    fn work_takes_processor_time() {
        let begin = processor_time();
        let mut sum = 0_u64;
        while processor_time() == begin {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(processor_time() > begin);
    }
}
