//! A client that checks the server's health repeatedly, each time on a new connection.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use attack::get;

/// Pause between a response and the next check.
const PAUSE: Duration = Duration::from_millis(20);

/// Maximum time until the response. A late response counts as no response.
const PATIENCE: Duration = Duration::from_secs(5);

/// The time of the slowest health check.
#[derive(Clone)]
pub(crate) struct Health(Arc<Mutex<State>>);

struct State {
    from: Instant,
    /// The time of the check that has no response yet.
    asked: Option<Instant>,
    worst: Duration,
}

impl Health {
    /// Starts the checks. The checks stop when the last clone is dropped.
    pub(crate) fn start(address: SocketAddr) -> Self {
        let health =
            Self(Arc::new(Mutex::new(State { from: Instant::now(), asked: None, worst: Duration::ZERO })));
        let state = Arc::downgrade(&health.0);
        std::thread::spawn(move || {
            while let Some(health) = state.upgrade().map(Self) {
                let asked = Instant::now();
                health.with(|state| state.asked = Some(asked));
                let healthy = get(address, "/healthz", PATIENCE).is_ok_and(|(status, _)| status == 200);
                health.with(|state| state.answered(asked, healthy));
                std::thread::sleep(PAUSE);
            }
        });
        health
    }

    /// Restarts the measurement. Only checks from now on count.
    pub(crate) fn begin(&self) {
        self.with(|state| (state.from, state.worst) = (Instant::now(), Duration::ZERO));
    }

    /// Returns the longest time until a response, including a check without a response so far.
    pub(crate) fn worst(&self) -> Duration {
        self.with(|state| {
            let waiting = state.asked.filter(|asked| *asked >= state.from).map(|asked| asked.elapsed());
            state.worst.max(waiting.unwrap_or_default())
        })
    }

    fn with<T>(&self, of: impl FnOnce(&mut State) -> T) -> T {
        of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn answered(&mut self, asked: Instant, healthy: bool) {
        self.asked = None;
        if asked >= self.from {
            let took = if healthy { asked.elapsed() } else { PATIENCE };
            self.worst = self.worst.max(took);
        }
    }
}
