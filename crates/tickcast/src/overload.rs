//! What a hub does against overload, step by step.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// A step against overload. Each step includes those before it. Returned by
/// [`Hub::overload`](crate::Hub::overload).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum OverloadStep {
    /// No step: the hub serves everyone.
    #[default]
    None,
    /// From a pressure of 0.80: new streams are told to come back later.
    RefuseStreams,
    /// From a pressure of 0.85: while ticks keep arriving, each lane flushes less often (eight
    /// times the flush interval, at most 0.25 s), so that fewer writes carry more ticks.
    FlushLess,
    /// From a pressure of 0.90: the streams that have accepted nothing for the longest time are
    /// closed, some in each round.
    CloseStalled,
    /// From a pressure of 0.95: published ticks are refused (503 with `Retry-After`).
    RefusePublishing,
}

/// All steps, and the pressure from which each is taken.
const STEPS: [(OverloadStep, f64); 5] = [
    (OverloadStep::None, 0.0),
    (OverloadStep::RefuseStreams, 0.80),
    (OverloadStep::FlushLess, 0.85),
    (OverloadStep::CloseStalled, 0.90),
    (OverloadStep::RefusePublishing, 0.95),
];

/// How far the pressure must fall below that of a step until the step ends. Without this distance,
/// a step that helps would end and begin again at once.
const HYSTERESIS: f64 = 0.04;

impl OverloadStep {
    /// Returns the steps, the mildest first.
    pub fn all() -> impl Iterator<Item = Self> {
        STEPS.into_iter().map(|(step, _)| step)
    }

    /// Returns the step at this pressure, if the current step is `self`. A pressure below 0, or
    /// NaN, counts as 0.
    #[must_use]
    pub fn at(self, pressure: f64) -> Self {
        let reached = |pressure: f64| {
            let mut steps = STEPS.into_iter().filter(|(_, from)| *from <= pressure);
            steps.next_back().map_or(Self::None, |(step, _)| step)
        };
        // A step that is taken stays until the pressure is clearly lower.
        reached(pressure).max(self.min(reached(pressure + HYSTERESIS)))
    }

    /// Returns the name of the step: `none`, `refuse-streams`, `flush-less`, `close-stalled` or
    /// `refuse-publishing`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::RefuseStreams => "refuse-streams",
            Self::FlushLess => "flush-less",
            Self::CloseStalled => "close-stalled",
            Self::RefusePublishing => "refuse-publishing",
        }
    }
}

/// The current step. The hub, its delayed markets and their lanes share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overload(Arc<AtomicU8>);

impl Overload {
    pub(crate) fn step(&self) -> OverloadStep {
        let number = usize::from(self.0.load(Relaxed));
        STEPS
            .get(number)
            .map_or(OverloadStep::None, |(step, _)| *step)
    }

    /// Sets the step. Returns the step before.
    pub(crate) fn set(&self, step: OverloadStep) -> OverloadStep {
        let before = self.step();
        self.0.store(step as u8, Relaxed);
        before
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_step_has_its_number() {
        let overload = Overload::default();
        for (step, from) in STEPS {
            overload.set(step);
            assert_eq!(overload.step(), step);
            assert_eq!(OverloadStep::None.at(from), step);
        }
        for nothing in [f64::NAN, -1.0, 0.0] {
            assert_eq!(
                OverloadStep::RefusePublishing.at(nothing),
                OverloadStep::None
            );
        }
        let most = OverloadStep::None.at(f64::INFINITY);
        assert_eq!(most, OverloadStep::RefusePublishing);
    }

    proptest! {
        /// More pressure never takes fewer steps, a step stays at a pressure that is nearly as high
        /// as before, and a steady pressure changes nothing any more.
        #[test]
        fn steps_follow_the_pressure(pressures in prop::collection::vec(0.0_f64..1.2, 1..50)) {
            let mut step = OverloadStep::None;
            for pressure in pressures {
                let next = step.at(pressure);
                prop_assert!(next >= OverloadStep::None.at(pressure));
                prop_assert!(next <= OverloadStep::None.at(pressure + HYSTERESIS).max(OverloadStep::None.at(pressure)));
                prop_assert_eq!(next.at(pressure), next);
                if next == OverloadStep::None.at(pressure) {
                    prop_assert_eq!(next.at(pressure - HYSTERESIS / 2.0), next);
                }
                prop_assert!(next <= next.at(pressure + 0.1));
                step = next;
            }
        }
    }
}
