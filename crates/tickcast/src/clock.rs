//! Where time comes from. Everything below the shell is handed it.

use std::time::{Duration, SystemTime};

use tickcast_core::Instant;

/// The program's two clocks: the calendar's, and one that only goes forward. Where a test has paused the runtime's clock,
/// the second stands still with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: tokio::time::Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: tokio::time::Instant::now() }
    }

    pub(crate) fn now(self) -> Instant {
        Instant { wall: SystemTime::now().into(), uptime: self.uptime() }
    }

    pub(crate) fn uptime(self) -> Duration {
        self.start.elapsed()
    }

    /// When the uptime will be `uptime`.
    pub(crate) fn at(self, uptime: Duration) -> tokio::time::Instant {
        self.start + uptime
    }
}
