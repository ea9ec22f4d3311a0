//! Some symbols of a market.

use crate::SymbolId;

/// More symbols than this are a bitmap: 12.5 KB for a market of 100,000, however many of them there are.
pub(super) const MAX_LISTED: usize = 1024;

/// Some symbols of a market, in order of first appearance.
#[derive(Debug, Clone)]
pub struct SymbolSet(Representation);

#[derive(Debug, Clone)]
enum Representation {
    /// Few, ascending.
    Few(Vec<SymbolId>),
    /// Many, as a bit each, and how many there are.
    Many(Vec<u64>, usize),
}

impl SymbolSet {
    /// None. It takes no memory.
    #[must_use]
    pub const fn new() -> Self {
        Self(Representation::Few(Vec::new()))
    }

    /// Adds a symbol; returns whether it was not there. Those that come in order cost nothing to speak of.
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
                let fresh = set(bits, id);
                *count += usize::from(fresh);
                fresh
            }
        }
    }

    /// Whether a symbol is among them.
    #[must_use]
    pub fn contains(&self, id: SymbolId) -> bool {
        match &self.0 {
            Representation::Few(ids) => ids.binary_search(&id).is_ok(),
            Representation::Many(bits, _) => {
                bits.get(id.index() / 64).is_some_and(|word| word >> (id.index() % 64) & 1 == 1)
            }
        }
    }

    /// How many they are.
    #[must_use]
    pub const fn len(&self) -> usize {
        match &self.0 {
            Representation::Few(ids) => ids.len(),
            Representation::Many(_, count) => *count,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether they are so many that they are not listed.
    #[must_use]
    pub const fn is_wide(&self) -> bool {
        matches!(self.0, Representation::Many(..))
    }

    /// They all, in order of first appearance.
    pub fn ids(&self) -> impl Iterator<Item = SymbolId> + '_ {
        self.ids_from(0)
    }

    /// Those from the `from`-th symbol of the market on.
    pub fn ids_from(&self, from: usize) -> impl Iterator<Item = SymbolId> + '_ {
        let (few, many) = match &self.0 {
            Representation::Few(ids) => (&ids[ids.partition_point(|id| id.index() < from)..], &[][..]),
            Representation::Many(bits, _) => (&[][..], bits.as_slice()),
        };
        let words = many.iter().enumerate().skip(from / 64).flat_map(move |(word, bits)| {
            let mut left = if word == from / 64 { bits & (u64::MAX << (from % 64)) } else { *bits };
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.wrapping_sub(1);
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

/// Sets a bit; returns whether it was not set.
fn set(bits: &mut Vec<u64>, id: SymbolId) -> bool {
    let (word, bit) = (id.index() / 64, 1 << (id.index() % 64));
    if word >= bits.len() {
        bits.resize(word + 1, 0);
    }
    let fresh = bits[word] & bit == 0;
    bits[word] |= bit;
    fresh
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_set_in_order(
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
