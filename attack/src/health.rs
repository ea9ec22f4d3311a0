//! Someone who asks whether the server is healthy, again and again, each time on a new connection.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use attack::get;

/// Between an answer and the next question.
const PAUSE: Duration = Duration::from_millis(20);

/// No answer within this time is as bad as none at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the worst answer took.
#[derive(Clone)]
pub(crate) struct Health(Arc<Mutex<State>>);

struct State {
    from: Instant,
    /// When the question was asked that has not been answered yet.
    asked: Option<Instant>,
    worst: Duration,
}

impl Health {
    /// Begins to ask; stops once the last of its clones is gone.
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

    /// Only what is asked from now on counts.
    pub(crate) fn begin(&self) {
        self.with(|state| (state.from, state.worst) = (Instant::now(), Duration::ZERO));
    }

    /// The longest that an answer took, or has been waited for.
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
