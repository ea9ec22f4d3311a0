//! Numbers that identify symbols.

/// Number of a symbol within a market. Numbers are given in order of first appearance and are never
/// reused. Returned by [`Market::id`](crate::Market::id).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SymbolId(u32);

impl SymbolId {
    /// Returns the index of this symbol in a list with one entry per symbol.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Returns the number of the symbol at an index in such a list.
    pub(crate) const fn at(index: usize) -> Self {
        Self(index as u32)
    }
}
