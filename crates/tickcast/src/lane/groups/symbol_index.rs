//! The index from symbols to the groups that want them.

use tickcast_core::SymbolId;

use super::GroupId;
use crate::interest::LaneInterest;

/// The groups that want each symbol. A symbol that no group wants takes 4 bytes.
#[derive(Debug)]
pub(super) struct SymbolIndex {
    /// For each symbol, the place of its list. Place 0 has the empty list.
    places: Vec<u32>,
    lists: Vec<Vec<GroupId>>,
    /// Places whose lists are empty.
    free: Vec<u32>,
    /// The symbols with a list wake the lane.
    interest: LaneInterest,
}

impl Default for SymbolIndex {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            lists: vec![Vec::new()],
            free: Vec::new(),
            interest: LaneInterest::default(),
        }
    }
}

impl SymbolIndex {
    /// Sets where the index notes which symbols have groups. The index must be empty.
    pub(super) fn note_interest(&mut self, interest: LaneInterest) {
        self.interest = interest;
    }

    /// Returns the number of symbols.
    pub(super) const fn symbols(&self) -> usize {
        self.places.len()
    }

    /// Adds symbols that no group wants yet, up to this number of symbols. Makes room for `room`
    /// symbols.
    pub(super) fn extend_to(&mut self, symbols: usize, room: usize) {
        let grown = room.saturating_sub(self.places.len());
        self.places.reserve_exact(grown);
        self.places.resize(symbols, 0);
    }

    /// Returns the groups that want a symbol. Some may no longer exist.
    #[inline]
    pub(super) fn groups(&self, id: SymbolId) -> &[GroupId] {
        &self.lists[self.places[id.index()] as usize]
    }

    /// Adds a group that wants a symbol.
    pub(super) fn add(&mut self, id: SymbolId, group: GroupId) {
        let place = &mut self.places[id.index()];
        if *place == 0 {
            *place = self.free.pop().unwrap_or_else(|| {
                self.lists.push(Vec::new());
                (self.lists.len() - 1) as u32
            });
            self.interest.want(id.index(), true);
        }
        self.lists[*place as usize].push(group);
    }

    /// Keeps only some of the groups that want a symbol.
    pub(super) fn retain(&mut self, id: SymbolId, keep: impl Fn(GroupId) -> bool) {
        self.retain_at(id.index(), keep);
    }

    /// Keeps only some of the groups that want any symbol.
    pub(super) fn retain_all(&mut self, keep: impl Fn(GroupId) -> bool) {
        for index in 0..self.places.len() {
            self.retain_at(index, &keep);
        }
    }

    fn retain_at(&mut self, index: usize, keep: impl Fn(GroupId) -> bool) {
        let place = &mut self.places[index];
        let list = &mut self.lists[*place as usize];
        list.retain(|group| keep(*group));
        if list.is_empty() && *place > 0 {
            *list = Vec::new();
            self.free.push(std::mem::take(place));
            self.interest.want(index, false);
        }
    }

    /// Returns the number of entries in all lists.
    pub(super) fn entries(&self) -> usize {
        self.lists.iter().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use slotmap::SlotMap;
    use tickcast_core::{Price, Symbol, Tick};

    use super::*;

    #[test]
    fn an_index_is_a_set_of_groups_for_each_symbol() {
        let mut rng = fastrand::Rng::with_seed(5);
        let mut keys = SlotMap::<GroupId, ()>::default();
        let groups: Vec<_> = (0..6).map(|_| keys.insert(())).collect();
        let hub = crate::Hub::builder().build();
        for number in 0..200 {
            let symbol = Symbol::new(&format!("S{number}")).unwrap();
            let price = Price::from_units(1, 0).unwrap();
            hub.try_publish(&Tick::new(symbol, price)).unwrap();
        }
        let ids: Vec<_> = hub.log().read(|log| log.market().ids_from(0).collect());
        let (mut index, mut model) = (SymbolIndex::default(), Vec::new());
        for _ in 0..5000 {
            if model.is_empty() || model.len() < ids.len() && rng.u8(..50) == 0 {
                model.push(BTreeSet::new());
                index.extend_to(model.len(), 0);
            }
            let (at, group) = (rng.usize(..model.len()), groups[rng.usize(..6)]);
            let id = ids[at];
            match rng.u8(..10) {
                0..6 if model[at].insert(group) => index.add(id, group),
                6..9 => {
                    model[at].remove(&group);
                    index.retain(id, |other| other != group);
                }
                9 => {
                    model.iter_mut().for_each(|of| _ = of.remove(&group));
                    index.retain_all(|other| other != group);
                }
                _ => {}
            }
            let of = |at: usize| index.groups(ids[at]).iter().copied();
            assert!((0..model.len()).all(|at| of(at).collect::<BTreeSet<_>>() == model[at]));
            assert_eq!(
                index.entries(),
                model.iter().map(BTreeSet::len).sum::<usize>()
            );
        }
        assert!(index.lists.len() <= model.len() + 1);
    }
}
