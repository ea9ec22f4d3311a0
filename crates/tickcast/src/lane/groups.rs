//! Groups of streams with the same filter, which share one rendering, and the indexes from symbols
//! to groups.

mod batch;
mod new_symbols;
mod render;
mod request;
mod slot;
mod symbol_index;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use slotmap::SlotMap;
use tickcast_core::sse::EventFormat;
use tickcast_core::{Filter, Market, Selection, Seq, Symbol, SymbolId, SymbolSet};

use super::Key;
use super::payload::{Payload, PayloadBuilder};
use super::update_orders::UpdateOrders;
use crate::hub::PreparedFilter;
use crate::interest::LaneInterest;
pub(super) use batch::{Batch, TAPE_PER_BATCHES, TakenBatch};
use request::Request;
pub(super) use slot::{GroupId, GroupSlot};
use symbol_index::SymbolIndex;

use super::rendered::Rendered;

/// Maximum number of comparisons of patterns with new symbols in one call. They take some
/// milliseconds if the patterns are chosen to be slow.
pub(crate) const COMPARISONS: usize = 20_000;

/// Maximum number of rendered payloads that are remembered.
const MAX_REMEMBERED: usize = 8;

/// Minimum number of index entries of removed groups that makes a sweep worthwhile.
const MAX_STALE_ENTRIES: usize = 4096;

/// The streams with the same filter.
struct Group {
    selection: Selection,
    /// The charge of the filter, held as long as the group exists.
    prepared: Option<Arc<PreparedFilter>>,
    /// Index in the list of wide groups, if the group is wide.
    wide_at: Option<usize>,
    format: EventFormat,
    members: Vec<Key>,
    /// Number of members with a rate. They do not use batches.
    rated: usize,
    /// The batch that the members at the head have not been sent yet, and the number of its ticks.
    batch: PayloadBuilder,
    ticks: usize,
    /// The position before the batch, if there are ticks.
    before_batch: Seq,
    /// Whether the members are visited when they have been sent the batch.
    visited_after_batch: bool,
    /// Whether the batch exceeded its maximum size.
    overflowed: bool,
    /// Whether no member used the last batch. If so, the next batch is made only if a member needs
    /// it.
    unused_batches: bool,
    /// Size of the last batch, in bytes. The next batch will have a similar size.
    typical_bytes: usize,
}

/// All groups of a lane, and the indexes from symbols to groups.
pub(super) struct Groups {
    groups: SlotMap<GroupId, Group>,
    by_filter: HashMap<(Filter, EventFormat), GroupId>,
    /// Groups that want few symbols, by [`SymbolId`].
    by_symbol: SymbolIndex,
    /// Groups that want many symbols. Each of them is checked for each tick.
    wide: Vec<GroupId>,
    /// Groups that name a symbol that is not on the market yet.
    awaiting: HashMap<Symbol, Vec<GroupId>>,
    /// Groups with patterns, which a new symbol may match.
    with_patterns: HashSet<GroupId>,
    /// Groups that have not been compared with all new symbols; the next group is last. Until then,
    /// the set of symbols that such a group wants is incomplete.
    behind: Vec<GroupId>,
    /// Number of bytes that all batches together may still add.
    free_batch_bytes: usize,
    /// Maximum number of comparisons in one call.
    comparisons: usize,
    /// Number of entries in the two indexes, and the maximum number of entries of removed groups
    /// among them.
    entries: usize,
    stale: usize,
    /// The last rendered payloads, newest last. They are shared when many readers reconnect at
    /// once.
    memos: VecDeque<(Request, Rendered)>,
    /// The order in which symbols were updated, for groups that want many symbols.
    update_orders: Arc<UpdateOrders>,
}

impl Groups {
    /// Creates an empty set of groups. All batches together have at most `max_batch_bytes` bytes at
    /// a time.
    pub(super) fn new(max_batch_bytes: usize) -> Self {
        Self::comparing(COMPARISONS, max_batch_bytes)
    }

    /// Creates an empty set of groups with a maximum number of comparisons in one call.
    pub(super) fn comparing(comparisons: usize, max_batch_bytes: usize) -> Self {
        Self {
            groups: SlotMap::default(),
            by_filter: HashMap::new(),
            by_symbol: SymbolIndex::default(),
            wide: Vec::new(),
            awaiting: HashMap::new(),
            with_patterns: HashSet::new(),
            behind: Vec::new(),
            free_batch_bytes: max_batch_bytes,
            comparisons,
            entries: 0,
            stale: 0,
            memos: VecDeque::new(),
            update_orders: Arc::default(),
        }
    }

    /// Sets where the groups note which symbols they want.
    pub(super) fn note_interest(&mut self, interest: LaneInterest) {
        self.by_symbol.note_interest(interest);
    }

    /// Checks whether the groups have to look at every entry: some want many symbols, or it is not
    /// known yet which ones they want.
    pub(super) const fn want_everything(&self) -> bool {
        !self.wide.is_empty() || self.are_behind()
    }

    /// Checks whether any group may want an entry of a symbol.
    pub(super) fn are_interested_in(&self, id: SymbolId) -> bool {
        id.index() >= self.by_symbol.symbols() || !self.by_symbol.groups(id).is_empty()
    }

    /// Sets the orders of updates that are shared with other lanes.
    pub(super) fn share_update_orders(&mut self, orders: Arc<UpdateOrders>) {
        self.update_orders = orders;
    }

    /// Adds a stream to the group of its filter. If the stream leaves a group with the same filter
    /// (`previous`), the selection of that group is reused.
    pub(super) fn join_group(
        &mut self,
        key: Key,
        (filter, prepared): (Filter, Option<Arc<PreparedFilter>>),
        format: EventFormat,
        (rated, previous): (bool, Option<GroupId>),
        market: &Market,
    ) -> GroupSlot {
        self.match_new_symbols(market);
        let group = match self.by_filter.get(&(filter.clone(), format)) {
            Some(id) => *id,
            None => {
                let previous = previous
                    .and_then(|id| self.groups.get(id))
                    .map(|group| &group.selection);
                let same_filter = previous
                    .filter(|selection| *selection.filter() == filter)
                    .cloned();
                let selection = same_filter.or_else(|| prepared.as_ref()?.selection().cloned());
                let selection = selection.unwrap_or_else(|| Selection::new(filter, market));
                self.create_group(selection, prepared, format, market)
            }
        };
        let Group {
            members,
            rated: count,
            ..
        } = &mut self.groups[group];
        members.push(key);
        *count += usize::from(rated);
        GroupSlot {
            group,
            index: (members.len() - 1) as u32,
            rated,
        }
    }

    /// Removes a stream from its slot. Returns the stream that was moved into this slot, if any.
    pub(super) fn leave(&mut self, slot: GroupSlot) -> Option<Key> {
        let Group { members, rated, .. } = &mut self.groups[slot.group];
        *rated -= usize::from(slot.rated);
        members.swap_remove(slot.index as usize);
        let moved = members.get(slot.index as usize).copied();
        if members.is_empty() {
            self.remove_group(slot.group);
        }
        moved
    }

    /// Returns the members of a group. The result is empty if the group no longer exists.
    pub(super) fn members(&self, id: GroupId) -> &[Key] {
        self.groups.get(id).map_or(&[], |group| &group.members)
    }

    /// Returns the event format of a group.
    pub(super) fn format(&self, id: GroupId) -> EventFormat {
        self.groups[id].format
    }

    /// Returns the filter of a group.
    pub(super) fn filter(&self, id: GroupId) -> &Filter {
        self.groups[id].selection.filter()
    }

    /// Returns the filter of a group, and its prepared filter.
    pub(super) fn prepared(&self, id: GroupId) -> (Filter, Option<Arc<PreparedFilter>>) {
        let group = &self.groups[id];
        (group.selection.filter().clone(), group.prepared.clone())
    }

    /// Checks whether a group wants a symbol.
    pub(super) fn wants(&self, id: GroupId, symbol: SymbolId) -> bool {
        self.groups[id].selection.contains(symbol)
    }

    /// Returns the symbols that a group selects so far.
    pub(super) fn selection(&self, id: GroupId) -> &Selection {
        &self.groups[id].selection
    }

    /// Returns the number of symbols on the market that a group wants.
    pub(super) fn listed(&self, id: GroupId, market: &Market) -> usize {
        let selection = &self.groups[id].selection;
        if selection.filter().is_all() {
            return market.listed();
        }
        let ids = selection.ids();
        ids.filter(|symbol| market.newest(*symbol).is_some())
            .count()
    }

    /// Returns the symbols that one group wants and the other group does not want.
    pub(super) fn newly_selected(&self, id: GroupId, other: GroupId) -> SymbolSet {
        self.selection(id)
            .ids()
            .filter(|symbol| !self.wants(other, *symbol))
            .collect()
    }

    fn create_group(
        &mut self,
        selection: Selection,
        prepared: Option<Arc<PreparedFilter>>,
        format: EventFormat,
        market: &Market,
    ) -> GroupId {
        let filter = selection.filter().clone();
        let wide_at = selection.is_wide().then_some(self.wide.len());
        let group_id = self.groups.insert(Group {
            selection,
            prepared,
            wide_at,
            format,
            members: Vec::new(),
            rated: 0,
            batch: PayloadBuilder::new(),
            ticks: 0,
            before_batch: Seq::ZERO,
            visited_after_batch: false,
            overflowed: false,
            unused_batches: false,
            typical_bytes: 0,
        });
        if wide_at.is_some() {
            self.wide.push(group_id);
        } else {
            for id in self.groups[group_id].selection.ids() {
                self.by_symbol.add(id, group_id);
                self.entries += 1;
            }
        }
        if filter.has_patterns() {
            self.with_patterns.insert(group_id);
            // The prepared selection may be older than the market of this lane.
            if self.is_behind(group_id) {
                self.defer_matching(group_id);
            }
        } else {
            for name in filter
                .names()
                .iter()
                .filter(|name| market.id(name).is_none())
            {
                self.awaiting.entry(*name).or_default().push(group_id);
                self.entries += 1;
            }
        }
        self.by_filter.insert((filter, format), group_id);
        group_id
    }

    /// Removes a group. Its index entries stay until there are many such entries, so that leaving a
    /// group is cheap.
    fn remove_group(&mut self, group_id: GroupId) {
        let Some(group) = self.groups.remove(group_id) else {
            return;
        };
        self.free_batch_bytes += group.batch.len();
        let filter = group.selection.filter().clone();
        match group.wide_at {
            Some(at) => {
                self.wide.swap_remove(at);
                if let Some(moved) = self.wide.get(at) {
                    self.groups[*moved].wide_at = Some(at);
                }
            }
            None => self.stale += group.selection.len(),
        }
        self.stale += if filter.has_patterns() {
            0
        } else {
            filter.names().len()
        };
        self.with_patterns.remove(&group_id);
        self.by_filter.remove(&(filter, group.format));
        if self.stale > MAX_STALE_ENTRIES + self.entries / 2 {
            self.sweep();
        }
    }

    /// Returns the number of entries in the indexes.
    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        let awaiting = self.awaiting.values().map(Vec::len).sum::<usize>();
        self.by_symbol.entries() + awaiting
    }

    /// Removes the index entries of removed groups.
    fn sweep(&mut self) {
        let exists = |group_id: GroupId| self.groups.contains_key(group_id);
        self.by_symbol.retain_all(exists);
        self.awaiting.retain(|_, groups| {
            groups.retain(|group_id| exists(*group_id));
            !groups.is_empty()
        });
        let awaiting = self.awaiting.values().map(Vec::len).sum::<usize>();
        self.entries = self.by_symbol.entries() + awaiting;
        self.stale = 0;
    }
}
