//! The source of time. The outermost code reads the clock and passes the time to all other code.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use tickcast_core::{Now, Time};

/// The program's two clocks: the wall clock and a monotonic clock. When a test pauses the runtime's
/// clock, the monotonic clock pauses too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: tokio::time::Instant,
    /// The wall clock at the start.
    start_wall: Time,
    /// How far the time of a delayed market is behind the wall clock.
    behind: Duration,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            start: tokio::time::Instant::now(),
            start_wall: SystemTime::now().into(),
            behind: Duration::ZERO,
        }
    }

    /// Returns the clocks of a market that is behind by `delay`.
    pub(crate) const fn delayed_by(self, delay: Duration) -> Self {
        Self {
            behind: delay,
            ..self
        }
    }

    /// Returns the time. The wall clock of a delayed market is behind, like its prices.
    pub(crate) fn now(self) -> Now {
        let wall = Time::from(SystemTime::now());
        Now {
            wall: wall.saturating_sub(self.behind),
            uptime: self.uptime(),
        }
    }

    /// Returns the time that has come for certain: the wall clock, unless it has jumped forward
    /// since the start. Permissions end by this time, also those of a delayed market.
    pub(crate) fn passed(self) -> Time {
        let now = Now {
            wall: SystemTime::now().into(),
            uptime: self.uptime(),
        };
        passed(self.start_wall, now)
    }

    pub(crate) fn uptime(self) -> Duration {
        self.start.elapsed()
    }

    /// Returns the moment at which the uptime reaches `uptime`.
    pub(crate) fn at(self, uptime: Duration) -> tokio::time::Instant {
        self.start + uptime
    }
}

fn passed(start_wall: Time, now: Now) -> Time {
    now.wall.min(start_wall.saturating_add(now.uptime))
}

/// Minimum change of the wall clock that counts, in milliseconds. Smaller changes are ignored
/// because the two clocks are never read at the same instant.
const JITTER_MS: u64 = 100;

/// A monitor that detects jumps of the wall clock with the help of the monotonic clock.
#[derive(Debug)]
pub(crate) struct WallClockMonitor {
    /// The wall clock minus the uptime, in milliseconds.
    offset_ms: AtomicI64,
    jumps: AtomicU64,
}

impl WallClockMonitor {
    pub(crate) fn new(now: Now) -> Self {
        Self {
            offset_ms: AtomicI64::new(offset_ms(now)),
            jumps: AtomicU64::new(0),
        }
    }

    /// Counts and logs a jump of more than `most` since the last check.
    pub(crate) fn check(&self, now: Now, most: Duration) {
        let offset = offset_ms(now);
        let known = self.offset_ms.load(Relaxed);
        let moved = offset.abs_diff(known);
        // If several callers see the same jump, only one caller logs the jump.
        if moved < JITTER_MS
            || self
                .offset_ms
                .compare_exchange(known, offset, Relaxed, Relaxed)
                .is_err()
        {
            return;
        }
        if u128::from(moved) > most.as_millis() {
            self.jumps.fetch_add(1, Relaxed);
            let direction = if offset > known { "forward" } else { "back" };
            tracing::warn!(milliseconds = moved, "the wall clock jumped {direction}");
        }
    }

    /// Returns the number of jumps so far.
    pub(crate) fn jumps(&self) -> u64 {
        self.jumps.load(Relaxed)
    }
}

fn offset_ms(now: Now) -> i64 {
    now.wall
        .as_millis()
        .saturating_sub(i64::try_from(now.uptime.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_forward_makes_no_time_pass_and_a_jump_back_takes_it_back() {
        let at = |wall| Time::from_millis(wall).unwrap();
        let passed = |wall, uptime| {
            let uptime = Duration::from_millis(uptime);
            passed(
                at(1_000),
                Now {
                    wall: at(wall),
                    uptime,
                },
            )
        };
        assert_eq!(passed(1_500, 500), at(1_500));
        assert_eq!(passed(9_000, 500), at(1_500));
        assert_eq!(passed(1_200, 500), at(1_200));
    }

    #[test]
    fn a_jump_in_either_direction_is_counted_once_and_drift_is_not() {
        let at = |wall, uptime| Now {
            wall: Time::from_millis(wall).unwrap(),
            uptime: Duration::from_millis(uptime),
        };
        let (watch, most) = (
            WallClockMonitor::new(at(1_000_000, 0)),
            Duration::from_secs(5),
        );
        let steps = [
            (1_001_000, 1_000),
            (1_006_000, 2_000),
            (1_011_000, 3_000),
            (5_000_000, 4_000),
            (5_001_000, 5_000),
        ];
        let jumps = steps.map(|(wall, uptime)| {
            watch.check(at(wall, uptime), most);
            watch.jumps()
        });
        assert_eq!(jumps, [0, 0, 0, 1, 1]);
        watch.check(at(900_000, 6_000), most);
        assert_eq!(watch.jumps(), 2);
    }
}
