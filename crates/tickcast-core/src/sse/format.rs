//! The format of the events: simple or resumable.

use super::fields::finish;
use crate::{Cursor, Epoch, EventId, FilterHash, Frame, Notice, Position, Symbol};

/// Format of the events. Pass it to the functions of [`render`](super::render).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventFormat {
    /// The simple stream: the id of an event is the symbol.
    Simple,
    /// The resumable stream: the id of an event is the cursor. If the stream was changed, the hash
    /// of its filter follows. Contains the epoch of the tape, and the hash.
    Resumable(Epoch, Option<FilterHash>),
}

impl EventFormat {
    /// Returns the format in which ids also name the filter of the stream. The simple format has no
    /// such ids and stays as it is.
    #[must_use]
    pub const fn with_filter(self, filter: FilterHash) -> Self {
        match self {
            Self::Simple => Self::Simple,
            Self::Resumable(epoch, _) => Self::Resumable(epoch, Some(filter)),
        }
    }

    /// Returns the id of events that end at a position, if the id is a cursor.
    #[must_use]
    pub fn id(self, at: Option<Position>) -> Option<EventId> {
        match self {
            Self::Simple => None,
            Self::Resumable(epoch, filter) => at.map(|position| EventId {
                cursor: Cursor { epoch, position },
                filter,
            }),
        }
    }

    /// Appends one tick. If the position is not known any more, the event has no id, and the reader
    /// keeps its last cursor.
    #[inline]
    pub fn tick(self, at: Option<Position>, frame: &Frame, out: &mut Vec<u8>) {
        match self {
            Self::Simple => out.extend_from_slice(frame.event()),
            Self::Resumable(..) => self.resumable_tick(at, frame, out),
        }
    }

    fn resumable_tick(self, at: Option<Position>, frame: &Frame, out: &mut Vec<u8>) {
        out.extend_from_slice(frame.without_id());
        finish(self.id(at), out);
    }

    /// Appends the removal of `symbol` if the format contains removals. Returns whether the format
    /// does.
    pub fn gone(self, at: Option<Position>, symbol: Symbol, out: &mut Vec<u8>) -> bool {
        let included = self != Self::Simple;
        if included {
            Notice::Gone(symbol).write(self.id(at), out);
        }
        included
    }

    /// Appends the newest tick, or the removal of `symbol` if there is no tick. Returns whether
    /// anything was appended.
    #[inline]
    pub fn entry(
        self,
        at: Option<Position>,
        frame: Option<&Frame>,
        symbol: impl FnOnce() -> Symbol,
        out: &mut Vec<u8>,
    ) -> bool {
        match frame {
            Some(frame) => self.tick(at, frame, out),
            None => return self.gone(at, symbol(), out),
        }
        true
    }
}
