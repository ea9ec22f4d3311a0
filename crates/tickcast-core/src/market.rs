//! The newest tick of every symbol and the place where it moved.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use crate::{Entry, Frame, Position, Seq, SourceId, Symbol, SymbolId};

/// The latest of one symbol.
#[derive(Debug, Clone)]
struct Latest {
    symbol: Symbol,
    moved: Position,
    origin: SourceId,
    /// `None`: taken off, or not ticked yet.
    frame: Option<Frame>,
}

/// The newest tick of every symbol, its finished bytes and the sequence number at which it moved.
#[derive(Debug, Clone, Default)]
pub struct Market {
    latest: Vec<Latest>,
    ids: HashMap<Symbol, SymbolId>,
    by_name: BTreeMap<Symbol, SymbolId>,
    head: Seq,
}

impl Market {
    /// The place it stands at: that of the last tick taken in.
    #[must_use]
    pub const fn head(&self) -> Seq {
        self.head
    }

    /// How many symbols were ever seen.
    #[must_use]
    pub fn len(&self) -> usize {
        self.latest.len()
    }

    /// Whether no symbol was ever seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.latest.is_empty()
    }

    /// The symbol's number, once it was seen.
    #[must_use]
    pub fn id(&self, symbol: &Symbol) -> Option<SymbolId> {
        self.ids.get(symbol).copied()
    }

    /// The symbol of that number.
    #[must_use]
    pub fn symbol(&self, id: SymbolId) -> Symbol {
        self.latest[id.index()].symbol
    }

    /// Where the symbol last moved.
    #[must_use]
    pub fn last_seq(&self, id: SymbolId) -> Seq {
        self.latest[id.index()].moved.seq
    }

    /// The same with what the tape looked like there.
    #[must_use]
    pub fn last_position(&self, id: SymbolId) -> Position {
        self.latest[id.index()].moved
    }

    /// Who sent the symbol's newest tick.
    #[must_use]
    pub fn source(&self, id: SymbolId) -> SourceId {
        self.latest[id.index()].origin
    }

    /// The symbol's newest tick; `None` once it was taken off.
    #[must_use]
    pub fn newest(&self, id: SymbolId) -> Option<&Frame> {
        self.latest[id.index()].frame.as_ref()
    }

    /// All symbols in order of their names, beginning after `after`.
    pub fn names_after(&self, after: Option<Symbol>) -> impl Iterator<Item = (Symbol, SymbolId)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_name.range((start, Bound::Unbounded)).map(|(symbol, id)| (*symbol, *id))
    }

    /// All numbers from the `from`-th symbol on, in order of first appearance.
    pub fn ids_from(&self, from: usize) -> impl Iterator<Item = SymbolId> + use<> {
        (from..self.len()).map(SymbolId::at)
    }

    /// The symbol's number, given out now if it is new.
    pub(crate) fn add_symbol(&mut self, symbol: Symbol) -> SymbolId {
        *self.ids.entry(symbol).or_insert_with(|| {
            let id = SymbolId::at(self.latest.len());
            self.latest.push(Latest {
                symbol,
                moved: Position::default(),
                origin: SourceId::UNKNOWN,
                frame: None,
            });
            self.by_name.insert(symbol, id);
            id
        })
    }

    /// The tape's entry `seq` changes nothing here.
    pub(crate) const fn advance_to(&mut self, seq: Seq) {
        self.head = seq;
    }

    /// Puts a symbol back to where it stood.
    pub(crate) fn restore(&mut self, id: SymbolId, moved: Position, frame: Option<Frame>) {
        let latest = &mut self.latest[id.index()];
        (latest.moved, latest.frame) = (moved, frame);
    }

    /// Takes in the tape's entry `seq`.
    pub(crate) fn apply(&mut self, seq: Seq, entry: &Entry) {
        self.head = seq;
        let latest = &mut self.latest[entry.symbol.index()];
        latest.moved = Position::new(seq, entry.digest.check());
        latest.origin = entry.source;
        latest.frame.clone_from(&entry.frame);
    }
}
