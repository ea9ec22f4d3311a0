//! The order in which symbols last changed.

use crate::{Market, Selection, Seq, SymbolId, Tape};

/// Minimum number of outdated entries before outdated entries are removed.
const MAX_OUTDATED: usize = 1024;

/// The order in which the symbols of a market last changed: the symbol of the oldest change first.
///
/// Pass it in the [`LogView`](super::LogView) to [`conflated`](super::conflated) or
/// [`initial_by_seq`](super::initial_by_seq). A large answer is rendered in several calls. With
/// this order, a call continues where the last call stopped. Without it, each call looks at every
/// selected symbol again.
///
/// Keep one for each market, and call [`catch_up`](Self::catch_up) before each render call.
/// Default: an empty order, which must catch up before use.
#[derive(Debug, Default)]
pub struct UpdateOrder {
    /// Each symbol with the sequence number of its last change. Outdated entries of earlier changes
    /// may also be present.
    entries: Vec<(Seq, SymbolId)>,
    as_of: Seq,
}

impl UpdateOrder {
    /// Checks whether rendering this selection with the order is faster than without: the selection
    /// is [large](Selection::is_wide) and has at least a quarter of the market. If not, the render
    /// functions ignore the order, and the caller need not update it.
    #[must_use]
    pub fn suits(selection: &Selection, market: &Market) -> bool {
        selection.is_wide() && selection.len() >= market.len() / 4
    }

    /// Adds the changes up to the head of a market and its tape. The market must be the same in
    /// each call. If the tape no longer holds all changes since the last call, the order is built
    /// again from the market.
    pub fn catch_up(&mut self, market: &Market, tape: &Tape) {
        let behind = market.head().get() - self.as_of.get();
        let max_entries = 2 * market.len() + MAX_OUTDATED;
        if behind == 0 {
            return;
        }
        let recent = behind <= max_entries as u64;
        if let Some(runs) = recent.then(|| tape.runs(self.as_of)).flatten() {
            for run in runs {
                let changes = run.entries().map(|(seq, entry)| (seq, entry.symbol));
                self.entries.extend(changes);
            }
            if self.entries.len() > max_entries {
                self.entries
                    .retain(|(seq, id)| market.last_seq(*id) == *seq);
            }
        } else {
            self.entries.clear();
            self.entries
                .extend(market.ids_from(0).map(|id| (market.last_seq(id), id)));
            self.entries.sort_unstable();
        }
        self.as_of = market.head();
    }

    /// Returns the changes after `from` and up to `until`, in order. Some are outdated: their symbol
    /// has changed again since.
    pub(super) fn between(&self, (from, until): (Seq, Seq)) -> &[(Seq, SymbolId)] {
        let start = self.entries.partition_point(|(seq, _)| *seq <= from);
        let later = &self.entries[start..];
        &later[..later.partition_point(|(seq, _)| *seq <= until)]
    }
}
