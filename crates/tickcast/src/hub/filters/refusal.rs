//! Why a filter is not taken, and the bounds.

/// Most patterns of all filters that are in use: each is held against every new symbol, in every lane.
pub(crate) const MAX_PATTERNS: usize = 10_000;

/// Most filters that wait to be selected.
pub(in crate::hub) const MAX_WAITING: usize = 4096;

/// A filter may wait as long as all that wait take no more comparisons than this, a pattern with a symbol each: a second or two, unless
/// they are chosen to take long.
pub(in crate::hub) const MAX_COMPARISONS: usize = 64 << 20;

/// Why a filter is not taken now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FilterRefusal {
    /// The budget for patterns is used up.
    #[error(
        "the server is asked for {MAX_PATTERNS} patterns by others, the limit; come back later, or name the symbols"
    )]
    Patterns,
    /// The budget for filters is used up.
    #[error("the filters of others take {0} bytes, the limit; come back later, or ask for fewer symbols")]
    Bytes(usize),
    /// Too many filters wait to be selected.
    #[error("{MAX_WAITING} filters wait to be selected, the limit; come back later")]
    Waiting,
    /// Those that wait are too long at it.
    #[error(
        "the filters that wait to be selected take {MAX_COMPARISONS} comparisons of a pattern with a symbol, the limit; \
         come back later, or name the symbols"
    )]
    Comparisons,
}
