//! Numbers of symbols.

use crate::Symbol;

/// A symbol's number within a market: given out in order of first appearance, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SymbolId(u32);

impl SymbolId {
    /// As a position in a list with one place a symbol.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// That of the symbol at a position in such a list.
    pub(crate) const fn at(index: usize) -> Self {
        Self(index as u32)
    }

    /// The numbers of the first symbols of a market.
    pub(crate) fn all(symbols: &[Symbol]) -> impl Iterator<Item = (Self, &Symbol)> {
        (0..).map(Self).zip(symbols)
    }
}
