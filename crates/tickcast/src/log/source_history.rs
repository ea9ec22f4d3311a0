//! From which sources the symbols came before other sources took them over.

use std::collections::{HashMap, VecDeque};

use tickcast_core::{Seq, SourceId, SymbolId};

/// Maximum number of take-overs of one symbol that are remembered.
const MAX_TAKE_OVERS: usize = 64;

/// The sources that symbols had before. The tape on disk does not know sources, and a delayed
/// market must not show the source that a symbol has now.
#[derive(Debug, Default)]
pub(super) struct SourceHistory(HashMap<SymbolId, TakeOvers>);

/// The take-overs of one symbol.
#[derive(Debug, Default)]
struct TakeOvers {
    known: VecDeque<(Seq, SourceId)>,
    /// The last one that is forgotten. The source before it is not known.
    forgotten: Seq,
}

impl SourceHistory {
    /// Records that with entry `seq`, another source has taken a symbol over from `previous`.
    pub(super) fn note(&mut self, symbol: SymbolId, seq: Seq, previous: SourceId) {
        let own = self.0.entry(symbol).or_default();
        if own.known.len() == MAX_TAKE_OVERS
            && let Some((at, _)) = own.known.pop_front()
        {
            own.forgotten = at;
        }
        own.known.push_back((seq, previous));
    }

    /// Forgets what came after `head`, which was taken back.
    pub(super) fn forget_after(&mut self, head: Seq) {
        for own in self.0.values_mut() {
            own.known.retain(|(at, _)| *at <= head);
        }
    }

    /// Returns the source of a symbol at entry `seq`, if it had another one than now.
    pub(super) fn source_at(&self, symbol: SymbolId, seq: Seq) -> Option<SourceId> {
        let own = self.0.get(&symbol)?;
        if seq < own.forgotten {
            return Some(SourceId::UNKNOWN);
        }
        let mut later = own.known.iter().filter(|(at, _)| *at > seq);
        later.next().map(|(_, previous)| *previous)
    }
}

#[cfg(test)]
mod tests {
    use tickcast_core::{Price, Symbol, Tick};

    use super::*;

    #[test]
    fn the_source_before_a_forgotten_take_over_is_not_known() {
        let hub = crate::Hub::builder().build();
        let tick = Tick::new(Symbol::new("A").unwrap(), Price::from_units(1, 0).unwrap());
        hub.try_publish(&tick).unwrap();
        let id = hub.log().read(|log| log.market().id(&tick.symbol)).unwrap();
        let mut history = SourceHistory::default();
        let source = |at: u64| SourceId((at % 3) as _);
        for at in 1..=100 {
            history.note(id, Seq::new(at * 10), source(at));
        }
        let forgotten = 100 - MAX_TAKE_OVERS as u64;
        for at in 1..=100 {
            let before = history.source_at(id, Seq::new(at * 10 - 1)).unwrap();
            let expected = if at <= forgotten {
                SourceId::UNKNOWN
            } else {
                source(at)
            };
            assert_eq!(before, expected, "{at}");
        }
        assert_eq!(history.source_at(id, Seq::new(1000)), None);
    }
}
