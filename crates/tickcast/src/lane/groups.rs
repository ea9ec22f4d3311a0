//! Readers with the same filter, who share one rendering; and who is due when a symbol moves.

mod batch;
mod new_symbols;
mod render;
mod request;
mod slot;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use slotmap::SlotMap;
use tickcast_core::render::{EventFormat, UpdateOrder};
use tickcast_core::{Filter, Market, Selection, Symbol, SymbolId, SymbolSet};

use super::Key;
use super::payload::{Payload, PayloadBuilder};
use crate::hub::Prepared;
pub(super) use batch::{Batch, TAPE_PER_BATCHES};
pub(crate) use new_symbols::COMPARISONS;
use request::Request;
pub(super) use slot::{GroupId, GroupSlot};

use super::rendered::Rendered;

/// How many rendered pieces are remembered.
const MAX_REMEMBERED: usize = 8;

/// So many entries of groups that are no more are not worth looking for.
const MAX_STALE_ENTRIES: usize = 4096;

/// Readers with the same filter.
struct Group {
    selection: Selection,
    /// What its filter is charged for, as long as it is here.
    prepared: Option<Arc<Prepared>>,
    /// Where it stands in the list of wide groups, if it is one.
    wide_at: Option<usize>,
    format: EventFormat,
    members: Vec<Key>,
    /// How many of them have a pace, and no use for a batch.
    rated: usize,
    /// What has come for them in this flush, and how many ticks that is.
    batch: PayloadBuilder,
    ticks: usize,
    /// It came to more than a batch may have.
    overflowed: bool,
    /// Nobody was there to take the last batch: the next is made once somebody is.
    unused_batches: bool,
    /// How long the last batch was: the next will be much the same.
    typical_bytes: usize,
}

/// All groups of a lane, and which of them each symbol concerns.
pub(super) struct Groups {
    groups: SlotMap<GroupId, Group>,
    by_filter: HashMap<(Filter, EventFormat), GroupId>,
    /// Groups that want few symbols, by [`SymbolId`].
    by_symbol: Vec<Vec<GroupId>>,
    /// Groups that want many: each is asked for each tick.
    wide: Vec<GroupId>,
    /// Groups that name a symbol nobody has seen yet.
    awaiting: HashMap<Symbol, Vec<GroupId>>,
    /// Groups that a new symbol may match.
    with_patterns: HashSet<GroupId>,
    /// Those of them that have yet to look at some, the next one last: until then nothing can be said of what they want.
    behind: Vec<GroupId>,
    /// How many bytes all batches may still have.
    room: usize,
    /// How many comparisons are made in one go.
    comparisons: usize,
    /// How many entries the two indexes have, and how many of them at most are of groups that are no more.
    entries: usize,
    stale: usize,
    /// The last pieces rendered, newest last: many readers reconnect together.
    memos: VecDeque<(Request, Rendered)>,
    /// The order in which symbols moved, for groups that want many.
    moves: UpdateOrder,
}

impl Groups {
    /// Some whose batches have so many bytes at a time.
    pub(super) fn new(room: usize) -> Self {
        Self::comparing(COMPARISONS, room)
    }

    /// The same, with so many comparisons in one go.
    pub(super) fn comparing(comparisons: usize, room: usize) -> Self {
        Self {
            groups: SlotMap::default(),
            by_filter: HashMap::new(),
            by_symbol: Vec::new(),
            wide: Vec::new(),
            awaiting: HashMap::new(),
            with_patterns: HashSet::new(),
            behind: Vec::new(),
            room,
            comparisons,
            entries: 0,
            stale: 0,
            memos: VecDeque::new(),
            moves: UpdateOrder::default(),
        }
    }

    /// Seats a stream with those who have the same filter. One that leaves a group of that filter brings along what it selects.
    pub(super) fn join_group(
        &mut self,
        key: Key,
        (filter, prepared): (Filter, Option<Arc<Prepared>>),
        format: EventFormat,
        (rated, before): (bool, Option<GroupId>),
        market: &Market,
    ) -> GroupSlot {
        self.match_new_symbols(market);
        let group = match self.by_filter.get(&(filter.clone(), format)) {
            Some(id) => *id,
            None => {
                let before = before.and_then(|id| self.groups.get(id)).map(|group| &group.selection);
                let same = before.filter(|selection| *selection.filter() == filter).cloned();
                let selection = same.or_else(|| prepared.as_ref()?.selection().cloned());
                let selection = selection.unwrap_or_else(|| Selection::new(filter, market));
                self.create_group(selection, prepared, format, market)
            }
        };
        let Group { members, rated: count, .. } = &mut self.groups[group];
        members.push(key);
        *count += usize::from(rated);
        GroupSlot { group, index: (members.len() - 1) as u32, rated }
    }

    /// Gives a seat up. Returns the stream that now has it, if another was moved there.
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

    /// Everyone in a group; nobody, where it is no more.
    pub(super) fn members(&self, id: GroupId) -> &[Key] {
        self.groups.get(id).map_or(&[], |group| &group.members)
    }

    /// How events are marked for a group.
    pub(super) fn format(&self, id: GroupId) -> EventFormat {
        self.groups[id].format
    }

    /// What a group wants.
    pub(super) fn filter(&self, id: GroupId) -> &Filter {
        self.groups[id].selection.filter()
    }

    /// The same with what it was prepared as.
    pub(super) fn prepared(&self, id: GroupId) -> (Filter, Option<Arc<Prepared>>) {
        let group = &self.groups[id];
        (group.selection.filter().clone(), group.prepared.clone())
    }

    /// Whether a group wants a symbol.
    pub(super) fn wants(&self, id: GroupId, symbol: SymbolId) -> bool {
        self.groups[id].selection.contains(symbol)
    }

    /// The symbols a group wants so far, and how many they are.
    pub(super) fn selection(&self, id: GroupId) -> &Selection {
        &self.groups[id].selection
    }

    /// How many symbols that are on the market a group wants.
    pub(super) fn listed(&self, id: GroupId, market: &Market) -> usize {
        self.groups[id].selection.ids().filter(|symbol| market.newest(*symbol).is_some()).count()
    }

    /// The symbols one group wants and another does not.
    pub(super) fn newly_selected(&self, id: GroupId, other: GroupId) -> SymbolSet {
        self.selection(id).ids().filter(|symbol| !self.wants(other, *symbol)).collect()
    }

    fn create_group(
        &mut self,
        selection: Selection,
        prepared: Option<Arc<Prepared>>,
        format: EventFormat,
        market: &Market,
    ) -> GroupId {
        let filter = selection.filter().clone();
        let wide_at = selection.is_wide().then_some(self.wide.len());
        let number = self.groups.insert(Group {
            selection,
            prepared,
            wide_at,
            format,
            members: Vec::new(),
            rated: 0,
            batch: PayloadBuilder::new(),
            ticks: 0,
            overflowed: false,
            unused_batches: false,
            typical_bytes: 0,
        });
        if wide_at.is_some() {
            self.wide.push(number);
        } else {
            for id in self.groups[number].selection.ids() {
                self.by_symbol[id.index()].push(number);
                self.entries += 1;
            }
        }
        if filter.has_patterns() {
            self.with_patterns.insert(number);
            // What it was prepared from may be older than the market here.
            if self.is_behind(number) {
                self.defer_matching(number);
            }
        } else {
            for name in filter.names().iter().filter(|name| market.id(name).is_none()) {
                self.awaiting.entry(*name).or_default().push(number);
                self.entries += 1;
            }
        }
        self.by_filter.insert((filter, format), number);
        number
    }

    /// Forgets a group. What the indexes have of it is left there, and goes once there is much of that: who leaves pays for
    /// itself alone.
    fn remove_group(&mut self, number: GroupId) {
        let Some(group) = self.groups.remove(number) else { return };
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
        self.stale += if filter.has_patterns() { 0 } else { filter.names().len() };
        self.with_patterns.remove(&number);
        self.by_filter.remove(&(filter, group.format));
        if self.stale > MAX_STALE_ENTRIES + self.entries / 2 {
            self.sweep();
        }
    }

    /// How many entries the indexes have.
    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.by_symbol.iter().chain(self.awaiting.values()).map(Vec::len).sum()
    }

    /// Drops the entries of groups that are no more.
    fn sweep(&mut self) {
        let is_there = |number: &GroupId| self.groups.contains_key(*number);
        self.by_symbol.iter_mut().for_each(|groups| groups.retain(is_there));
        self.awaiting.retain(|_, groups| {
            groups.retain(is_there);
            !groups.is_empty()
        });
        let listed = self.by_symbol.iter().map(Vec::len).sum::<usize>();
        self.entries = listed + self.awaiting.values().map(Vec::len).sum::<usize>();
        self.stale = 0;
    }
}
