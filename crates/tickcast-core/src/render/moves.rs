//! The order in which symbols moved.

use crate::{Market, Selection, Seq, SymbolId, Tape};

/// So many places that are out of date are not worth looking for.
const MAX_OUTDATED: usize = 1024;

/// The order in which the symbols of a market last moved. Whoever wants many of them, a piece at a time, need not look at all of them
/// for each piece.
#[derive(Debug, Default)]
pub struct UpdateOrder {
    /// Each symbol where it last moved, and places where some moved before that.
    entries: Vec<(Seq, SymbolId)>,
    as_of: Seq,
}

impl UpdateOrder {
    /// Whether a selection is so much of a market that it is quicker to go through all that moved than through what is selected.
    #[must_use]
    pub fn suits(selection: &Selection, market: &Market) -> bool {
        selection.is_wide() && selection.len() >= market.len() / 4
    }

    /// Comes to where a market and its tape stand.
    pub fn catch_up(&mut self, market: &Market, tape: &Tape) {
        let came = market.head().get() - self.as_of.get();
        let most = 2 * market.len() + MAX_OUTDATED;
        if came == 0 {
            return;
        }
        if tape.reaches_back_to(self.as_of) && came <= most as u64 {
            self.entries.extend(tape.after(self.as_of).map(|(seq, entry)| (seq, entry.symbol)));
            if self.entries.len() > most {
                self.entries.retain(|(seq, id)| market.last_seq(*id) == *seq);
            }
        } else {
            self.entries.clear();
            self.entries.extend(market.ids_from(0).map(|id| (market.last_seq(id), id)));
            self.entries.sort_unstable();
        }
        self.as_of = market.head();
    }

    /// The symbols that last moved after `from` and not after `until`, in that order.
    pub(super) fn between<'a>(
        &'a self,
        market: &'a Market,
        (from, until): (Seq, Seq),
    ) -> impl Iterator<Item = (Seq, SymbolId)> + 'a {
        let start = self.entries.partition_point(|(seq, _)| *seq <= from);
        let entries = self.entries[start..].iter().copied().take_while(move |(seq, _)| *seq <= until);
        entries.filter(|(seq, id)| market.last_seq(*id) == *seq)
    }
}
