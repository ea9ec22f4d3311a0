//! A piece of what a reader has yet to be sent, and where it leads.

use tickcast_core::{Seq, SymbolId};

use super::payload::Payload;

/// Most bytes of one piece of catching up: what a reader that stops in the middle of one can pin.
pub(super) const MAX_PAYLOAD_BYTES: usize = 64 << 10;

/// A piece of catching up.
#[derive(Debug, Clone)]
pub(super) struct Rendered {
    pub(super) payload: Payload,
    pub(super) ticks: usize,
    /// Where it leads.
    pub(super) position: StreamPosition,
    /// What it says beyond ticks, to those it is said to.
    pub(super) progress: Option<Progress>,
}

/// Where a reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamPosition {
    /// At the head, wherever that is: it is sent each batch as it comes.
    Head,
    /// Everything up to here was sent.
    Behind(Seq),
    /// In a snapshot that began at `at`, past the name of `after`.
    Snapshot { at: Seq, after: Option<SymbolId> },
    /// In a snapshot that began at `at`, past the symbols that last moved at `reached` or before.
    Opening { at: Seq, reached: Seq },
}

impl StreamPosition {
    /// As a cursor, where the head is at `head`.
    pub(super) const fn seq(self, head: Seq) -> Seq {
        match self {
            Self::Head => head,
            Self::Behind(seq) | Self::Snapshot { at: seq, .. } | Self::Opening { reached: seq, .. } => seq,
        }
    }
}

/// What a step said beyond ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Reset,
    /// The sources' turns up to this one, to someone who came after so many symbols had ticked again.
    Statuses(u64, usize),
    /// What is not live of the symbols that it asks for by now.
    FilterStatuses,
    /// So many symbols that ticked again.
    Revived(usize),
    /// The newest ticks of added symbols, before the so-manieth of the market. Those that had moved since come by themselves, as of this
    /// place.
    Added(usize, Seq),
    Ready,
}
