//! Overload: measures how near the server is to the end of what it has, and tells the hub, which
//! takes the steps.

mod processor;
mod used;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tickcast::Hub;
use tokio_util::sync::CancellationToken;

use crate::settings::MemoryBudget;
use processor::Processor;

/// Time between two measurements.
const INTERVAL: Duration = Duration::from_millis(250);

/// Number of measurements that a delay has to last. A process that was stopped for a moment is not
/// overloaded.
const LASTING: usize = 4;

/// The lag of a lane that counts as a pressure of 1.
const MAX_LAG: Duration = Duration::from_secs(4);

/// The lag from which a busy processor counts. Without lag, lanes that are busy send larger
/// batches, and nothing is wrong.
const BUSY_LAG: Duration = Duration::from_millis(500);

/// Maximum pressure of a busy processor: it refuses new streams and flushes less, but closes
/// nothing.
const MAX_PROCESSOR: f64 = 0.89;

/// Number of free descriptors below which they count. The connection limit leaves more than these.
const SCARCE_DESCRIPTORS: u64 = 16;

/// Maximum pressure of few descriptors: new streams are refused. More would free none at once.
const MAX_DESCRIPTORS: f64 = 0.84;

/// How near the server is to its limits: 0 is far, 1 is there.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pressure {
    pub(crate) memory: f64,
    pub(crate) descriptors: f64,
    pub(crate) lag: f64,
    pub(crate) processor: f64,
}

/// The pressure at the last measurement.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastPressure(Arc<Mutex<Pressure>>);

impl Pressure {
    /// Returns each pressure with the name of its resource.
    pub(crate) const fn by_resource(self) -> [(&'static str, f64); 4] {
        [
            ("memory", self.memory),
            ("descriptors", self.descriptors),
            ("lag", self.lag),
            ("processor", self.processor),
        ]
    }

    /// Returns the highest pressure.
    fn highest(self) -> f64 {
        let all = self.by_resource().into_iter().map(|(_, pressure)| pressure);
        all.fold(0.0, f64::max)
    }
}

impl LastPressure {
    pub(crate) fn get(&self) -> Pressure {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, pressure: Pressure) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = pressure;
    }
}

/// Measures the pressure and tells the hub until `stop`.
pub(crate) async fn watch(
    hub: Hub,
    budget: MemoryBudget,
    last: LastPressure,
    stop: CancellationToken,
) {
    let (mut lags, mut processor) = ([Duration::ZERO; LASTING], Processor::new());
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(interval.tick()).await.is_some() {
        lags.rotate_left(1);
        lags[LASTING - 1] = hub.lane_lag();
        let lag = lags.into_iter().min().unwrap_or_default();
        let busy = processor.busy(INTERVAL);
        let pressure = Pressure {
            memory: used::memory(&budget).map_or(0.0, |used| used as f64 / budget.bytes as f64),
            descriptors: used::free_descriptors().map_or(0.0, scarcity),
            lag: lag.as_secs_f64() / MAX_LAG.as_secs_f64(),
            processor: if lag < BUSY_LAG {
                0.0
            } else {
                busy * MAX_PROCESSOR
            },
        };
        last.set(pressure);
        hub.set_pressure(pressure.highest());
    }
}

/// Returns the pressure of few free descriptors.
fn scarcity(free: u64) -> f64 {
    let scarcity = 1.0 - free.min(SCARCE_DESCRIPTORS) as f64 / SCARCE_DESCRIPTORS as f64;
    scarcity.min(MAX_DESCRIPTORS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scarcest_resource_counts() {
        let pressure = Pressure {
            memory: 0.3,
            lag: 0.9,
            ..Pressure::default()
        };
        assert_eq!(pressure.highest(), 0.9);
        assert_eq!((scarcity(5000), scarcity(0)), (0.0, MAX_DESCRIPTORS));
        assert_eq!(scarcity(SCARCE_DESCRIPTORS / 2), 0.5);
    }
}
