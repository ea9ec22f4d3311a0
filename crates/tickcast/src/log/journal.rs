//! Writes the entries of the log to disk as the log grows.

use crate::disk::{AppendError, Writer};
use tickcast_core::{
    Frame, KeyProgress, Price, Recorded, Reference, Sequencer, SymbolId, Tape, TickError, Time,
};

/// The destination of new entries.
pub(super) enum Journal {
    /// No destination: the log is in memory.
    Memory,
    /// The tape on disk.
    Disk(Box<Disk>),
    /// No destination any more: the tape is closed.
    Closed,
}

pub(super) struct Disk {
    writer: Writer,
    /// The previous close of each symbol that was last written to disk.
    closes: Vec<Option<Price>>,
    /// Whether the disk was full at the last request for room.
    full: bool,
}

impl Disk {
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
    pub(super) fn on_disk(writer: Writer) -> Self {
        Self::Disk(Box::new(Disk {
            writer,
            closes: Vec::new(),
            full: false,
        }))
    }

    /// Reserves room for `entries` entries.
    pub(super) fn make_room(&mut self, entries: usize) -> Result<(), TickError> {
        match self {
            Self::Memory => Ok(()),
            Self::Disk(disk) => {
                let room = disk.writer.make_room(entries);
                let full = matches!(room, Err(AppendError::Full(_)));
                if std::mem::replace(&mut disk.full, full) != full {
                    if full {
                        tracing::error!(
                            "the disk is full: nothing is published until there is room"
                        );
                    } else {
                        tracing::info!("there is room on the disk again");
                    }
                }
                room.map_err(|error| TickError::Storage(error.to_string()))
            }
            Self::Closed => Err(TickError::Storage("the tape is closed".to_owned())),
        }
    }

    /// Stages the newest entry, of symbol `id`, for the next write.
    pub(super) fn stage(&mut self, sequencer: &Sequencer, id: SymbolId) {
        let Self::Disk(disk) = self else { return };
        let json = sequencer.market().newest(id).map(Frame::json);
        let quote = sequencer.quote(id);
        let prev_close = match quote.map(|quote| quote.reference) {
            _ if json.is_none() => {
                disk.forget_close(id);
                None
            }
            Some(Reference::PrevClose(close)) => disk.news_of(id, close),
            _ => None,
        };
        disk.writer.push(&Recorded {
            symbol: sequencer.market().symbol(id),
            prev_close,
            json,
        });
    }

    /// Stages the progress of a request for the next write.
    pub(super) fn stage_key(&mut self, note: &KeyProgress<'_>) {
        if let Self::Disk(disk) = self {
            disk.writer.push_key(note);
        }
    }

    /// Writes the staged entries to disk, up to the head of `tape`. A failure is not returned here.
    /// After a failure there is no more room, and tasks that wait for the disk receive the error.
    pub(super) fn write(&mut self, tape: &Tape, now: Time) {
        if let Self::Disk(disk) = self {
            let _ = disk.writer.commit((tape.head(), tape.digest()), now);
        }
    }
}
