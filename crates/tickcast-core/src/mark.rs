//! Positions in the order of all changes of a sequencer.

/// A position in the order of all changes of a [`Sequencer`](crate::Sequencer) that is ahead of its
/// readers. Returned by [`Sequencer::mark`](crate::Sequencer::mark).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub(crate) u64);
