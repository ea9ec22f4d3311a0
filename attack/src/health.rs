//! A client that checks the server's health repeatedly, each time on a new connection.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use attack::get;

/// Pause between a response and the next check.
const PAUSE: Duration = Duration::from_millis(20);

/// Maximum time until the response. A late response counts as no response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The time of the slowest health check.
#[derive(Clone)]
pub(crate) struct Health(Arc<Mutex<State>>);

struct State {
    from: Instant,
    /// The time of the check that has no response yet.
    pending_since: Option<Instant>,
    worst: Duration,
}

impl Health {
    /// Starts the checks. The checks stop when the last clone is dropped.
    pub(crate) fn start(address: SocketAddr) -> Self {
        let health = Self(Arc::new(Mutex::new(State {
            from: Instant::now(),
            pending_since: None,
            worst: Duration::ZERO,
        })));
        let state = Arc::downgrade(&health.0);
        std::thread::spawn(move || {
            while let Some(health) = state.upgrade().map(Self) {
                let sent_at = Instant::now();
                health.with(|state| state.pending_since = Some(sent_at));
                let healthy = get(address, "/healthz", RESPONSE_TIMEOUT)
                    .is_ok_and(|(status, _)| status == 200);
                health.with(|state| state.answered(sent_at, healthy));
                std::thread::sleep(PAUSE);
            }
        });
        health
    }

    /// Restarts the measurement. Only checks from now on count.
    pub(crate) fn start_measurement(&self) {
        self.with(|state| (state.from, state.worst) = (Instant::now(), Duration::ZERO));
    }

    /// Returns the longest time until a response, including a check without a response so far.
    pub(crate) fn worst(&self) -> Duration {
        self.with(|state| {
            let waiting = state
                .pending_since
                .filter(|sent_at| *sent_at >= state.from)
                .map(|sent_at| sent_at.elapsed());
            state.worst.max(waiting.unwrap_or_default())
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn answered(&mut self, sent_at: Instant, healthy: bool) {
        self.pending_since = None;
        if sent_at >= self.from {
            let took = if healthy {
                sent_at.elapsed()
            } else {
                RESPONSE_TIMEOUT
            };
            self.worst = self.worst.max(took);
        }
    }
}
