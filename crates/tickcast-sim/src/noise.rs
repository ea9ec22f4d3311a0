//! The randomness of the simulated market: numbers from a seeded generator, the random walk behind
//! every price, and the rate of ticks.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Random numbers from a seed. The generator's output is the same in all releases of its crate, so
/// a seed always gives the same market.
#[derive(Debug, Clone)]
pub(crate) struct Noise {
    generator: Xoshiro256PlusPlus,
    /// The second number of a pair: the polar method produces normally distributed numbers in
    /// pairs.
    spare: Option<f64>,
}

impl Noise {
    /// Creates the generator for `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            generator: Xoshiro256PlusPlus::seed_from_u64(seed),
            spare: None,
        }
    }

    /// Returns a number with a uniform distribution in `0.0..1.0`.
    pub(crate) fn uniform(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
        (self.generator.next_u64() >> 11) as f64 * STEP
    }

    /// Returns a number of `0..count` with a uniform distribution; `count` must be at least 1.
    pub(crate) fn index(&mut self, count: usize) -> usize {
        ((u128::from(self.generator.next_u64()) * count as u128) >> 64) as usize
    }

    /// Returns true with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// Returns a number with an exponential distribution of mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        // 1 - u is never 0, so the logarithm is finite.
        -(1.0 - self.uniform()).ln()
    }

    /// Returns a number with a normal distribution of mean 0 and standard deviation 1 (Marsaglia's
    /// polar form of Box-Muller).
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

/// Standard deviation and memory (seconds) of the slow part of a walk's log volatility: changes
/// within an hour.
const SLOW: (f64, f64) = (0.40, 2_700.0);
/// The same for the fast part: changes within a minute.
const FAST: (f64, f64) = (0.40, 45.0);
/// Increase of the fast part after news; e^1.1 is three times the volatility.
const AFTERSHOCK: f64 = 1.1;
/// Maximum of the fast part, for several news events at once.
const FAST_LIMIT: f64 = 2.0;
/// Pull back to zero, per second: a memory of five days. The pull keeps a price near its level as
/// long as the server runs. The pull is far too weak to be visible in a chart.
const PULL: f64 = 1.0 / (5.0 * 86_400.0);

/// Change of a walk's volatility over one slice of time. The values are the same for all walks, so
/// they are computed once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drift {
    /// Factor that keeps the slow part, and standard deviation of the random addition. The next
    /// field is the same for the fast part.
    slow: (f64, f64),
    fast: (f64, f64),
}

impl Drift {
    /// Computes the change for slices of this many seconds.
    pub(crate) fn over(slice: f64) -> Self {
        let exact = |(deviation, memory): (f64, f64)| {
            let keep = (-slice / memory).exp();
            (keep, deviation * (1.0 - keep * keep).sqrt())
        };
        Self {
            slow: exact(SLOW),
            fast: exact(FAST),
        }
    }
}

/// A mean-reverting random walk with clusters of volatility. The log volatility is the sum of two
/// Ornstein-Uhlenbeck processes. The scale gives a mean variance of 1 per second.
#[derive(Debug, Clone)]
pub(crate) struct Walk {
    value: f64,
    at: f64,
    slow: f64,
    fast: f64,
    volatility: f64,
}

impl Walk {
    /// Creates a walk that has already run for `head_start` seconds, with the volatility of an
    /// ordinary moment. The start value is limited, because a new user would see nothing but an
    /// extreme start.
    pub(crate) fn new(head_start: f64, noise: &mut Noise) -> Self {
        let value = noise.normal().clamp(-1.5, 1.5) * head_start.sqrt();
        let (slow, fast) = (noise.normal() * SLOW.0, noise.normal() * FAST.0);
        let mut walk = Self {
            value,
            at: 0.0,
            slow,
            fast,
            volatility: 1.0,
        };
        walk.set_volatility();
        walk
    }

    /// Advances the walk to time `at` (seconds, never backwards) and returns its value. The result
    /// is exact for any step, so the number of steps does not change the volatility.
    pub(crate) fn advance(&mut self, at: f64, noise: &mut Noise) -> f64 {
        let step = at - self.at;
        self.at = at;
        self.value += self.volatility * step.sqrt() * noise.normal() - self.value * PULL * step;
        self.value
    }

    /// Changes the volatility over one slice.
    pub(crate) fn drift(&mut self, drift: &Drift, noise: &mut Noise) {
        self.slow = self.slow * drift.slow.0 + noise.normal() * drift.slow.1;
        self.fast = self.fast * drift.fast.0 + noise.normal() * drift.fast.1;
        self.set_volatility();
    }

    /// Applies news: a jump of the value, followed by higher volatility.
    pub(crate) fn shock(&mut self, leap: f64) {
        self.value += leap;
        self.fast = (self.fast + AFTERSHOCK).min(FAST_LIMIT);
        self.set_volatility();
    }

    /// Returns the current volatility. Its mean square is 1.
    pub(crate) fn volatility(&self) -> f64 {
        self.volatility
    }

    fn set_volatility(&mut self) {
        // E[exp(2x)] = exp(2 var x): subtracting the variance makes the mean square 1.
        const MEAN: f64 = SLOW.0 * SLOW.0 + FAST.0 * FAST.0;
        self.volatility = (self.slow + self.fast - MEAN).exp();
    }
}

/// A controller of the tick rate: bursts are allowed, but the total number of ticks stays correct.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    rate: f64,
    slice: f64,
    /// Recent mean of the sum of the symbols' intensities.
    usual: f64,
    /// Amount of early ticks, in seconds at the mean rate.
    lead: f64,
}

impl Pace {
    /// Creates a controller for a mean of `rate` ticks per second and slices of this many seconds.
    pub(crate) fn new(rate: f64, slice: f64) -> Self {
        Self {
            rate,
            slice,
            usual: 1.0,
            lead: 0.0,
        }
    }

    /// Sets the sum of the symbols' intensities when the market opens.
    pub(crate) fn begin(&mut self, total: f64) {
        self.usual = total;
    }

    /// Returns the ticks per second for the next slice. `total` is the sum of the symbols'
    /// intensities.
    pub(crate) fn intensity(&mut self, total: f64, noise: &mut Noise) -> f64 {
        let memory = (2.0_f64).max(4.0 * self.slice);
        self.usual += (total - self.usual) * (self.slice / 60.0).min(1.0);
        let burst = total / self.usual * (0.25 * noise.normal()).exp();
        // Early ticks are subtracted over the next seconds, so that the total of a minute is
        // correct.
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
        let (sum, squares) = (0..count)
            .map(|_| draw())
            .fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
        (sum / f64::from(count), squares / f64::from(count))
    }

    #[test]
    fn numbers_have_the_expected_moments() {
        let mut noise = Noise::new(1);
        let (mean, square) = moments(|| noise.uniform());
        assert!(
            (mean - 0.5).abs() < 0.005 && (square - 1.0 / 3.0).abs() < 0.005,
            "{mean} {square}"
        );
        let (mean, square) = moments(|| noise.exponential());
        assert!(
            (mean - 1.0).abs() < 0.01 && (square - 2.0).abs() < 0.05,
            "{mean} {square}"
        );
        let (mean, square) = moments(|| noise.normal());
        assert!(
            mean.abs() < 0.01 && (square - 1.0).abs() < 0.02,
            "{mean} {square}"
        );
        assert!((0..1_000).all(|_| noise.index(3) < 3));
    }

    #[test]
    fn a_seed_always_gives_the_same_numbers() {
        let mut generator = Noise::new(42).generator;
        let first: Vec<u64> = (0..3).map(|_| generator.next_u64()).collect();
        // If this fails, every documented seed shows a different market than before.
        assert_eq!(
            first,
            [
                15_021_278_609_987_233_951,
                5_881_210_131_331_364_753,
                18_149_643_915_985_481_100
            ]
        );
    }

    #[test]
    fn the_step_does_not_change_the_volatility_of_a_walk() {
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
        assert!(
            (0.85..1.15).contains(&fine) && (0.85..1.15).contains(&coarse),
            "{fine} {coarse}"
        );
    }

    #[test]
    fn news_moves_the_price_and_raises_the_volatility() {
        let mut walk = Walk::new(0.0, &mut Noise::new(3));
        let (value, before) = (walk.value, walk.volatility());
        walk.shock(25.0);
        assert!((walk.value - value - 25.0).abs() < 1e-9 && walk.volatility() > 2.0 * before);
        (0..20).for_each(|_| walk.shock(0.0));
        assert!(walk.volatility() < 20.0);
    }
}
