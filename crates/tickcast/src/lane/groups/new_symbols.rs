//! Compares new symbols with the filters of groups.

use std::cmp::Reverse;

use tickcast_core::Market;

use super::{GroupId, Groups, Key};

/// Cost to prepare the patterns of a filter for comparisons. The unit is the cost of the comparison with one
/// symbol.
const MAKING_READY: usize = 4;

impl Groups {
    /// Adds new symbols of `market` to the index, for groups that name them and for groups that want all
    /// symbols. Groups with other patterns are behind from now on.
    pub(in crate::lane) fn match_new_symbols(&mut self, market: &Market) {
        let known = self.by_symbol.len();
        if known == market.len() {
            return;
        }
        self.by_symbol.resize(market.len(), Vec::new());
        for id in market.ids_from(known) {
            let named = self.awaiting.remove(&market.symbol(id)).unwrap_or_default();
            for number in named {
                if let Some(group) = self.groups.get_mut(number) {
                    group.selection.add(id);
                    self.by_symbol[id.index()].push(number);
                }
            }
        }
        let mut behind: Vec<_> = self.with_patterns.iter().copied().collect();
        behind.retain(|number| {
            let all = self.groups[*number].selection.filter().is_all();
            if all {
                self.groups[*number].selection.extend(market, usize::MAX, |_| {});
            }
            !all
        });
        // Groups with few patterns do not wait for groups with many patterns.
        behind.sort_unstable_by_key(|number| Reverse(self.groups[*number].selection.filter().patterns()));
        self.behind = behind;
    }

    /// Adds a group to the groups that are behind. Groups with fewer patterns do not wait for this group.
    pub(super) fn defer_matching(&mut self, number: GroupId) {
        let patterns =
            |number: GroupId| self.groups.get(number).map_or(0, |group| group.selection.filter().patterns());
        let at = self.behind.partition_point(|other| patterns(*other) >= patterns(number));
        self.behind.insert(at, number);
    }

    /// Checks whether any group has not been compared with all new symbols.
    pub(in crate::lane) const fn are_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// Checks whether this group has not been compared with all new symbols.
    pub(in crate::lane) fn is_behind(&self, id: GroupId) -> bool {
        let selection = &self.groups[id].selection;
        selection.filter().has_patterns() && selection.seen() < self.by_symbol.len()
    }

    /// Returns the members of all groups that are behind.
    pub(in crate::lane) fn held_back(&self) -> impl Iterator<Item = Key> + '_ {
        let behind = self.behind.iter().filter_map(|number| self.groups.get(*number));
        behind.flat_map(|group| group.members.iter().copied())
    }

    /// Compares new symbols with patterns, within the maximum number of comparisons. Returns the groups that
    /// have been compared with all new symbols.
    pub(in crate::lane) fn match_deferred(&mut self, market: &Market) -> Vec<GroupId> {
        let (mut left, mut done) = (self.comparisons, Vec::new());
        while left > 0
            && let Some(number) = self.behind.last().copied()
        {
            if let Some(group) = self.groups.get(number) {
                let patterns = group.selection.filter().patterns();
                let looked = self.extend(number, market, left.div_ceil(patterns));
                left = left.saturating_sub((looked + MAKING_READY) * patterns);
                if self.is_behind(number) {
                    continue;
                }
                done.push(number);
            }
            self.behind.pop();
        }
        done
    }

    /// Compares a group with all of its new symbols at once.
    pub(in crate::lane) fn complete(&mut self, number: GroupId, market: &Market) {
        if self.is_behind(number) {
            self.extend(number, market, usize::MAX);
            self.behind.retain(|other| *other != number);
        }
    }

    /// Compares a group with at most `most` new symbols and adds the matches to the index. Returns the number
    /// of compared symbols.
    fn extend(&mut self, number: GroupId, market: &Market, most: usize) -> usize {
        let group = &mut self.groups[number];
        let listed = group.wide_at.is_none();
        let looked = group.selection.extend(market, most, |id| {
            if listed {
                self.by_symbol[id.index()].push(number);
                self.entries += 1;
            }
        });
        if listed && group.selection.is_wide() {
            // The group now wants so many symbols that it moves to the list of wide groups.
            group.wide_at = Some(self.wide.len());
            self.wide.push(number);
            for id in group.selection.ids() {
                self.by_symbol[id.index()].retain(|other| *other != number);
                self.entries = self.entries.saturating_sub(1);
            }
        }
        looked
    }
}
