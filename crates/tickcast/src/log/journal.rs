//! What has to happen to new entries before readers may see them.

use std::sync::Arc;

use tickcast_core::{Frame, KeyProgress, Price, Recorded, Reference, Sequencer, SymbolId};
use tickcast_core::{TickError, Time};

use super::write::Write;
use crate::disk::{AppendError, Batch, DiskTape};

/// The destination of new entries.
pub(super) enum Journal {
    /// No destination: the log is in memory, and readers see an entry at once.
    Memory,
    /// The tape on disk: readers see an entry when it is written.
    Disk(Box<Staged>),
    /// No destination any more: the tape is closed.
    Closed,
    /// A simulated disk: the test shows the entries.
    #[cfg(test)]
    Held,
}

/// The entries that the next write will have.
pub(super) struct Staged {
    pub(super) batch: Batch,
    /// The next write.
    pub(super) write: Arc<Write>,
    /// The last write that was begun.
    pub(super) begun: Option<Arc<Write>>,
    tape: DiskTape,
    /// The previous close of each symbol that was last written to disk.
    closes: Vec<Option<Price>>,
    /// Whether the disk has room for the batch, and for another one after it.
    room: Result<(), AppendError>,
    /// Whether the disk has refused the last write.
    pub(super) refused: bool,
    /// Whether the tape is to be closed after the next write.
    pub(super) closing: bool,
    /// Whether the writer waits for entries.
    pub(super) writer_waits: bool,
}

impl Staged {
    pub(super) fn new(tape: DiskTape, room: Result<(), AppendError>) -> Self {
        Self {
            batch: Batch::default(),
            write: Arc::default(),
            begun: None,
            tape,
            closes: Vec::new(),
            room,
            refused: false,
            closing: false,
            writer_waits: false,
        }
    }

    /// Sets whether there is room on the disk.
    pub(super) fn set_room(&mut self, room: Result<(), AppendError>) {
        let is_full = |room| matches!(room, &Err(AppendError::Full(_)));
        match (is_full(&self.room), is_full(&room)) {
            (false, true) => {
                tracing::error!("the disk is full: nothing is published until there is room");
            }
            (true, false) => tracing::info!("there is room on the disk again"),
            _ => {}
        }
        self.room = room;
    }

    pub(super) const fn has_room(&self) -> bool {
        self.room.is_ok()
    }

    /// Forgets the entries, because the disk has not taken them or those before them.
    pub(super) fn take_back(&mut self) {
        self.batch.clear();
        self.closes.clear();
    }

    fn stage(&mut self, sequencer: &Sequencer) {
        let Some((entry, quote)) = sequencer.newest_entry() else {
            return;
        };
        let json = entry.frame().map(Frame::json);
        let prev_close = match quote.map(|quote| quote.reference) {
            _ if json.is_none() => {
                self.forget_close(entry.symbol);
                None
            }
            Some(Reference::PrevClose(close)) => self.news_of(entry.symbol, close),
            _ => None,
        };
        self.batch.push(&Recorded {
            symbol: sequencer.market().symbol(entry.symbol),
            prev_close,
            json,
        });
    }

    /// Returns a symbol's previous close if it differs from the one last written to disk.
    fn news_of(&mut self, id: SymbolId, close: Price) -> Option<Price> {
        if id.index() >= self.closes.len() {
            self.closes.resize(id.index() + 1, None);
        }
        let known = self.closes[id.index()].replace(close);
        known
            .is_none_or(|known| !known.is_written_like(close))
            .then_some(close)
    }

    /// Removes the previous close of a symbol that was removed.
    fn forget_close(&mut self, id: SymbolId) {
        if let Some(close) = self.closes.get_mut(id.index()) {
            *close = None;
        }
    }
}

impl Journal {
    /// Checks whether entries can be accepted.
    ///
    /// # Errors
    /// If the disk is full, or if the tape can no longer be written.
    pub(super) fn check(&self) -> Result<(), TickError> {
        let staged = match self {
            Self::Memory => return Ok(()),
            #[cfg(test)]
            Self::Held => return Ok(()),
            Self::Disk(staged) if !staged.closing => staged,
            Self::Disk(_) | Self::Closed => {
                return Err(TickError::Storage("the tape is closed".to_owned()));
            }
        };
        let failed = |error: &AppendError| TickError::Storage(error.to_string());
        staged
            .tape
            .check_writable()
            .map_err(|error| failed(&error))?;
        staged.room.as_ref().copied().map_err(failed)
    }

    /// Checks whether the next write has all the entries that it may have.
    pub(super) const fn is_full(&self) -> bool {
        match self {
            Self::Disk(staged) => staged.batch.is_full(),
            _ => false,
        }
    }

    /// Checks whether the next write has so many entries that a publisher should wait for it. There
    /// is room for 64 KiB of ticks until it is [full](Self::is_full).
    pub(super) const fn is_half_full(&self) -> bool {
        match self {
            Self::Disk(staged) => staged.batch.is_half_full(),
            _ => false,
        }
    }

    /// Sets the time at which the next entries are accepted, and the position before them.
    pub(super) fn begin(&mut self, sequencer: &Sequencer, now: Time) {
        if let Self::Disk(staged) = self {
            staged.batch.begin(sequencer.newest_position(), now);
        }
    }

    /// Stages the newest entry for the next write.
    pub(super) fn stage(&mut self, sequencer: &Sequencer) {
        if let Self::Disk(staged) = self {
            staged.stage(sequencer);
        }
    }

    /// Stages the progress of a request for the next write.
    pub(super) fn stage_key(&mut self, note: &KeyProgress<'_>) {
        if let Self::Disk(staged) = self {
            staged.batch.push_key(note);
        }
    }

    /// Checks whether nothing waits for the next write.
    pub(super) fn has_nothing_staged(&self) -> bool {
        matches!(self, Self::Disk(staged) if staged.batch.is_empty())
    }

    /// Returns the last write that has anything to do with what was published so far. It may be
    /// done, or have failed.
    pub(super) fn last_write(&self) -> Option<Arc<Write>> {
        match self {
            Self::Disk(staged) if staged.batch.is_empty() => staged.begun.clone(),
            _ => self.pending(),
        }
    }

    /// Returns the write after which everything so far is visible, or `None` if it is already.
    pub(super) fn pending(&self) -> Option<Arc<Write>> {
        match self {
            Self::Disk(staged) if staged.batch.is_empty() => {
                staged.begun.clone().filter(|write| !write.is_done())
            }
            Self::Disk(staged) => Some(Arc::clone(&staged.write)),
            _ => None,
        }
    }
}
