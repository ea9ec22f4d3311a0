//! The randomness of the simulated market: numbers from a seeded generator, the random walk that every
//! price is made of, and the pace at which ticks come.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Random numbers from a seed. The generator's stream is fixed across releases of its crate, so a
/// seed names a market for good.
#[derive(Debug, Clone)]
pub(crate) struct Noise {
    generator: Xoshiro256PlusPlus,
    /// The polar method makes normals in pairs; the second waits here.
    spare: Option<f64>,
}

impl Noise {
    /// The numbers that belong to `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self { generator: Xoshiro256PlusPlus::seed_from_u64(seed), spare: None }
    }

    /// Evenly distributed in `0.0..1.0`.
    pub(crate) fn uniform(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
        (self.generator.next_u64() >> 11) as f64 * STEP
    }

    /// One of `0..count`, evenly; `count` must be at least 1.
    pub(crate) fn index(&mut self, count: usize) -> usize {
        ((u128::from(self.generator.next_u64()) * count as u128) >> 64) as usize
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// Exponentially distributed with mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        // 1 - u is never 0, so the logarithm is finite.
        -(1.0 - self.uniform()).ln()
    }

    /// Normally distributed with mean 0 and deviation 1 (Marsaglia's polar form of Box-Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                let scale = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(y * scale);
                return x * scale;
            }
        }
    }
}

/// Deviation and memory (seconds) of the slow part of a walk's log volatility: the mood of the hour.
const SLOW: (f64, f64) = (0.40, 2_700.0);
/// The same for the fast part: the flurry of the last minute.
const FAST: (f64, f64) = (0.40, 45.0);
/// How far news lifts the fast part; e^1.1 is three times the volatility.
const AFTERSHOCK: f64 = 1.1;
/// After several pieces of news at once, the fast part stops here.
const FAST_LIMIT: f64 = 2.0;
/// Pull back to zero, per second: a memory of five days. It holds a price near its level for as long
/// as the server runs, and is far too weak to see in a chart.
const PULL: f64 = 1.0 / (5.0 * 86_400.0);

/// How a walk's volatility moves over one slice of time; the same for all walks, so worked out once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drift {
    /// What is kept of the slow and of the fast part, and the deviation of what is added to each.
    slow: (f64, f64),
    fast: (f64, f64),
}

impl Drift {
    /// For slices of this many seconds.
    pub(crate) fn over(slice: f64) -> Self {
        let exact = |(deviation, memory): (f64, f64)| {
            let keep = (-slice / memory).exp();
            (keep, deviation * (1.0 - keep * keep).sqrt())
        };
        Self { slow: exact(SLOW), fast: exact(FAST) }
    }
}

/// A mean-reverting random walk whose volatility clusters: log volatility is the sum of two
/// Ornstein-Uhlenbeck processes. Scaled so that its mean variance is 1 per second.
#[derive(Debug, Clone)]
pub(crate) struct Walk {
    value: f64,
    at: f64,
    slow: f64,
    fast: f64,
    volatility: f64,
}

impl Walk {
    /// A walk that has already gone on for `head_start` seconds, with the volatility of an ordinary
    /// moment. It has not strayed far: an extreme start would be all that a newcomer ever sees.
    pub(crate) fn new(head_start: f64, noise: &mut Noise) -> Self {
        let value = noise.normal().clamp(-1.5, 1.5) * head_start.sqrt();
        let (slow, fast) = (noise.normal() * SLOW.0, noise.normal() * FAST.0);
        let mut walk = Self { value, at: 0.0, slow, fast, volatility: 1.0 };
        walk.set_volatility();
        walk
    }

    /// Walks on to time `at` (seconds, never backwards) and tells where that is. Exact for any step,
    /// so how often it is asked does not change how wild it is.
    pub(crate) fn advance(&mut self, at: f64, noise: &mut Noise) -> f64 {
        let step = at - self.at;
        self.at = at;
        self.value += self.volatility * step.sqrt() * noise.normal() - self.value * PULL * step;
        self.value
    }

    /// Lets the volatility drift over one slice.
    pub(crate) fn drift(&mut self, drift: &Drift, noise: &mut Noise) {
        self.slow = self.slow * drift.slow.0 + noise.normal() * drift.slow.1;
        self.fast = self.fast * drift.fast.0 + noise.normal() * drift.fast.1;
        self.set_volatility();
    }

    /// News: a leap, and agitation afterwards.
    pub(crate) fn shock(&mut self, leap: f64) {
        self.value += leap;
        self.fast = (self.fast + AFTERSHOCK).min(FAST_LIMIT);
        self.set_volatility();
    }

    /// Volatility now; its mean square is 1.
    pub(crate) fn volatility(&self) -> f64 {
        self.volatility
    }

    fn set_volatility(&mut self) {
        // E[exp(2x)] = exp(2 var x): subtracting the variance makes the mean square 1.
        const MEAN: f64 = SLOW.0 * SLOW.0 + FAST.0 * FAST.0;
        self.volatility = (self.slow + self.fast - MEAN).exp();
    }
}

/// Keeps the number of ticks right while letting it burst.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    rate: f64,
    slice: f64,
    /// What the symbols' intensities have lately added up to.
    usual: f64,
    /// How many seconds' worth of ticks have come early.
    lead: f64,
}

impl Pace {
    /// For `rate` ticks a second in the mean, and slices of this many seconds.
    pub(crate) fn new(rate: f64, slice: f64) -> Self {
        Self { rate, slice, usual: 1.0, lead: 0.0 }
    }

    /// What the symbols' intensities add up to when the market opens.
    pub(crate) fn begin(&mut self, total: f64) {
        self.usual = total;
    }

    /// Ticks a second for the coming slice, given what the symbols' intensities add up to.
    pub(crate) fn intensity(&mut self, total: f64, noise: &mut Noise) -> f64 {
        let memory = (2.0_f64).max(4.0 * self.slice);
        self.usual += (total - self.usual) * (self.slice / 60.0).min(1.0);
        let burst = total / self.usual * (0.25 * noise.normal()).exp();
        // What came early is taken back over the next seconds, so a minute's total is right.
        let factor = (burst.clamp(0.6, 2.0) - self.lead / memory).clamp(0.4, 2.0);
        self.lead += (factor - 1.0) * self.slice;
        self.rate * factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let count = 200_000_u32;
        let (sum, squares) = (0..count).map(|_| draw()).fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
        (sum / f64::from(count), squares / f64::from(count))
    }

    #[test]
    fn numbers_have_their_moments() {
        let mut noise = Noise::new(1);
        let (mean, square) = moments(|| noise.uniform());
        assert!((mean - 0.5).abs() < 0.005 && (square - 1.0 / 3.0).abs() < 0.005, "{mean} {square}");
        let (mean, square) = moments(|| noise.exponential());
        assert!((mean - 1.0).abs() < 0.01 && (square - 2.0).abs() < 0.05, "{mean} {square}");
        let (mean, square) = moments(|| noise.normal());
        assert!(mean.abs() < 0.01 && (square - 1.0).abs() < 0.02, "{mean} {square}");
        assert!((0..1_000).all(|_| noise.index(3) < 3));
    }

    #[test]
    fn a_seed_names_its_stream_for_good() {
        let mut generator = Noise::new(42).generator;
        let first: Vec<u64> = (0..3).map(|_| generator.next_u64()).collect();
        // If this fails, every documented seed shows another market than it used to.
        assert_eq!(
            first,
            [15_021_278_609_987_233_951, 5_881_210_131_331_364_753, 18_149_643_915_985_481_100]
        );
    }

    #[test]
    fn a_walk_is_as_wild_in_fine_steps_as_in_coarse_ones() {
        let variance = |slice: f64, slices: u32| {
            let (mut noise, drift, mut sum) = (Noise::new(9), Drift::over(slice), 0.0);
            for _ in 0..2_000 {
                let mut walk = Walk::new(0.0, &mut noise);
                for step in 1..=slices {
                    walk.advance(f64::from(step) * slice, &mut noise);
                    walk.drift(&drift, &mut noise);
                }
                sum += walk.value * walk.value;
            }
            sum / 2_000.0 / (slice * f64::from(slices))
        };
        let (fine, coarse) = (variance(0.25, 80), variance(2.0, 10));
        assert!((0.85..1.15).contains(&fine) && (0.85..1.15).contains(&coarse), "{fine} {coarse}");
    }

    #[test]
    fn news_leaps_and_agitates() {
        let mut walk = Walk::new(0.0, &mut Noise::new(3));
        let (value, before) = (walk.value, walk.volatility());
        walk.shock(25.0);
        assert!((walk.value - value - 25.0).abs() < 1e-9 && walk.volatility() > 2.0 * before);
        (0..20).for_each(|_| walk.shock(0.0));
        assert!(walk.volatility() < 20.0);
    }
}
