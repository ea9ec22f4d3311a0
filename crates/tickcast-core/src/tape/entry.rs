//! The entries of the tape.

use std::time::Duration;

use crate::{Digest, Frame, SourceId, Symbol, SymbolId};

/// Memory for one entry in addition to the bytes of its frame: the entry with its place, and the
/// reference count and the lengths of the frame.
pub(super) const ENTRY_OVERHEAD: usize = size_of::<std::sync::OnceLock<Entry>>() + 24;

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
    /// What happened to the symbol.
    pub kind: EntryKind,
}

/// What an entry of the tape records. Field of an [`Entry`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum EntryKind {
    /// The symbol has this new tick. Contains the encoded tick.
    Tick(Frame),
    /// The symbol was removed from the market.
    Removal,
}

impl EntryKind {
    /// Returns the new tick, or `None` if the entry is not a tick.
    #[must_use]
    pub const fn frame(&self) -> Option<&Frame> {
        match self {
            Self::Tick(frame) => Some(frame),
            Self::Removal => None,
        }
    }
}

impl Entry {
    /// Makes the entry that follows a tape with this digest.
    pub(crate) fn after(
        digest: Digest,
        (id, symbol, source): (SymbolId, Symbol, SourceId),
        kind: EntryKind,
        arrived: Duration,
    ) -> Self {
        let digest = digest.with(&symbol, kind.frame().map(Frame::json));
        let arrived_us = u64::try_from(arrived.as_micros()).unwrap_or(u64::MAX);
        Self {
            symbol: id,
            source,
            digest,
            arrived_us,
            kind,
        }
    }

    /// Returns the arrival time by the uptime clock.
    #[must_use]
    pub const fn arrived(&self) -> Duration {
        Duration::from_micros(self.arrived_us)
    }

    /// Returns the memory for the entry, in bytes.
    pub(super) fn weight(&self) -> usize {
        ENTRY_OVERHEAD + self.kind.frame().map_or(0, |frame| frame.event().len())
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
