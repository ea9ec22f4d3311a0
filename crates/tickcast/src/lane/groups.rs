//! Readers with the same filter, who share one rendering; and who is due when a symbol moves.

use std::collections::{HashMap, VecDeque};

use slotmap::SlotMap;
use tickcast_core::render::{self, Dialect};
use tickcast_core::{Filter, Frame, Market, Position, Replica, Selection, Seq, Symbol, SymbolId};

use super::Key;
use super::piece::{Draft, Piece};
use super::session::Said;
use super::stream::Place;

/// Most bytes of one piece of catching up: what a reader that stops in the middle of one can pin.
pub(super) const LONGEST: usize = 64 << 10;

/// How many rendered pieces are remembered.
const MEMOS: usize = 8;

slotmap::new_key_type! {
    /// A group's number.
    pub(super) struct GroupId;
}

/// A stream's place in its group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat {
    pub(super) group: GroupId,
    index: usize,
    paced: bool,
}

impl Seat {
    /// Moves to where another has left.
    pub(super) const fn take_place_of(&mut self, left: Self) {
        self.index = left.index;
    }
}

/// A piece of catching up.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) piece: Piece,
    pub(super) ticks: usize,
    /// Where it leads.
    pub(super) place: Place,
    /// What it says beyond ticks, to those it is said to.
    pub(super) said: Option<Said>,
}

/// Readers with the same filter.
struct Group {
    selection: Selection,
    dialect: Dialect,
    members: Vec<Key>,
    /// How many of them have a pace, and no use for a batch.
    paced: usize,
    /// What has come for them in this flush, and how many ticks that is.
    batch: Draft,
    ticks: usize,
    /// How long the last batch was: the next will be much the same.
    usual: usize,
}

/// All groups of a lane, and which of them each symbol concerns.
#[derive(Default)]
pub(super) struct Groups {
    groups: SlotMap<GroupId, Group>,
    by_filter: HashMap<(Filter, Dialect), GroupId>,
    /// By [`SymbolId`].
    by_symbol: Vec<Vec<GroupId>>,
    /// Groups that name a symbol nobody has seen yet.
    awaiting: HashMap<Symbol, Vec<GroupId>>,
    /// Groups that a new symbol may match.
    with_patterns: Vec<GroupId>,
    /// The last pieces rendered, newest last: many readers reconnect together.
    memos: VecDeque<(Request, Step)>,
}

/// What a piece is rendered from: equal requests have equal answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Request {
    group: GroupId,
    place: Place,
    until: Seq,
    every: bool,
    head: Seq,
}

impl Groups {
    /// Seats a stream with those who have the same filter.
    pub(super) fn join(
        &mut self,
        key: Key,
        filter: Filter,
        dialect: Dialect,
        paced: bool,
        market: &Market,
    ) -> Seat {
        self.meet_new_symbols(market);
        let group = match self.by_filter.get(&(filter.clone(), dialect)) {
            Some(id) => *id,
            None => self.found(filter, dialect, market),
        };
        let Group { members, paced: count, .. } = &mut self.groups[group];
        members.push(key);
        *count += usize::from(paced);
        Seat { group, index: members.len() - 1, paced }
    }

    /// Gives a seat up. Returns the stream that now has it, if another was moved there.
    pub(super) fn leave(&mut self, seat: Seat) -> Option<Key> {
        let Group { members, paced, .. } = &mut self.groups[seat.group];
        *paced -= usize::from(seat.paced);
        members.swap_remove(seat.index);
        let moved = members.get(seat.index).copied();
        if members.is_empty() {
            self.dissolve(seat.group);
        }
        moved
    }

    /// Everyone in a group.
    pub(super) fn members(&self, id: GroupId) -> &[Key] {
        &self.groups[id].members
    }

    /// How events are marked for a group.
    pub(super) fn dialect(&self, id: GroupId) -> Dialect {
        self.groups[id].dialect
    }

    /// What a group wants.
    pub(super) fn filter(&self, id: GroupId) -> &Filter {
        self.groups[id].selection.filter()
    }

    /// Whether a group wants a symbol.
    pub(super) fn wants(&self, id: GroupId, symbol: SymbolId) -> bool {
        self.groups[id].selection.contains(symbol)
    }

    /// The symbols a group wants so far.
    pub(super) fn symbols(&self, id: GroupId) -> &[SymbolId] {
        self.groups[id].selection.ids()
    }

    /// How many symbols that are on the market a group wants.
    pub(super) fn listed(&self, id: GroupId, market: &Market) -> usize {
        self.groups[id].selection.ids().iter().filter(|symbol| market.newest(**symbol).is_some()).count()
    }

    /// The symbols one group wants and another does not, the first of their names last.
    pub(super) fn gained(&self, id: GroupId, other: GroupId, market: &Market) -> Vec<SymbolId> {
        let mut gained = self.by_name(id, market);
        gained.retain(|symbol| !self.wants(other, *symbol));
        gained
    }

    /// The symbols that a group wants, the first of their names last.
    pub(super) fn by_name(&self, id: GroupId, market: &Market) -> Vec<SymbolId> {
        let mut wanted = self.groups[id].selection.ids().to_vec();
        wanted.sort_unstable_by_key(|symbol| std::cmp::Reverse(market.symbol(*symbol)));
        wanted
    }

    /// Puts what happened to a symbol into the batch of every group it concerns; groups that had none yet are added to
    /// `touched`. Says whether it concerns any.
    pub(super) fn add(
        &mut self,
        (at, id, symbol): (Position, SymbolId, Symbol),
        frame: Option<&Frame>,
        touched: &mut Vec<GroupId>,
    ) -> bool {
        let concerned = &self.by_symbol[id.index()];
        for id in concerned {
            let group = &mut self.groups[*id];
            // To a simple stream a symbol that is taken off is just silent.
            if frame.is_none() && group.dialect == Dialect::Simple {
                continue;
            }
            if group.ticks == 0 {
                touched.push(*id);
            }
            if group.paced < group.members.len() {
                group.dialect.entry(Some(at), symbol, frame, group.batch.bytes_of(group.usual));
            }
            group.ticks += 1;
        }
        !concerned.is_empty()
    }

    /// A group's batch and how many ticks it holds.
    pub(super) fn take_batch(&mut self, id: GroupId) -> (Piece, usize) {
        let group = &mut self.groups[id];
        let batch = std::mem::replace(&mut group.batch, Draft::new());
        let piece = batch.seal();
        group.usual = piece.len();
        (piece, std::mem::take(&mut group.ticks))
    }

    /// Renders the next piece for a reader who stands at `place` and is to be brought to `until`: every tick up to the head,
    /// or newest values only.
    pub(super) fn render(
        &mut self,
        group: GroupId,
        place: Place,
        until: Seq,
        every: bool,
        replica: &Replica,
    ) -> Step {
        let request = Request { group, place, until, every, head: replica.head() };
        if let Some((_, step)) = self.memos.iter().rev().find(|(asked, _)| *asked == request) {
            return step.clone();
        }
        let step = self.groups[group].step(request, replica);
        if self.memos.len() == MEMOS {
            self.memos.pop_front();
        }
        self.memos.push_back((request, step.clone()));
        step
    }

    /// Enters the symbols that came to `market` since into the index.
    pub(super) fn meet_new_symbols(&mut self, market: &Market) {
        if self.by_symbol.len() == market.len() {
            return;
        }
        let mut concerned = self.with_patterns.clone();
        for id in market.ids_from(self.by_symbol.len()) {
            self.by_symbol.push(Vec::new());
            concerned.extend(self.awaiting.remove(&market.symbol(id)).unwrap_or_default());
        }
        for group in concerned {
            // A second look at the same group finds nothing new.
            for id in self.groups[group].selection.extend(market) {
                self.by_symbol[id.index()].push(group);
            }
        }
    }

    fn found(&mut self, filter: Filter, dialect: Dialect, market: &Market) -> GroupId {
        let selection = Selection::new(filter.clone(), market);
        let id = self.groups.insert_with_key(|id| {
            for symbol in selection.ids() {
                self.by_symbol[symbol.index()].push(id);
            }
            Group {
                selection,
                dialect,
                members: Vec::new(),
                paced: 0,
                batch: Draft::new(),
                ticks: 0,
                usual: 0,
            }
        });
        if filter.has_patterns() {
            self.with_patterns.push(id);
        } else {
            for name in filter.names().iter().filter(|name| market.id(name).is_none()) {
                self.awaiting.entry(*name).or_default().push(id);
            }
        }
        self.by_filter.insert((filter, dialect), id);
        id
    }

    fn dissolve(&mut self, id: GroupId) {
        let Some(group) = self.groups.remove(id) else { return };
        let filter = group.selection.filter().clone();
        for symbol in group.selection.ids() {
            self.by_symbol[symbol.index()].retain(|other| *other != id);
        }
        for name in filter.names() {
            if let Some(waiting) = self.awaiting.get_mut(name) {
                waiting.retain(|other| *other != id);
                if waiting.is_empty() {
                    self.awaiting.remove(name);
                }
            }
        }
        self.with_patterns.retain(|other| *other != id);
        self.by_filter.remove(&(filter, group.dialect));
    }
}

impl Group {
    fn step(&self, request: Request, replica: &Replica) -> Step {
        let Request { place, until, every, .. } = request;
        let (market, selection, dialect) = (replica.market(), &self.selection, self.dialect);
        let mut draft = Draft::new();
        let out = draft.bytes();
        let (ticks, place) = match place {
            Place::Head => (0, Place::Head),
            Place::Behind(from) => {
                let rendered = if every {
                    let log = (market, replica.tape());
                    render::every(log, selection, (from, until), dialect, LONGEST, out)
                } else {
                    render::newest((market, replica.tape()), selection, (from, until), dialect, LONGEST, out)
                };
                (rendered.ticks, Place::Behind(rendered.reached))
            }
            Place::Opening { at, reached } => {
                let rendered = render::opening(
                    (market, replica.tape()),
                    selection,
                    (reached, at),
                    dialect,
                    LONGEST,
                    out,
                );
                let reached = rendered.reached;
                let place =
                    if reached < at { Place::Opening { at, reached } } else { Place::Behind(reached) };
                (rendered.ticks, place)
            }
            Place::Snapshot { at, after } => {
                let rendered = render::snapshot(market, selection, at, after, dialect, LONGEST, out);
                let place = match rendered.reached {
                    None => Place::Behind(at),
                    after => Place::Snapshot { at, after },
                };
                (rendered.ticks, place)
            }
        };
        Step { piece: draft.seal(), ticks, place, said: None }
    }
}
