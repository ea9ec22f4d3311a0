//! Reasons to refuse a filter, and the limits.

/// Maximum number of patterns of all filters in use. Every lane compares each pattern with every
/// new symbol.
pub(crate) const MAX_PATTERNS: usize = 10_000;

/// Maximum number of filters that wait to be selected.
pub(in crate::hub) const MAX_WAITING: usize = 4096;

/// Maximum number of comparisons, a pattern with a symbol each, that waiting filters may need. If
/// they need more, another filter is refused. This many comparisons take one or two seconds, unless
/// the patterns are chosen to be slow.
pub(in crate::hub) const MAX_COMPARISONS: usize = 64 << 20;

/// The reason why a filter is refused now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FilterRefusal {
    /// An exhausted budget for patterns.
    #[error(
        "other clients use {MAX_PATTERNS} patterns, which is the limit; try again later, or list the symbols"
    )]
    Patterns,
    /// An exhausted budget for filters.
    #[error(
        "the filters of other clients take {0} bytes, which is the limit; try again later, or request fewer symbols"
    )]
    Bytes(usize),
    /// Too many filters that wait to be selected.
    #[error("{MAX_WAITING} filters wait for selection, which is the limit; try again later")]
    Waiting,
    /// Too many comparisons for the filters that wait to be selected.
    #[error(
        "the filters that wait for selection need {MAX_COMPARISONS} comparisons of a pattern with a symbol, which is \
         the limit; try again later, or list the symbols"
    )]
    Comparisons,
}
