//! Rendered payloads, and the positions of streams before and after them.

use tickcast_core::{Seq, SymbolId};

use super::payload::Payload;

/// Maximum size of one payload of a stream that catches up, in bytes. A reader that stops in the
/// middle of a payload can keep at most this many bytes in memory.
pub(super) const MAX_PAYLOAD_BYTES: usize = 64 << 10;

/// A rendered payload for a stream that catches up.
#[derive(Debug, Clone)]
pub(super) struct Rendered {
    pub(super) payload: Payload,
    pub(super) ticks: usize,
    /// The position of the stream after the payload.
    pub(super) position: StreamPosition,
    /// The progress of the session besides ticks, for streams that have a session.
    pub(super) progress: Option<Progress>,
}

impl Rendered {
    /// Checks whether the payload has the statuses of sources and symbols.
    pub(super) const fn is_of_statuses(&self) -> bool {
        matches!(
            self.progress,
            Some(Progress::Statuses(..) | Progress::FilterStatuses(..))
        )
    }
}

/// The position of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamPosition {
    /// At the head. The stream is sent each new batch of its group, and was sent everything before
    /// the current one.
    Head,
    /// Behind the head. Everything up to this sequence number was sent.
    Behind(Seq),
    /// In a snapshot that began at `at` and is ordered by name. Symbols up to `after` were sent.
    Snapshot { at: Seq, after: Option<SymbolId> },
    /// In a snapshot that began at `at` and is ordered by update. Symbols that were last updated at
    /// or before `reached` were sent.
    Opening { at: Seq, reached: Seq },
}

impl StreamPosition {
    /// Returns the position as a sequence number, if the streams at the head of its group are at
    /// `head`.
    pub(super) const fn seq(self, head: Seq) -> Seq {
        match self {
            Self::Head => head,
            Self::Behind(seq)
            | Self::Snapshot { at: seq, .. }
            | Self::Opening { reached: seq, .. } => seq,
        }
    }
}

/// The progress of a session besides ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Reset,
    /// The status changes up to this version. The second number is the number of changes of restored
    /// symbols at that time, which counts for a new stream. The last value says whether the states of
    /// single symbols were sent.
    Statuses(u64, usize, bool),
    /// The symbols of a changed filter that are not live: those with changes up to this version, and
    /// whether they were sent singly.
    FilterStatuses(u64, bool),
    /// The first changes of restored symbols, up to this number.
    Restored(usize),
    /// The newest ticks of added symbols whose index in the market is below the number. Symbols
    /// that were updated later are sent as normal ticks, as of this sequence number.
    Added(usize, Seq),
    Ready,
}
