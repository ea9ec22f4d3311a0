//! Streams that were told to come back later, by reason.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Reason why a stream was told to come back later. See [`HubStats::streams_refused`].
///
/// [`HubStats::streams_refused`]: super::HubStats::streams_refused
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusedStream {
    /// The hub is [overloaded](crate::OverloadStep).
    Overload,
    /// There are as many connections as allowed.
    Connections,
    /// There is no room for the filter.
    Filter,
    /// The subject of the viewer has as many streams as allowed.
    Subject,
    /// The address of the client has as many streams as allowed.
    Address,
    /// The address of the client has opened as many streams in this second as allowed.
    Opens,
    /// The prepared stream has as many readers as allowed.
    Readers,
}

/// All reasons, with their names.
const REASONS: [(RefusedStream, &str); 7] = [
    (RefusedStream::Overload, "overload"),
    (RefusedStream::Connections, "connections"),
    (RefusedStream::Filter, "filter"),
    (RefusedStream::Subject, "subject"),
    (RefusedStream::Address, "address"),
    (RefusedStream::Opens, "opens"),
    (RefusedStream::Readers, "readers"),
];

impl RefusedStream {
    /// Returns the name of the reason, such as `overload`.
    #[must_use]
    pub fn name(self) -> &'static str {
        REASONS[self as usize].1
    }
}

/// The counters of all reasons. The markets of a hub share them.
#[derive(Debug, Default)]
pub(crate) struct RefusedStreams([AtomicU64; REASONS.len()]);

impl RefusedStreams {
    pub(crate) fn count(&self, reason: RefusedStream) {
        self.0[reason as usize].fetch_add(1, Relaxed);
    }

    /// Returns the number of each reason.
    pub(crate) fn all(&self) -> Vec<(RefusedStream, u64)> {
        let counts = self.0.iter().map(|count| count.load(Relaxed));
        let reasons = REASONS.into_iter().map(|(reason, _)| reason);
        reasons.zip(counts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_place() {
        let refused = RefusedStreams::default();
        for (reason, _) in REASONS {
            refused.count(reason);
            assert_eq!(REASONS[reason as usize].0, reason);
        }
        refused.count(RefusedStream::Opens);
        let counts: Vec<_> = refused.all().into_iter().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 1, 1, 1, 1, 2, 1]);
        assert_eq!(RefusedStream::Opens.name(), "opens");
    }
}
