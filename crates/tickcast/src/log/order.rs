//! The order of all ticks, which publishers share.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use tickcast_core::{Seq, Sequencer, Tape};

use super::journal::Journal;
use super::source_history::SourceHistory;
use crate::doorbell::Doorbell;
use crate::interest::{Interest, Lanes, WAKE_EVERY};

/// The state of the log, with its lock, and the signals when it changes. Publishers and the writer
/// of the tape on disk share it.
pub(super) struct Order {
    state: Mutex<LogState>,
    /// Wakes the writer of the tape.
    pub(super) staged: Condvar,
    pub(super) wakers: OnceLock<Vec<Arc<Doorbell>>>,
    pub(super) interest: Arc<Interest>,
    /// The tape in memory, to read what readers may see without a lock. Its own head stays where it
    /// is.
    pub(super) tape: Tape,
}

/// The state that is locked while sequence numbers are assigned.
pub(super) struct LogState {
    pub(super) sequencer: Sequencer,
    pub(super) journal: Journal,
    /// The sources that symbols had before, if a delayed market needs them.
    pub(super) sources: Option<SourceHistory>,
}

impl LogState {
    /// Checks whether the tape on disk is to be closed.
    pub(super) const fn is_closing(&self) -> bool {
        matches!(&self.journal, Journal::Disk(staged) if staged.closing)
    }
}

/// A change of the state under the lock. When it ends, also by a panic, the new entries are shown,
/// or the writer is woken that has to write them first.
pub(super) struct StateChange<'o> {
    order: &'o Order,
    state: Option<MutexGuard<'o, LogState>>,
}

impl StateChange<'_> {
    /// Returns the state.
    pub(super) fn state(&mut self) -> &mut LogState {
        match &mut self.state {
            Some(state) => state,
            None => unreachable!("the state is taken only at the end"),
        }
    }
}

impl Drop for StateChange<'_> {
    fn drop(&mut self) {
        let (order, Some(mut state)) = (self.order, self.state.take()) else {
            return;
        };
        if let Journal::Memory = state.journal {
            let before = order.tape.visible();
            state.sequencer.show();
            let head = order.tape.visible();
            drop(state);
            return order.ring(before, head);
        }
        let wakes = match &mut state.journal {
            Journal::Disk(staged) if !staged.batch.is_empty() => {
                std::mem::take(&mut staged.writer_waits)
            }
            _ => false,
        };
        drop(state);
        if wakes {
            order.staged.notify_one();
        }
    }
}

impl Order {
    pub(super) fn new(sequencer: Sequencer, journal: Journal) -> Self {
        Self {
            interest: Arc::default(),
            tape: sequencer.tape().clone(),
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

    /// Begins a change of the state.
    pub(super) fn change(&self) -> StateChange<'_> {
        StateChange {
            order: self,
            state: Some(self.lock()),
        }
    }

    /// Wakes the lanes that listen and have a reader of the entries after `from`, up to `head`.
    pub(super) fn ring(&self, from: Seq, head: Seq) {
        let Some(doorbells) = self.wakers.get().filter(|_| from < head) else {
            return;
        };
        let Some(listening) = self.interest.listening() else {
            return;
        };
        let woken = self.woken(listening, (from, head));
        let is_alone = woken.iter().map(|lanes| lanes.count_ones()).sum::<u32>() == 1;
        self.interest.wake(woken, |lane| match doorbells.get(lane) {
            // A panic in a publisher must not meet another one here.
            Some(doorbell) if is_alone && !std::thread::panicking() => doorbell.deliver_or_wake(),
            Some(doorbell) => doorbell.wake(),
            None => {}
        });
    }

    /// Returns those of the `listening` lanes that the entries after `from`, up to `head`, wake.
    fn woken(&self, listening: Lanes, (from, head): (Seq, Seq)) -> Lanes {
        let mut woken = self.interest.woken_by_everything(listening);
        if woken == listening {
            return woken;
        }
        let start = self.tape.start();
        let room = match start > Seq::ZERO {
            // The tape is as full as its entries and their bytes allow.
            true => head.get().saturating_sub(start.get()),
            false => self.tape.max_entries(),
        };
        let most = (room / 4).clamp(1, WAKE_EVERY);
        if from.get() / most != head.get() / most {
            // No lane falls far behind.
            return listening;
        }
        let mut at = from;
        while at < head && woken != listening {
            let Some(run) = self.tape.visible_run(at) else {
                // The entries have left the tape.
                return listening;
            };
            // Later entries are for their own publishers, who see who listens then.
            let entries = run.entries().take_while(|(seq, _)| *seq <= head);
            let symbols = entries.map(|(_, entry)| entry.symbol);
            self.interest.add_woken(&mut woken, listening, symbols);
            at = run.end();
        }
        woken
    }
}
