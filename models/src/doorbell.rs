//! The doorbell of a lane.

use shuttle::sync::{Condvar, Mutex};

/// A signal that is remembered until someone waits for it, like that of `tokio`.
#[derive(Default)]
pub(crate) struct Doorbell {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    woken: bool,
    sleeps: bool,
}

impl Doorbell {
    pub(crate) fn wake(&self) {
        self.state.lock().unwrap().woken = true;
        self.changed.notify_all();
    }

    pub(crate) fn wait(&self) {
        let mut state = self.state.lock().unwrap();
        while !state.woken {
            state.sleeps = true;
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap();
        }
        *state = State::default();
    }

    /// Waits until the lane sleeps and nobody has woken it.
    pub(crate) fn wait_for_sleep(&self) {
        let mut state = self.state.lock().unwrap();
        while !state.sleeps || state.woken {
            state = self.changed.wait(state).unwrap();
        }
    }
}
