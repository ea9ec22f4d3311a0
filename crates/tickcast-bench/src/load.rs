//! The ticks that the benchmark publishes, and the ticks that each stream must receive.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// The ticks of a run. Tick number `k` has the price `k` and updates symbol `k % symbols`, so the
/// receiver knows when the tick was due. The first round, one tick per symbol, is sent before the
/// first stream is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) symbols: u64,
    /// Ticks per second, for all symbols together.
    pub(crate) rate: f64,
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
}

impl Load {
    /// Returns the number of the first tick of the schedule, after the first round.
    pub(crate) const fn first(&self) -> u64 {
        self.symbols + 1
    }

    /// Returns the first tick that is not yet due at `elapsed`. All earlier ticks are due.
    /// `elapsed` includes the warm-up.
    pub(crate) fn due(&self, elapsed: Duration) -> u64 {
        let most = (self.warm_up + self.window).as_secs_f64();
        self.first() + (elapsed.as_secs_f64().min(most) * self.rate).ceil() as u64
    }

    /// Returns the range of the measured ticks.
    pub(crate) fn measured(&self) -> std::ops::Range<u64> {
        self.due(self.warm_up)..self.due(Duration::MAX)
    }

    /// Returns the time when a tick of the schedule is due. Latency is measured from this time,
    /// even if the tick is sent later.
    pub(crate) fn due_at(&self, start: Instant, tick: u64) -> Instant {
        start
            + Duration::from_secs_f64(
                tick.saturating_sub(self.first()) as f64 / self.rate.max(f64::MIN_POSITIVE),
            )
    }

    /// Returns the symbol that a tick updates.
    pub(crate) fn symbol(&self, tick: u64) -> String {
        name(tick % self.symbols)
    }

    /// Returns the positions of the symbols that stream `number` requests: `each` symbols, a
    /// different choice for each stream.
    pub(crate) fn selection(&self, number: usize, each: usize) -> Vec<u64> {
        let mut rng = fastrand::Rng::with_seed(number as u64);
        rng.choose_multiple(0..self.symbols, each)
    }

    /// Returns the number of measured ticks that update the symbol at `position`.
    pub(crate) fn ticks_of(&self, position: u64) -> u64 {
        let upto = |tick: u64| (tick + self.symbols - 1 - position) / self.symbols;
        let measured = self.measured();
        upto(measured.end) - upto(measured.start)
    }
}

/// Returns the name of a symbol of the benchmark.
fn name(position: u64) -> String {
    format!("BENCH{position:05}")
}

/// Returns the requested symbols as a query value.
pub(crate) fn list(selection: Option<&[u64]>) -> String {
    let Some(selection) = selection else {
        return "BENCH*".to_owned();
    };
    let mut list = String::with_capacity(selection.len() * 11);
    for (i, position) in selection.iter().enumerate() {
        let _ = write!(list, "{}{}", if i > 0 { "," } else { "" }, name(*position));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measured_tick_belongs_to_one_symbol() {
        let seconds = Duration::from_secs;
        let load = Load {
            symbols: 7,
            rate: 10.0,
            warm_up: seconds(1),
            window: seconds(3),
        };
        assert_eq!(load.measured(), 18..48);
        assert_eq!(
            (0..7).map(|position| load.ticks_of(position)).sum::<u64>(),
            30
        );
        for position in 0..7 {
            let ticks = load.measured().filter(|tick| tick % 7 == position).count();
            assert_eq!(load.ticks_of(position), ticks as u64);
        }
        let start = Instant::now();
        assert_eq!(load.due_at(start, 18), start + seconds(1));
        assert_eq!(load.due(seconds(1)), 18);
    }

    #[test]
    fn selections_are_distinct_and_repeatable() {
        let load = Load {
            symbols: 20,
            rate: 1.0,
            warm_up: Duration::ZERO,
            window: Duration::ZERO,
        };
        let mut one = load.selection(3, 10);
        assert_eq!(one, load.selection(3, 10));
        assert_ne!(one, load.selection(4, 10));
        one.sort_unstable();
        one.dedup();
        assert_eq!(one.len(), 10);
        assert_eq!(list(Some(&[1, 12])), "BENCH00001,BENCH00012");
    }
}
