//! Sets of symbols of a market.

use crate::SymbolId;

/// Maximum number of symbols that are stored as a list. Larger sets are a bitmap: 12.5 KB for a
/// market of 100,000 symbols, whatever the size of the set.
pub(super) const MAX_LISTED: usize = 1024;

/// A set of symbols of one market, in order of first appearance. Made by [`SymbolSet::new`] or
/// `collect`. Up to 1,024 symbols are stored as a list, more as a bitmap. Default: empty.
#[derive(Debug, Clone)]
pub struct SymbolSet(Representation);

#[derive(Debug, Clone)]
enum Representation {
    /// A small set: a sorted list.
    Few(Vec<SymbolId>),
    /// A large set: one bit per symbol, and the number of symbols in the set.
    Many(Vec<u64>, usize),
}

impl SymbolSet {
    /// Makes an empty set. An empty set allocates no memory.
    #[must_use]
    pub const fn new() -> Self {
        Self(Representation::Few(Vec::new()))
    }

    /// Adds a symbol and returns whether the symbol was new. Adding symbols in order is cheap.
    pub fn insert(&mut self, id: SymbolId) -> bool {
        match &mut self.0 {
            Representation::Few(ids) => {
                let at = match ids.last() {
                    Some(last) if *last >= id => ids.binary_search(&id),
                    _ => Err(ids.len()),
                };
                let Err(at) = at else { return false };
                ids.insert(at, id);
                if ids.len() > MAX_LISTED {
                    let (mut bits, count) = (Vec::new(), ids.len());
                    ids.iter().for_each(|id| _ = set(&mut bits, *id));
                    self.0 = Representation::Many(bits, count);
                }
                true
            }
            Representation::Many(bits, count) => {
                let inserted = set(bits, id);
                *count += usize::from(inserted);
                inserted
            }
        }
    }

    /// Checks whether the set contains the symbol.
    #[must_use]
    pub fn contains(&self, id: SymbolId) -> bool {
        match &self.0 {
            Representation::Few(ids) => ids.binary_search(&id).is_ok(),
            Representation::Many(bits, _) => bits
                .get(id.index() / 64)
                .is_some_and(|word| word >> (id.index() % 64) & 1 == 1),
        }
    }

    /// Returns the number of symbols in the set.
    #[must_use]
    pub const fn len(&self) -> usize {
        match &self.0 {
            Representation::Few(ids) => ids.len(),
            Representation::Many(_, count) => *count,
        }
    }

    /// Checks whether the set is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks whether the set is stored as a bitmap and not as a list. A set of more than 1,024
    /// symbols becomes a bitmap.
    #[must_use]
    pub const fn is_wide(&self) -> bool {
        matches!(self.0, Representation::Many(..))
    }

    /// Returns all symbols of the set, in order of first appearance.
    pub fn ids(&self) -> impl Iterator<Item = SymbolId> + '_ {
        self.ids_from(0)
    }

    /// Returns the symbols of the set whose index in the market is `from` or higher.
    pub fn ids_from(&self, from: usize) -> impl Iterator<Item = SymbolId> + '_ {
        let (few, many) = match &self.0 {
            Representation::Few(ids) => {
                (&ids[ids.partition_point(|id| id.index() < from)..], &[][..])
            }
            Representation::Many(bits, _) => (&[][..], bits.as_slice()),
        };
        let words = many
            .iter()
            .enumerate()
            .skip(from / 64)
            .flat_map(move |(word, bits)| {
                let mut remaining = if word == from / 64 {
                    bits & (u64::MAX << (from % 64))
                } else {
                    *bits
                };
                std::iter::from_fn(move || {
                    let bit = remaining.trailing_zeros();
                    remaining &= remaining.wrapping_sub(1);
                    (bit < 64).then(|| SymbolId::at(word * 64 + bit as usize))
                })
            });
        few.iter().copied().chain(words)
    }
}

impl Default for SymbolSet {
    fn default() -> Self {
        Self::new()
    }
}

impl Extend<SymbolId> for SymbolSet {
    fn extend<T: IntoIterator<Item = SymbolId>>(&mut self, ids: T) {
        ids.into_iter().for_each(|id| _ = self.insert(id));
    }
}

impl FromIterator<SymbolId> for SymbolSet {
    fn from_iter<T: IntoIterator<Item = SymbolId>>(ids: T) -> Self {
        let mut set = Self::new();
        set.extend(ids);
        set
    }
}

/// Sets a bit and returns whether the bit was not set before.
fn set(bits: &mut Vec<u64>, id: SymbolId) -> bool {
    let (word, bit) = (id.index() / 64, 1 << (id.index() % 64));
    if word >= bits.len() {
        bits.resize(word + 1, 0);
    }
    let inserted = bits[word] & bit == 0;
    bits[word] |= bit;
    inserted
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_symbol_set_is_a_sorted_set(
            indices in prop::collection::vec(0usize..5000, 0..3000), from in 0usize..5100,
        ) {
            let (mut set, mut model) = (SymbolSet::new(), BTreeSet::new());
            for index in &indices {
                prop_assert_eq!(set.insert(SymbolId::at(*index)), model.insert(*index));
            }
            prop_assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
            prop_assert_eq!(set.is_wide(), model.len() > MAX_LISTED);
            let ids: Vec<_> = set.ids_from(from).map(SymbolId::index).collect();
            prop_assert_eq!(ids, model.range(from..).copied().collect::<Vec<_>>());
            prop_assert!((0..5000).all(|index| set.contains(SymbolId::at(index)) == model.contains(&index)));
        }
    }
}
