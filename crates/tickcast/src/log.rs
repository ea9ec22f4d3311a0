//! The one order of all ticks, shared by publishers and lanes.

mod checkpointer;
mod journal;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tickcast_core::{
    KeyProgress, Now, Outcome, Replica, Seq, Sequencer, SourceId, SourceOptions, Symbol, Tick, TickError,
};
use tickcast_tape::{DiskTape, Opened};

use crate::doorbell::Doorbell;
pub(crate) use checkpointer::run_checkpointer;
use journal::Journal;

/// Most entries a lane takes in while it holds the lock: publishers wait no longer than copying so many references takes.
const ENTRIES_PER_LOCK: usize = 1024;

/// Most ticks between two writes to the disk.
const ENTRIES_PER_WRITE: usize = 512;

/// The sequencer, its tape on disk if there is one, and the doorbells to ring when it has moved.
pub(crate) struct Log {
    state: Mutex<LogState>,
    head: AtomicU64,
    wakers: OnceLock<Vec<Arc<Doorbell>>>,
    tape: Option<DiskTape>,
    /// Held while a snapshot of the market is written.
    checkpoints: Mutex<()>,
}

/// What one holds who gives out places.
struct LogState {
    sequencer: Sequencer,
    journal: Journal,
}

impl Log {
    /// One in memory.
    pub(crate) fn new(sequencer: Sequencer) -> Self {
        Self::of(LogState { sequencer, journal: Journal::Memory }, None)
    }

    /// One that goes on where its tape on disk ends.
    pub(crate) fn on_disk(opened: Opened) -> Self {
        let Opened { sequencer, writer, tape, .. } = opened;
        Self::of(LogState { sequencer, journal: Journal::on_disk(writer) }, Some(tape))
    }

    fn of(book: LogState, tape: Option<DiskTape>) -> Self {
        let head = AtomicU64::new(book.sequencer.cursor().seq().get());
        Self { state: Mutex::new(book), head, wakers: OnceLock::new(), tape, checkpoints: Mutex::new(()) }
    }

    /// Who to ring from now on. Only the first call counts.
    pub(crate) fn set_wakers(&self, doorbells: Vec<Arc<Doorbell>>) {
        let _ = self.wakers.set(doorbells);
    }

    /// The newest place, without a lock.
    pub(crate) fn head(&self) -> Seq {
        Seq::new(self.head.load(Ordering::SeqCst))
    }

    /// The tape on disk.
    pub(crate) const fn tape(&self) -> Option<&DiskTape> {
        self.tape.as_ref()
    }

    /// Reads what is there. What is added meanwhile would be in memory only.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Sequencer) -> T) -> T {
        let mut book = self.lock();
        let result = act(&mut book.sequencer);
        self.notify(book);
        result
    }

    /// Takes ticks, in order and with nobody else's between them; tells `each` what became of it. Those for which the disk has
    /// no room are not taken, nor any after them. Says which symbols were other sources' before, and whose.
    ///
    /// `note` says, once all of them were dealt with, how far the request has come that they are of.
    pub(crate) fn publish<'t, 'n>(
        &self,
        ticks: impl IntoIterator<Item = &'t Tick>,
        (origin, rules, now): (SourceId, SourceOptions, Now),
        mut each: impl FnMut(usize, Result<Outcome, TickError>),
        note: impl FnOnce() -> Option<KeyProgress<'n>>,
    ) -> Vec<(Symbol, SourceId)> {
        let mut taken_over = Vec::new();
        let mut book = self.lock();
        let LogState { sequencer, journal } = &mut *book;
        let mut ticks = ticks.into_iter().enumerate().peekable();
        let mut room = Ok(());
        let mut note = Some(note);
        loop {
            room = room.and_then(|()| journal.make_room(ENTRIES_PER_WRITE));
            for (i, tick) in ticks.by_ref().take(ENTRIES_PER_WRITE) {
                let outcome = room.clone().and_then(|()| sequencer.accept(tick, origin, rules, now));
                if let Ok(Outcome::Accepted(_)) = outcome {
                    journal.stage(sequencer);
                    taken_over.extend(sequencer.previous_source().map(|before| (tick.symbol, before)));
                }
                each(i, outcome);
            }
            let last = ticks.peek().is_none();
            if last && let Some(note) = note.take().and_then(|note| note()) {
                sequencer.record_key(note, now.wall);
                journal.stage_key(&note);
            }
            journal.write(sequencer.tape(), now.wall);
            if last {
                break;
            }
        }
        self.notify(book);
        taken_over
    }

    /// Takes a symbol off; says whether it was there.
    ///
    /// # Errors
    /// Where the disk has no room to note that.
    pub(crate) fn remove(&self, symbol: &Symbol, now: Now) -> Result<bool, TickError> {
        let mut book = self.lock();
        let LogState { sequencer, journal } = &mut *book;
        journal.make_room(ENTRIES_PER_WRITE)?;
        let removed = sequencer.remove(symbol, now).is_some();
        if removed {
            journal.stage(sequencer);
            journal.write(sequencer.tape(), now.wall);
        }
        self.notify(book);
        Ok(removed)
    }

    /// Why nothing can be published, if that is so by now.
    ///
    /// # Errors
    /// Where the disk is full, or the tape cannot be written any more.
    pub(crate) fn can_publish(&self) -> Result<(), TickError> {
        // For what a publisher needs: less may fit where nothing can be published any more.
        self.lock().journal.make_room(ENTRIES_PER_WRITE)
    }

    /// Closes the tape on disk. Nothing is taken any more.
    pub(crate) fn close(&self) {
        let mut book = self.lock();
        if matches!(book.journal, Journal::Disk(_)) {
            let journal = std::mem::replace(&mut book.journal, Journal::Closed);
            drop(book);
            // Waits for the disk.
            drop(journal);
        }
    }

    /// Brings `replica` to the head as it was when the last lock was taken.
    pub(crate) fn advance(&self, replica: &mut Replica) {
        while !self.lock().sequencer.advance(replica, ENTRIES_PER_LOCK) {}
    }

    /// Lets everyone know who wants to. What was added is on its way to the disk by now.
    fn notify(&self, book: MutexGuard<'_, LogState>) {
        let head = book.sequencer.cursor().seq().get();
        let moved = self.head.swap(head, Ordering::SeqCst) != head;
        drop(book);
        if moved {
            self.wakers.get().into_iter().flatten().for_each(|doorbell| doorbell.log_advanced());
        }
    }

    fn lock(&self) -> MutexGuard<'_, LogState> {
        // A panic in a holder leaves a sequencer that is still in order: every step of it is complete or not begun.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
