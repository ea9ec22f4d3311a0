//! From which sources the symbols came before other sources took them over.

use std::collections::{HashMap, VecDeque};

use tickcast_core::{Seq, SourceId, SymbolId};

/// Maximum number of take-overs of one symbol that are remembered.
const MAX_TAKE_OVERS: usize = 64;

/// The sources that symbols had before. The tape on disk does not know sources, and a delayed
/// market must not show the source that a symbol has now.
#[derive(Debug, Default)]
pub(super) struct SourceHistory(HashMap<SymbolId, VecDeque<(Seq, SourceId)>>);

impl SourceHistory {
    /// Records that with entry `seq`, another source has taken a symbol over from `previous`.
    pub(super) fn note(&mut self, symbol: SymbolId, seq: Seq, previous: SourceId) {
        let known = self.0.entry(symbol).or_default();
        if known.len() == MAX_TAKE_OVERS {
            known.pop_front();
        }
        known.push_back((seq, previous));
    }

    /// Returns the source of a symbol at entry `seq`, if it had another one than now.
    pub(super) fn source_at(&self, symbol: SymbolId, seq: Seq) -> Option<SourceId> {
        let mut later = self.0.get(&symbol)?.iter().filter(|(at, _)| *at > seq);
        later.next().map(|(_, previous)| *previous)
    }
}
