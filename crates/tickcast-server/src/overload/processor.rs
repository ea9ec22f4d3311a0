//! How busy the process keeps the processor.

use std::time::Duration;

/// The clock ticks a second in `/proc`, which are the same on all Linux systems today.
const TICKS: f64 = 100.0;

/// Weight of the newest measurement in the average: the last ten count for two thirds.
const WEIGHT: f64 = 0.1;

/// The share of the processor time that this process uses, averaged over the last seconds.
#[derive(Debug, Default)]
pub(super) struct Processor {
    /// The processor time at the last measurement, in ticks.
    before: Option<u64>,
    share: f64,
}

impl Processor {
    /// Returns the share, from 0 to 1, of all cores that the process may use. `elapsed` is the time
    /// since the last call.
    pub(super) fn busy(&mut self, elapsed: Duration) -> f64 {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.add(ticks(&stat), elapsed.as_secs_f64() * cores as f64)
    }

    /// Adds a measurement. `seconds` is the processor time that there was.
    fn add(&mut self, ticks: Option<u64>, seconds: f64) -> f64 {
        if let (Some(now), Some(before)) = (ticks, self.before) {
            let share = now.saturating_sub(before) as f64 / TICKS / seconds;
            self.share += (share.min(1.0) - self.share) * WEIGHT;
        }
        self.before = ticks;
        self.share
    }
}

/// Returns the processor time in user and system mode. The name of the program, which comes before,
/// may contain anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    Some(user + times.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_process_is_busy_after_some_seconds() {
        let mut processor = Processor::default();
        let mut total = 0;
        for _ in 0..60 {
            total += 25;
            processor.add(Some(total), 0.25);
        }
        assert!(processor.share > 0.99, "{}", processor.share);
        assert!(processor.add(None, 0.25) > 0.99);
        assert!(processor.add(Some(0), 0.25) <= 1.0);
    }

    #[test]
    fn the_name_of_the_program_does_not_matter() {
        let stat = "7 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 40 2 0 0";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (a"), None);
    }
}
