//! What is published, and what each stream is to get of it.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// The ticks of a run. Tick number `k` has the price `k` and moves symbol `k % symbols`, so that whoever receives it knows
/// when it was due. The first round, one tick a symbol, is sent before the first stream is opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) symbols: u64,
    /// Ticks a second in all.
    pub(super) rate: f64,
    pub(super) warm_up: Duration,
    pub(super) window: Duration,
}

impl Load {
    /// The first tick of the schedule, after the first round.
    pub(super) const fn first(&self) -> u64 {
        self.symbols + 1
    }

    /// The ticks that are due by `elapsed`, warm-up included, are those before this one.
    pub(super) fn due(&self, elapsed: Duration) -> u64 {
        let most = (self.warm_up + self.window).as_secs_f64();
        self.first() + (elapsed.as_secs_f64().min(most) * self.rate).ceil() as u64
    }

    /// The first tick that is measured, and the one after the last.
    pub(super) fn measured(&self) -> std::ops::Range<u64> {
        self.due(self.warm_up)..self.due(Duration::MAX)
    }

    /// When a tick of the schedule is due: what happens to it is timed from then, even if it is sent later.
    pub(super) fn due_at(&self, start: Instant, tick: u64) -> Instant {
        start
            + Duration::from_secs_f64(
                tick.saturating_sub(self.first()) as f64 / self.rate.max(f64::MIN_POSITIVE),
            )
    }

    /// The symbol that a tick moves.
    pub(super) fn symbol(&self, tick: u64) -> String {
        name(tick % self.symbols)
    }

    /// What stream `number` asks for, by position: `each` symbols of its own.
    pub(super) fn selection(&self, number: usize, each: usize) -> Vec<u64> {
        let mut rng = fastrand::Rng::with_seed(number as u64);
        rng.choose_multiple(0..self.symbols, each)
    }

    /// How many measured ticks move the symbol at `position`.
    pub(super) fn ticks_of(&self, position: u64) -> u64 {
        let upto = |tick: u64| (tick + self.symbols - 1 - position) / self.symbols;
        let measured = self.measured();
        upto(measured.end) - upto(measured.start)
    }
}

/// A symbol of the benchmark's own.
fn name(position: u64) -> String {
    format!("BENCH{position:05}")
}

/// What a stream asks for, as it stands in a query.
pub(super) fn list(selection: Option<&[u64]>) -> String {
    let Some(selection) = selection else { return "BENCH*".to_owned() };
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
    fn every_measured_tick_is_somebodys() {
        let seconds = Duration::from_secs;
        let load = Load { symbols: 7, rate: 10.0, warm_up: seconds(1), window: seconds(3) };
        assert_eq!(load.measured(), 18..48);
        assert_eq!((0..7).map(|position| load.ticks_of(position)).sum::<u64>(), 30);
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
        let load = Load { symbols: 20, rate: 1.0, warm_up: Duration::ZERO, window: Duration::ZERO };
        let mut one = load.selection(3, 10);
        assert_eq!(one, load.selection(3, 10));
        assert_ne!(one, load.selection(4, 10));
        one.sort_unstable();
        one.dedup();
        assert_eq!(one.len(), 10);
        assert_eq!(list(Some(&[1, 12])), "BENCH00001,BENCH00012");
    }
}
