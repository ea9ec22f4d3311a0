//! Events between feeds and the hub.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Number of kinds of events.
const KINDS: usize = FeedEventKind::ALL.len();

/// A kind of counted event between a feed and the hub. Pass it to
/// [`FeedReporter::count`](crate::FeedReporter::count) and [`FeedStats::get`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeedEventKind {
    /// A connection that was established. All but the first were reconnections.
    Connects,
    /// A received frame of any kind.
    Frames,
    /// A gap in the feed's own sequence numbers.
    Gaps,
    /// A tick that is missing in such a gap; or a message, if the feed numbers messages.
    Missing,
    /// A dropped tick that was older, by the feed's own sequence numbers, than a tick accepted
    /// before.
    Stragglers,
    /// A dropped tick that arrived a second time.
    Duplicates,
    /// A frame, or a part of a frame, that could not be decoded.
    Errors,
    /// A frame of an unknown kind.
    Unknown,
    /// A tick with an impossible time. The tick was given another time.
    BadTimes,
    /// A price that the feed reported as missing, for example for a symbol without a quote.
    Unquoted,
}

impl FeedEventKind {
    /// All kinds, in order of their declaration.
    pub const ALL: &'static [Self] = &[
        Self::Connects,
        Self::Frames,
        Self::Gaps,
        Self::Missing,
        Self::Stragglers,
        Self::Duplicates,
        Self::Errors,
        Self::Unknown,
        Self::BadTimes,
        Self::Unquoted,
    ];

    /// Returns the name of the kind in `/v1/status` and in metrics: its name in snake case, such as
    /// `bad_times`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connects => "connects",
            Self::Frames => "frames",
            Self::Gaps => "gaps",
            Self::Missing => "missing",
            Self::Stragglers => "stragglers",
            Self::Duplicates => "duplicates",
            Self::Errors => "errors",
            Self::Unknown => "unknown",
            Self::BadTimes => "bad_times",
            Self::Unquoted => "unquoted",
        }
    }
}

/// The event counters of a feed. Field of [`SourceStats`](super::SourceStats). All are zero for a
/// source that is not a feed, and by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeedStats([u64; KINDS]);

impl FeedStats {
    /// Returns the number of events of this kind since the start of the hub.
    #[must_use]
    pub const fn get(&self, count: FeedEventKind) -> u64 {
        self.0[count as usize]
    }

    /// Returns the number of events of each kind.
    pub fn iter(&self) -> impl Iterator<Item = (FeedEventKind, u64)> {
        FeedEventKind::ALL.iter().copied().zip(self.0)
    }

    /// Checks whether any event was counted.
    #[must_use]
    pub fn any(&self) -> bool {
        self.0.iter().any(|count| *count > 0)
    }
}

/// The event counters of one source, counted while others read.
#[derive(Debug, Default)]
pub(super) struct FeedCounters([AtomicU64; KINDS]);

impl FeedCounters {
    pub(super) fn count(&self, kind: FeedEventKind, times: u64) {
        self.0[kind as usize].fetch_add(times, Relaxed);
    }

    pub(super) fn stats(&self) -> FeedStats {
        FeedStats(std::array::from_fn(|i| self.0[i].load(Relaxed)))
    }
}
