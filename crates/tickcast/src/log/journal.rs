//! What is written down of the log as it grows.

use tickcast_core::{
    Frame, KeyProgress, Price, Recorded, Reference, Sequencer, SymbolId, Tape, TickError, Time,
};
use tickcast_tape::{AppendError, Writer};

/// Where entries are written down.
pub(super) enum Journal {
    /// Nowhere: the log is in memory.
    Memory,
    /// On the disk.
    Disk(Box<Disk>),
    /// Nowhere any more.
    Closed,
}

pub(super) struct Disk {
    writer: Writer,
    /// The previous close that was last written down of each symbol.
    closes: Vec<Option<Price>>,
    /// Whether it was full when it was last asked for room.
    full: bool,
}

impl Disk {
    /// A symbol's previous close, where it is not the one that was last written down.
    fn news_of(&mut self, id: SymbolId, close: Price) -> Option<Price> {
        if id.index() >= self.closes.len() {
            self.closes.resize(id.index() + 1, None);
        }
        let known = self.closes[id.index()].replace(close);
        known.is_none_or(|known| !known.is_written_like(close)).then_some(close)
    }

    /// A symbol that was taken off has no close any more.
    fn forget_close(&mut self, id: SymbolId) {
        if let Some(close) = self.closes.get_mut(id.index()) {
            *close = None;
        }
    }
}

impl Journal {
    pub(super) fn on_disk(writer: Writer) -> Self {
        Self::Disk(Box::new(Disk { writer, closes: Vec::new(), full: false }))
    }

    /// Sees to it that so many entries can be written down.
    pub(super) fn make_room(&mut self, entries: usize) -> Result<(), TickError> {
        match self {
            Self::Memory => Ok(()),
            Self::Disk(disk) => {
                let room = disk.writer.make_room(entries);
                let full = matches!(room, Err(AppendError::Full(_)));
                if std::mem::replace(&mut disk.full, full) != full {
                    if full {
                        tracing::error!("the disk is full: nothing is published until there is room");
                    } else {
                        tracing::info!("there is room on the disk again");
                    }
                }
                room.map_err(|error| TickError::Storage(error.to_string()))
            }
            Self::Closed => Err(TickError::Storage("the tape is closed".to_owned())),
        }
    }

    /// Notes the newest entry.
    pub(super) fn stage(&mut self, sequencer: &Sequencer) {
        let Self::Disk(disk) = self else { return };
        let Some(id) = sequencer.touched() else { return };
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
        disk.writer.push(&Recorded { symbol: sequencer.market().symbol(id), prev_close, json });
    }

    /// Notes how far a request has come.
    pub(super) fn stage_key(&mut self, note: &KeyProgress<'_>) {
        if let Self::Disk(disk) = self {
            disk.writer.push_key(note);
        }
    }

    /// Writes down what was noted, up to the head of `tape`. Where that fails nobody is told here: there will be no room from
    /// then on, and whoever waits for the disk hears of it.
    pub(super) fn write(&mut self, tape: &Tape, now: Time) {
        if let Self::Disk(disk) = self {
            let _ = disk.writer.commit((tape.head(), tape.digest()), now);
        }
    }
}
