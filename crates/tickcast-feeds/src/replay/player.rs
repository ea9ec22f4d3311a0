//! Publishes ticks when they are due.

use std::time::{Duration, SystemTime};

use tickcast::{Outcome, Publisher, Tick, Time};
use tokio::time::{Instant, sleep_until};

use super::pacing::{Pace, Pacing};

/// A player that publishes ticks when they are due.
pub(super) struct Player {
    pace: Pace,
    start: Instant,
    /// Number of published ticks. The next field is the number of accepted ticks.
    pub(super) played: u64,
    pub(super) taken: u64,
    /// The time of the first tick. Due times count from this time.
    first: Option<Time>,
    last: Time,
    /// The offset that is added to the times of the ticks, so that a second pass follows the first.
    shift: Duration,
    rewound: bool,
}

impl Player {
    pub(super) fn new(pacing: Pacing) -> Self {
        let (start, last) = (Instant::now(), Time::default());
        Self {
            pace: pacing.0,
            start,
            played: 0,
            taken: 0,
            first: None,
            last,
            shift: Duration::ZERO,
            rewound: false,
        }
    }

    /// Publishes ticks when they are due.
    pub(super) async fn play(&mut self, mut ticks: Vec<Tick>, publisher: &Publisher) {
        let mut ready = 0;
        for i in 0..ticks.len() {
            let due = self.due(&mut ticks[i]);
            if due > Instant::now() {
                self.publish(&ticks[ready..i], publisher).await;
                ready = i;
                sleep_until(due).await;
            }
        }
        self.publish(&ticks[ready..], publisher).await;
        tokio::task::yield_now().await;
    }

    async fn publish(&mut self, ticks: &[Tick], publisher: &Publisher) {
        let taken = &mut self.taken;
        let each = |_, outcome| *taken += u64::from(matches!(outcome, Ok(Outcome::Accepted(_))));
        publisher.publish_all(ticks, each).await;
    }

    /// Starts the next pass one millisecond after the end of the last pass.
    pub(super) fn rewind(&mut self) {
        self.rewound = true;
    }

    /// Returns when a tick is due, and shifts the time of the tick into this pass.
    fn due(&mut self, tick: &mut Tick) -> Instant {
        let mut moved = None;
        if let Some(time) = tick.time {
            let first = *self.first.get_or_insert(time);
            if std::mem::take(&mut self.rewound) {
                self.shift = since(self.last, first) + Duration::from_millis(1);
            }
            let time = time.saturating_add(self.shift);
            self.last = self.last.max(time);
            moved = Some(time);
            // If a repeated pass is ahead of the clock, the tick has no own time and gets the
            // current time.
            let first_pass = self.shift.is_zero();
            tick.time = moved.filter(|time| first_pass || *time <= SystemTime::now().into());
        }
        self.played += 1;
        match self.pace {
            Pace::Max => self.start,
            Pace::Rate(rate) => {
                self.start + Duration::from_secs_f64((self.played - 1) as f64 / rate)
            }
            Pace::Times(speed) => match (self.first, moved) {
                (Some(first), Some(time)) => self.start + since(time, first).div_f64(speed),
                _ => self.start,
            },
        }
    }
}

fn since(later: Time, earlier: Time) -> Duration {
    Duration::from_millis(u64::try_from(later.as_millis() - earlier.as_millis()).unwrap_or(0))
}
