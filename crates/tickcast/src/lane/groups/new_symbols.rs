//! Symbols that come to the market, and the groups that may want them.

use std::cmp::Reverse;

use tickcast_core::Market;

use super::{GroupId, Groups, Key};

/// So many comparisons of patterns with new symbols are made in one go: some milliseconds, where they are chosen to take long.
pub(crate) const COMPARISONS: usize = 20_000;

/// What it costs to make a filter's patterns ready for that, in symbols that each is held against.
const MAKING_READY: usize = 4;

impl Groups {
    /// Enters the symbols that came to `market` since into the index, for those who named them or want all. Groups with patterns are
    /// behind from now on.
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
        // Those with few patterns do not wait for those with many.
        behind.sort_unstable_by_key(|number| Reverse(self.groups[*number].selection.filter().patterns()));
        self.behind = behind;
    }

    /// A group has yet to look at some symbols: those with few patterns do not wait for it.
    pub(super) fn defer_matching(&mut self, number: GroupId) {
        let patterns =
            |number: GroupId| self.groups.get(number).map_or(0, |group| group.selection.filter().patterns());
        let at = self.behind.partition_point(|other| patterns(*other) >= patterns(number));
        self.behind.insert(at, number);
    }

    /// Whether some groups have yet to look at symbols that are new.
    pub(in crate::lane) const fn are_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// Whether a group has yet to do so.
    pub(in crate::lane) fn is_behind(&self, id: GroupId) -> bool {
        let selection = &self.groups[id].selection;
        selection.filter().has_patterns() && selection.seen() < self.by_symbol.len()
    }

    /// The members of the groups that have yet to do so.
    pub(in crate::lane) fn held_back(&self) -> impl Iterator<Item = Key> + '_ {
        let behind = self.behind.iter().filter_map(|number| self.groups.get(*number));
        behind.flat_map(|group| group.members.iter().copied())
    }

    /// Holds new symbols against patterns, as many as nobody has to wait for. Returns the groups that have looked at all of them.
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

    /// Has a group look at all symbols that are new to it, now.
    pub(in crate::lane) fn complete(&mut self, number: GroupId, market: &Market) {
        if self.is_behind(number) {
            self.extend(number, market, usize::MAX);
            self.behind.retain(|other| *other != number);
        }
    }

    /// Enters symbols that came to `market` since a group with patterns last looked, so many at the most; says how many it looked at.
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
            // It has become so many: from now on it is asked.
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
