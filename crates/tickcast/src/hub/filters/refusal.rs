//! Reasons to refuse a filter, and the limits.

/// Maximum number of patterns of all filters in use. Every lane compares each pattern with every new symbol.
pub(crate) const MAX_PATTERNS: usize = 10_000;

/// Maximum number of filters that wait to be selected.
pub(in crate::hub) const MAX_WAITING: usize = 4096;

/// Maximum number of comparisons, a pattern with a symbol each, that waiting filters may need. If they need
/// more, another filter is refused. This many comparisons take one or two seconds, unless the patterns are
/// chosen to be slow.
pub(in crate::hub) const MAX_COMPARISONS: usize = 64 << 20;

/// The reason why a filter is refused now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FilterRefusal {
    /// An exhausted budget for patterns.
    #[error(
        "the server is asked for {MAX_PATTERNS} patterns by others, the limit; come back later, or name the symbols"
    )]
    Patterns,
    /// An exhausted budget for filters.
    #[error("the filters of others take {0} bytes, the limit; come back later, or ask for fewer symbols")]
    Bytes(usize),
    /// Too many filters that wait to be selected.
    #[error("{MAX_WAITING} filters wait to be selected, the limit; come back later")]
    Waiting,
    /// Too many comparisons for the filters that wait to be selected.
    #[error(
        "the filters that wait to be selected take {MAX_COMPARISONS} comparisons of a pattern with a symbol, the limit; \
         come back later, or name the symbols"
    )]
    Comparisons,
}
