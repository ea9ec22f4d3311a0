//! Numbers of sources.

/// Number of the source of a tick. The program around the core gives the numbers, and passes them
/// to [`Sequencer::accept`](crate::Sequencer::accept). Contains the number. Default: 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SourceId(pub u16);

impl SourceId {
    /// A source that is not known in this run, for example of a tick from before a restart. The
    /// sources may have been different then.
    pub const UNKNOWN: Self = Self(u16::MAX);
}
