//! The entries of the tape.

use std::time::Duration;

use crate::sse::{FRAME_OVERHEAD, Place};
use crate::{Digest, Frame, Seq, SourceId, Symbol, SymbolId};

/// Memory for one entry in addition to the bytes of its frame.
pub(super) const ENTRY_OVERHEAD: usize = size_of::<std::sync::OnceLock<Entry>>() + FRAME_OVERHEAD;

/// One change of one symbol. Returned by [`Run::entries`](super::Run::entries).
#[derive(Debug, Clone)]
pub struct Entry {
    /// Number of the symbol.
    pub symbol: SymbolId,
    /// Source of the change.
    pub source: SourceId,
    /// Digest of the tape up to and including this entry.
    pub digest: Digest,
    /// Arrival time by the uptime clock, in microseconds.
    arrived_us: u64,
    /// The new tick, or the frame of a removal. The market shares it.
    pub(crate) update: Frame,
}

/// What an entry of the tape records. Returned by [`Entry::kind`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum EntryKind<'a> {
    /// The symbol has this new tick. Contains the encoded tick.
    Tick(&'a Frame),
    /// The symbol was removed from the market.
    Removal,
}

impl Entry {
    /// Makes the entry that follows a tape with this head and this digest. It is a removal if there
    /// is no tick.
    pub(crate) fn after(
        (head, digest): (Seq, Digest),
        (id, symbol, source): (SymbolId, Symbol, SourceId),
        tick: Option<Frame>,
        arrived: Duration,
    ) -> Self {
        let digest = digest.with(&symbol, tick.as_ref().map(Frame::json));
        let place = Place {
            seq: head.next(),
            check: digest.check(),
            source,
        };
        Self {
            symbol: id,
            source,
            digest,
            arrived_us: u64::try_from(arrived.as_micros()).unwrap_or(u64::MAX),
            update: tick.unwrap_or_else(Frame::removal).at(place),
        }
    }

    /// Returns what happened to the symbol.
    #[must_use]
    pub fn kind(&self) -> EntryKind<'_> {
        self.frame().map_or(EntryKind::Removal, EntryKind::Tick)
    }

    /// Returns the new tick, or `None` if the entry is not a tick.
    #[must_use]
    pub fn frame(&self) -> Option<&Frame> {
        Some(&self.update).filter(|update| !update.is_removal())
    }

    /// Returns the arrival time by the uptime clock.
    #[must_use]
    pub const fn arrived(&self) -> Duration {
        Duration::from_micros(self.arrived_us)
    }

    /// Returns the memory for the entry, in bytes.
    pub(super) fn weight(&self) -> usize {
        ENTRY_OVERHEAD + self.update.event().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tape in memory has very many entries, and every reader runs over them.
    #[test]
    fn an_entry_stays_small() {
        assert_eq!(size_of::<Entry>(), 32);
    }
}
