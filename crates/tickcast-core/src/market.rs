//! The newest tick of every symbol, and the position of that tick.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use crate::{Entry, Frame, Position, Seq, SourceId, Symbol, SymbolId};

/// The newest state of one symbol.
#[derive(Debug, Clone)]
struct Latest {
    symbol: Symbol,
    updated_at: Position,
    source: SourceId,
    /// The newest tick. `None` if the symbol was removed, or has no tick yet.
    frame: Option<Frame>,
}

/// The newest tick of every symbol: its encoded bytes and its sequence number. Returned by
/// [`Sequencer::market`](crate::Sequencer::market) and [`Replica::market`](crate::Replica::market).
/// Default: no symbols.
///
/// The functions with a [`SymbolId`] panic for an id that the market does not have.
#[derive(Debug, Clone, Default)]
pub struct Market {
    latest: Vec<Latest>,
    ids: HashMap<Symbol, SymbolId>,
    by_name: BTreeMap<Symbol, SymbolId>,
    head: Seq,
}

impl Market {
    /// Returns the sequence number of the last applied tick.
    #[must_use]
    pub const fn head(&self) -> Seq {
        self.head
    }

    /// Returns the number of symbols that were ever seen, including removed symbols.
    #[must_use]
    pub fn len(&self) -> usize {
        self.latest.len()
    }

    /// Checks whether no symbol was ever seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.latest.is_empty()
    }

    /// Returns the number of the symbol, if the symbol was ever seen.
    #[must_use]
    pub fn id(&self, symbol: &Symbol) -> Option<SymbolId> {
        self.ids.get(symbol).copied()
    }

    /// Returns the symbol with that number.
    #[must_use]
    pub fn symbol(&self, id: SymbolId) -> Symbol {
        self.latest[id.index()].symbol
    }

    /// Returns the sequence number of the last change of the symbol.
    #[must_use]
    pub fn last_seq(&self, id: SymbolId) -> Seq {
        self.latest[id.index()].updated_at.seq
    }

    /// Returns the position of the last change of the symbol, including the check of the tape
    /// there.
    #[must_use]
    pub fn last_position(&self, id: SymbolId) -> Position {
        self.latest[id.index()].updated_at
    }

    /// Returns the source of the symbol's newest tick.
    #[must_use]
    pub fn source(&self, id: SymbolId) -> SourceId {
        self.latest[id.index()].source
    }

    /// Returns the newest tick of the symbol, or `None` if the symbol was removed or has no tick
    /// yet.
    #[must_use]
    pub fn newest(&self, id: SymbolId) -> Option<&Frame> {
        self.latest[id.index()].frame.as_ref()
    }

    /// Returns all symbols in order of their names, starting after `after`.
    pub fn names_after(&self, after: Option<Symbol>) -> impl Iterator<Item = (Symbol, SymbolId)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_name
            .range((start, Bound::Unbounded))
            .map(|(symbol, id)| (*symbol, *id))
    }

    /// Returns the numbers of all symbols from the `from`-th symbol on, in order of first
    /// appearance.
    pub fn ids_from(&self, from: usize) -> impl Iterator<Item = SymbolId> + use<> {
        (from..self.len()).map(SymbolId::at)
    }

    /// Returns the number of the symbol. A new symbol gets the next number.
    pub(crate) fn add_symbol(&mut self, symbol: Symbol) -> SymbolId {
        *self.ids.entry(symbol).or_insert_with(|| {
            let id = SymbolId::at(self.latest.len());
            self.latest.push(Latest {
                symbol,
                updated_at: Position::default(),
                source: SourceId::UNKNOWN,
                frame: None,
            });
            self.by_name.insert(symbol, id);
            id
        })
    }

    /// Advances to the tape's entry `seq`, which changes nothing in the market.
    pub(crate) const fn advance_to(&mut self, seq: Seq) {
        self.head = seq;
    }

    /// Restores the position and the newest tick of a symbol.
    pub(crate) fn restore(&mut self, id: SymbolId, updated_at: Position, frame: Option<Frame>) {
        let latest = &mut self.latest[id.index()];
        (latest.updated_at, latest.frame) = (updated_at, frame);
    }

    /// Sets the source of the symbol's newest tick.
    pub(crate) fn set_source(&mut self, id: SymbolId, source: SourceId) {
        self.latest[id.index()].source = source;
    }

    /// Applies the tape's entry `seq`.
    pub(crate) fn apply(&mut self, seq: Seq, entry: &Entry) {
        self.head = seq;
        let latest = &mut self.latest[entry.symbol.index()];
        latest.updated_at = Position::new(seq, entry.digest.check());
        latest.source = entry.source;
        latest.frame = entry.kind.frame().cloned();
    }
}
