//! Reasons why a stream cannot be prepared, and the limits.

/// Maximum number of names and patterns of all prepared streams together: about 32 MB.
pub(crate) const MAX_ENTRIES: usize = 1_000_000;

/// Maximum number of prepared streams of one subject.
pub(crate) const MAX_PER_SUBJECT: usize = 100;

/// Reason why a stream cannot be prepared now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotPrepared {
    #[error("the server has {0} prepared streams, which is the limit")]
    Streams(usize),
    #[error("the prepared streams have {MAX_ENTRIES} names and patterns, which is the limit")]
    Entries,
    #[error("you have {MAX_PER_SUBJECT} prepared streams, which is the limit")]
    Subject,
}
