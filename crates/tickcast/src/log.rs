//! The one order of all ticks, shared by publishers and lanes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tickcast_core::{Replica, Seq, Sequencer};

use crate::lane::Inbox;

/// Most entries a lane takes in while it holds the lock: publishers wait no longer than copying so many references takes.
const ENTRIES_PER_LOCK: usize = 1024;

/// The sequencer, and the doorbells to ring when it has moved.
pub(crate) struct Log {
    sequencer: Mutex<Sequencer>,
    head: AtomicU64,
    doorbells: OnceLock<Vec<Arc<Inbox>>>,
}

impl Log {
    pub(crate) fn new(sequencer: Sequencer) -> Self {
        let head = AtomicU64::new(sequencer.cursor().seq.get());
        Self { sequencer: Mutex::new(sequencer), head, doorbells: OnceLock::new() }
    }

    /// Who to ring from now on. Only the first call counts.
    pub(crate) fn ring_at(&self, doorbells: Vec<Arc<Inbox>>) {
        let _ = self.doorbells.set(doorbells);
    }

    /// The newest place, without a lock.
    pub(crate) fn head(&self) -> Seq {
        Seq::new(self.head.load(Ordering::SeqCst))
    }

    /// Reads, or adds to, what is there.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Sequencer) -> T) -> T {
        let mut sequencer = self.lock();
        let result = act(&mut sequencer);
        let head = sequencer.cursor().seq.get();
        let moved = self.head.swap(head, Ordering::SeqCst) != head;
        drop(sequencer);
        if moved {
            self.doorbells.get().into_iter().flatten().for_each(|inbox| inbox.moved());
        }
        result
    }

    /// Brings `replica` to the head as it was when the last lock was taken.
    pub(crate) fn advance(&self, replica: &mut Replica) {
        while !self.lock().advance(replica, ENTRIES_PER_LOCK) {}
    }

    fn lock(&self) -> MutexGuard<'_, Sequencer> {
        // A panic in a holder leaves a sequencer that is still in order: every step of it is complete or not begun.
        self.sequencer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
