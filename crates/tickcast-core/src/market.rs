//! The newest tick of every symbol, and the position of that tick.

use std::sync::Arc;

use crate::names::Names;
use crate::sse::Place;
use crate::{Entry, Frame, Position, Seq, SourceId, Symbol, SymbolId};

/// The newest tick of every symbol: its encoded bytes and its sequence number. Returned by
/// [`Sequencer::market`](crate::Sequencer::market) and [`Replica::market`](crate::Replica::market).
/// Default: no symbols.
///
/// A market and its clones share the names of the symbols. Only one of them may add symbols: that of
/// the sequencer.
///
/// The functions with a [`SymbolId`] panic for an id that the market does not have. Only
/// [`newest`](Self::newest) returns `None`.
#[derive(Debug, Clone, Default)]
pub struct Market {
    names: Arc<Names>,
    /// The last change of each symbol, by [`SymbolId`]. `None` if there was none yet. There may
    /// already be more names. Each lane has a market, so this is only a pointer.
    latest: Vec<Option<Frame>>,
    /// Number of symbols whose last change is a tick.
    listed: usize,
    head: Seq,
}

impl Market {
    /// Makes an empty market, with room for so many symbols.
    pub(crate) fn with_room(symbols: usize) -> Self {
        Self {
            latest: Vec::with_capacity(symbols),
            ..Self::default()
        }
    }

    /// Returns the number of symbols for which the market has room now. A market grows when it has
    /// no more room.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.latest.capacity()
    }

    /// Returns the sequence number of the last applied tick.
    #[must_use]
    pub const fn head(&self) -> Seq {
        self.head
    }

    /// Returns the number of symbols that were ever seen, including removed symbols. Symbols whose
    /// first entry is not applied yet do not count.
    #[must_use]
    pub fn len(&self) -> usize {
        self.latest.len()
    }

    /// Returns the number of symbols that have a newest tick.
    #[must_use]
    pub const fn listed(&self) -> usize {
        self.listed
    }

    /// Checks whether no symbol was ever seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.latest.is_empty()
    }

    /// Returns the number of the symbol, if the symbol was ever seen.
    #[must_use]
    pub fn id(&self, symbol: &Symbol) -> Option<SymbolId> {
        let id = self.names.id(symbol);
        id.filter(|id| id.index() < self.len())
    }

    /// Returns the number of the symbol, if the symbol was ever seen and has had an entry. A symbol
    /// whose entries were all [taken back](crate::Sequencer::take_back) has had none.
    #[must_use]
    pub fn seen_id(&self, symbol: &Symbol) -> Option<SymbolId> {
        self.id(symbol).filter(|id| self.last_seq(*id) > Seq::ZERO)
    }

    /// Returns the symbol with that number.
    #[must_use]
    pub fn symbol(&self, id: SymbolId) -> Symbol {
        *self.name(id)
    }

    #[inline]
    pub(crate) fn name(&self, id: SymbolId) -> &Symbol {
        self.names.symbol(id)
    }

    /// Returns the sequence number up to which the market may have
    /// [forgotten](crate::Restore::forget_until) removed symbols, or zero. The market cannot tell a
    /// reader before this position which symbols are gone, so such a reader needs all newest ticks.
    #[must_use]
    pub fn forgotten(&self) -> Seq {
        self.names.forgotten()
    }

    /// Returns the sequence number of the last change of the symbol.
    #[must_use]
    pub fn last_seq(&self, id: SymbolId) -> Seq {
        self.place(id).seq
    }

    /// Returns the position of the last change of the symbol, including the check of the tape
    /// there.
    #[must_use]
    pub fn last_position(&self, id: SymbolId) -> Position {
        self.latest(id).map(Frame::position).unwrap_or_default()
    }

    /// Returns the source of the symbol's newest tick.
    #[must_use]
    pub fn source(&self, id: SymbolId) -> SourceId {
        self.place(id).source
    }

    /// Returns the newest tick of the symbol, or `None` if the symbol was removed, has no tick yet,
    /// or is not on this market yet.
    #[must_use]
    pub fn newest(&self, id: SymbolId) -> Option<&Frame> {
        let latest = self.latest.get(id.index())?.as_ref();
        latest.filter(|frame| !frame.is_removal())
    }

    /// Returns the last change of the symbol, a tick or a removal.
    #[inline]
    pub(crate) fn latest(&self, id: SymbolId) -> Option<&Frame> {
        self.latest[id.index()].as_ref()
    }

    /// Returns the place of the last change of the symbol.
    #[inline]
    fn place(&self, id: SymbolId) -> Place {
        self.latest(id).map_or(Place::NONE, |frame| *frame.place())
    }

    /// Returns all symbols in order of their names, starting after `after`.
    pub fn names_after(&self, after: Option<Symbol>) -> impl Iterator<Item = (Symbol, SymbolId)> {
        let ids = self.ids_by_name(after);
        ids.map(|id| (self.symbol(id), id))
    }

    /// Returns the numbers of all symbols in order of their names, starting after `after`.
    pub(crate) fn ids_by_name(&self, after: Option<Symbol>) -> impl Iterator<Item = SymbolId> {
        let ids = self.names.ids_after(after);
        ids.filter(|id| id.index() < self.len())
    }

    pub(crate) const fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// Returns the numbers of all symbols from the `from`-th symbol on, in order of first
    /// appearance.
    pub fn ids_from(&self, from: usize) -> impl Iterator<Item = SymbolId> + use<> {
        (from..self.len()).map(SymbolId::at)
    }

    /// Returns the number of the symbol. A new symbol gets the next number. It is on the market when
    /// its first entry is applied.
    pub(crate) fn add_symbol(&self, symbol: Symbol) -> SymbolId {
        let id = self.names.id(&symbol);
        id.unwrap_or_else(|| self.names.add(symbol))
    }

    /// Puts a symbol on the market, without a tick.
    #[cfg(test)]
    pub(crate) fn list_symbol(&mut self, symbol: Symbol) -> SymbolId {
        let id = self.add_symbol(symbol);
        self.latest_mut(id);
        id
    }

    /// Returns the last change of a symbol. A symbol that was not on the market is on it from now on.
    fn latest_mut(&mut self, id: SymbolId) -> &mut Option<Frame> {
        if id.index() >= self.latest.len() {
            self.latest.resize(id.index() + 1, None);
        }
        &mut self.latest[id.index()]
    }

    /// Counts a change of a symbol, which had no tick before if it `was_gone`.
    #[inline]
    const fn count(&mut self, was_gone: bool, is_gone: bool) {
        match (was_gone, is_gone) {
            (true, false) => self.listed += 1,
            (false, true) => self.listed -= 1,
            _ => {}
        }
    }

    /// Removes all symbols, to copy them again, and makes room for them.
    pub(crate) fn clear(&mut self) {
        self.latest.clear();
        self.listed = 0;
        self.latest.reserve(self.names.len());
    }

    /// Copies at most `max` symbols of a market with the same names, from the `from`-th symbol on.
    /// The first call, with 0, also sets the head. This market must have no symbols then. Returns
    /// where to continue.
    pub(crate) fn copy_from(&mut self, other: &Self, from: usize, max: usize) -> Option<usize> {
        if from == 0 {
            self.head = other.head;
        }
        let end = (from + max).min(other.latest.len());
        let piece = &other.latest[from..end];
        self.latest.extend_from_slice(piece);
        let ticks = piece.iter().flatten().filter(|frame| !frame.is_removal());
        self.listed += ticks.count();
        (end < other.latest.len()).then_some(end)
    }

    /// Returns an empty market with the same names.
    pub(crate) fn with_same_names(&self) -> Self {
        Self {
            names: Arc::clone(&self.names),
            ..Self::with_room(self.room())
        }
    }

    /// Advances to the tape's entry `seq`, which changes nothing in the market.
    pub(crate) const fn advance_to(&mut self, seq: Seq) {
        self.head = seq;
    }

    /// Restores the last change of a symbol: its position, its source and the newest tick.
    pub(crate) fn restore(
        &mut self,
        id: SymbolId,
        Position { seq, check, .. }: Position,
        source: SourceId,
        frame: Option<Frame>,
    ) {
        let place = Place { seq, check, source };
        let frame = frame.unwrap_or_else(Frame::removal).at(place);
        let is_gone = frame.is_removal();
        let before = self.latest_mut(id).replace(frame);
        self.count(before.is_none_or(|before| before.is_removal()), is_gone);
    }

    /// Applies the tape's entry `seq`. A symbol that was copied later already includes the entry.
    pub(crate) fn apply(&mut self, seq: Seq, entry: &Entry) {
        self.head = seq;
        let latest = self.latest_mut(entry.symbol);
        let was_gone = match latest.as_ref() {
            Some(latest) if seq <= latest.place().seq => return,
            latest => latest.is_none_or(Frame::is_removal),
        };
        *latest = Some(entry.update.clone());
        self.count(was_gone, entry.update.is_removal());
    }
}
