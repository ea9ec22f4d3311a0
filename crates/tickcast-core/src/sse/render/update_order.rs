//! The order in which symbols last changed.

use crate::{Market, Selection, Seq, SymbolId, Tape};

/// The order in which the symbols of a market last changed, as of one position: the symbol of the
/// oldest change first. What changed later is on the tape, in order.
///
/// Pass it in the [`LogView`](super::LogView) to [`conflated`](super::conflated) or
/// [`initial_by_seq`](super::initial_by_seq). A large answer is rendered in several calls. With
/// this order, a call continues where the last call stopped. Without it, each call looks at every
/// selected symbol again.
///
/// Everyone who follows the same log can share one, as long as it [fits](Self::fits).
#[derive(Debug)]
pub struct UpdateOrder {
    entries: Vec<(Seq, SymbolId)>,
    as_of: Seq,
}

impl UpdateOrder {
    /// Returns the order as of the head of a market. Takes time in proportion to all symbols.
    #[must_use]
    pub fn new(market: &Market) -> Self {
        let ids = market.ids_from(0).map(|id| (market.last_seq(id), id));
        let mut entries: Vec<_> = ids.filter(|(seq, _)| *seq <= market.head()).collect();
        entries.sort_unstable();
        Self {
            entries,
            as_of: market.head(),
        }
    }

    /// Checks whether the order makes rendering faster: the selection is
    /// [large](Selection::is_wide), and the tape does not reach back to `from`.
    #[must_use]
    pub fn is_needed(selection: &Selection, tape: &Tape, from: Seq) -> bool {
        selection.is_wide() && !tape.reaches_back_to(from)
    }

    /// Checks whether the order can be used with a tape: nothing has changed after the order was
    /// made, or the tape has it. If not, the render functions ignore the order.
    #[must_use]
    pub fn fits(&self, tape: &Tape) -> bool {
        self.as_of == tape.head() || self.as_of < tape.head() && tape.reaches_back_to(self.as_of)
    }

    /// Returns the position as of which this is the order.
    #[must_use]
    pub const fn as_of(&self) -> Seq {
        self.as_of
    }

    /// Returns the changes after `from` and up to `until`, in order. Some are outdated: their symbol
    /// has changed again since.
    pub(super) fn between(&self, (from, until): (Seq, Seq)) -> &[(Seq, SymbolId)] {
        let start = self.entries.partition_point(|(seq, _)| *seq <= from);
        let later = &self.entries[start..];
        &later[..later.partition_point(|(seq, _)| *seq <= until)]
    }
}
