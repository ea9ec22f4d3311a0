//! What the hub does under overload.

use super::Hub;
#[cfg(feature = "http")]
use super::Inner;
use crate::lane::Command;
use crate::overload::OverloadStep;
#[cfg(feature = "http")]
use crate::stats::RefusedStream;

impl Hub {
    /// Tells the hub how near the program is to the end of what it has: 0 is idle, 1 is the limit.
    /// Whoever measures the memory and the descriptors of the program calls this a few times a
    /// second; nothing else sets it. The hub takes the [steps](OverloadStep) of this pressure,
    /// and returns the last of them. While streams are to be closed, each call closes some.
    ///
    /// ```
    /// use tickcast::{Hub, OverloadStep};
    ///
    /// let hub = Hub::builder().build();
    /// assert_eq!(hub.set_pressure(0.82), OverloadStep::RefuseStreams);
    /// assert_eq!(hub.set_pressure(0.78), OverloadStep::RefuseStreams, "a step ends 0.04 lower");
    /// assert_eq!(hub.set_pressure(0.70), OverloadStep::None);
    /// ```
    pub fn set_pressure(&self, pressure: f64) -> OverloadStep {
        let step = self.overload().at(pressure);
        let before = self.0.overload.set(step);
        match step {
            OverloadStep::None if before > step => tracing::info!("the overload is over"),
            _ if before != step => {
                tracing::warn!(pressure, step = step.name(), "the server is overloaded");
            }
            _ => {}
        }
        if step >= OverloadStep::CloseStalled {
            for hub in self.markets() {
                for lane in hub.lanes() {
                    lane.inbox.send(Command::CloseStalled);
                }
            }
        }
        step
    }

    /// Returns the last step that the hub takes against overload now.
    #[must_use]
    pub fn overload(&self) -> OverloadStep {
        self.0.overload.step()
    }

    /// Returns how late the latest lane is: how long it has worked without a rest, or how late the
    /// ticks of its last flush were. The wait that `flush_interval` asks for does not count.
    #[must_use]
    pub fn lane_lag(&self) -> std::time::Duration {
        let now = self.0.clock.uptime();
        let hubs: Vec<_> = self.markets().collect();
        let lags = hubs
            .iter()
            .flat_map(Self::lanes)
            .map(|lane| lane.stats.lag(now));
        lags.max().unwrap_or_default()
    }
}

#[cfg(feature = "http")]
impl Inner {
    /// Counts a stream that is told to come back later.
    pub(crate) fn note_refused(&self, reason: RefusedStream) {
        self.refused.count(reason);
    }
}
