//! Compares new symbols with the filters of groups.

use std::cmp::Reverse;

use tickcast_core::Market;

use super::{GroupId, Groups, Key};

/// Cost to prepare the patterns of a filter for comparisons. The unit is the cost of the comparison
/// with one symbol.
const PREPARATION_COST: usize = 4;

impl Groups {
    /// Adds new symbols of `market` to the index, for groups that name them and for groups that
    /// want all symbols. Groups with other patterns are behind from now on.
    pub(in crate::lane) fn match_new_symbols(&mut self, market: &Market) {
        let known = self.by_symbol.symbols();
        if known == market.len() {
            return;
        }
        self.by_symbol.extend_to(market.len(), market.room());
        for id in market.ids_from(known) {
            let waiting = self.awaiting.remove(&market.symbol(id)).unwrap_or_default();
            for group_id in waiting {
                if let Some(group) = self.groups.get_mut(group_id) {
                    group.selection.add(id);
                    self.by_symbol.add(id, group_id);
                }
            }
        }
        let mut behind: Vec<_> = self.with_patterns.iter().copied().collect();
        behind.retain(|group_id| {
            let all = self.groups[*group_id].selection.filter().is_all();
            if all {
                self.groups[*group_id]
                    .selection
                    .extend(market, usize::MAX, |_| {});
            }
            !all
        });
        // Groups with few patterns do not wait for groups with many patterns.
        behind.sort_unstable_by_key(|group_id| {
            Reverse(self.groups[*group_id].selection.filter().patterns())
        });
        self.behind = behind;
    }

    /// Adds a group to the groups that are behind. Groups with fewer patterns do not wait for this
    /// group.
    pub(super) fn defer_matching(&mut self, group_id: GroupId) {
        let patterns = |group_id: GroupId| {
            self.groups
                .get(group_id)
                .map_or(0, |group| group.selection.filter().patterns())
        };
        let at = self
            .behind
            .partition_point(|other| patterns(*other) >= patterns(group_id));
        self.behind.insert(at, group_id);
    }

    /// Checks whether any group has not been compared with all new symbols.
    pub(in crate::lane) const fn are_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// Checks whether this group has not been compared with all new symbols.
    pub(in crate::lane) fn is_behind(&self, id: GroupId) -> bool {
        let selection = &self.groups[id].selection;
        selection.filter().has_patterns() && selection.seen() < self.by_symbol.symbols()
    }

    /// Returns the members of all groups that are behind.
    pub(in crate::lane) fn held_back(&self) -> impl Iterator<Item = Key> + '_ {
        let behind = self
            .behind
            .iter()
            .filter_map(|group_id| self.groups.get(*group_id));
        behind.flat_map(|group| group.members.iter().copied())
    }

    /// Compares new symbols with patterns, within the maximum number of comparisons. Returns the
    /// groups that have been compared with all new symbols.
    pub(in crate::lane) fn match_deferred(&mut self, market: &Market) -> Vec<GroupId> {
        let (mut remaining, mut caught_up) = (self.comparisons, Vec::new());
        while remaining > 0
            && let Some(group_id) = self.behind.last().copied()
        {
            if let Some(group) = self.groups.get(group_id) {
                let patterns = group.selection.filter().patterns();
                let compared = self.extend(group_id, market, remaining.div_ceil(patterns));
                remaining = remaining.saturating_sub((compared + PREPARATION_COST) * patterns);
                if self.is_behind(group_id) {
                    continue;
                }
                caught_up.push(group_id);
            }
            self.behind.pop();
        }
        caught_up
    }

    /// Compares a group with all of its new symbols at once. Returns whether there were any: the other
    /// members of the group have not been sent the ticks of these symbols.
    #[must_use]
    pub(in crate::lane) fn complete(&mut self, group_id: GroupId, market: &Market) -> bool {
        let was_behind = self.is_behind(group_id);
        if was_behind {
            self.extend(group_id, market, usize::MAX);
            self.behind.retain(|other| *other != group_id);
        }
        was_behind
    }

    /// Compares a group with at most `max` new symbols and adds the matches to the index. Returns
    /// the number of compared symbols.
    fn extend(&mut self, group_id: GroupId, market: &Market, max: usize) -> usize {
        let group = &mut self.groups[group_id];
        let indexed = group.wide_at.is_none();
        let compared = group.selection.extend(market, max, |id| {
            if indexed {
                self.by_symbol.add(id, group_id);
                self.entries += 1;
            }
        });
        if indexed && group.selection.is_wide() {
            // The group now wants so many symbols that it moves to the list of wide groups.
            group.wide_at = Some(self.wide.len());
            self.wide.push(group_id);
            for id in group.selection.ids() {
                self.by_symbol.retain(id, |other| other != group_id);
                self.entries = self.entries.saturating_sub(1);
            }
        }
        compared
    }
}
