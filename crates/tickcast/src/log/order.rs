//! The order of all ticks, which publishers share.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use tickcast_core::Sequencer;

use super::journal::Journal;
use super::source_history::SourceHistory;
use crate::doorbell::Doorbell;

/// The state of the log, with its lock, and the signals when it changes. Publishers and the writer
/// of the tape on disk share it.
pub(super) struct Order {
    state: Mutex<LogState>,
    /// Wakes the writer of the tape.
    pub(super) staged: Condvar,
    pub(super) wakers: OnceLock<Vec<Arc<Doorbell>>>,
}

/// The state that is locked while sequence numbers are assigned.
pub(super) struct LogState {
    pub(super) sequencer: Sequencer,
    pub(super) journal: Journal,
    /// The sources that symbols had before, if a delayed market needs them.
    pub(super) sources: Option<SourceHistory>,
}

impl Order {
    pub(super) fn new(sequencer: Sequencer, journal: Journal) -> Self {
        Self {
            state: Mutex::new(LogState {
                sequencer,
                journal,
                sources: None,
            }),
            staged: Condvar::new(),
            wakers: OnceLock::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, LogState> {
        // A panic of a lock holder leaves a valid sequencer: each of its steps is either complete
        // or not started.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a change of the state: shows the new entries, or wakes the writer that has to write
    /// them first.
    pub(super) fn publish(&self, mut state: MutexGuard<'_, LogState>) {
        if let Journal::Memory = state.journal {
            let advanced = state.sequencer.show();
            drop(state);
            return self.ring(advanced);
        }
        let wakes = match &mut state.journal {
            Journal::Disk(staged) if !staged.batch.is_empty() => {
                std::mem::take(&mut staged.writer_waits)
            }
            _ => false,
        };
        drop(state);
        if wakes {
            self.staged.notify_one();
        }
    }

    /// Wakes the lanes that listen, if readers see more than before.
    pub(super) fn ring(&self, advanced: bool) {
        if advanced {
            let doorbells = self.wakers.get().into_iter().flatten();
            doorbells.for_each(|doorbell| doorbell.log_advanced());
        }
    }
}
