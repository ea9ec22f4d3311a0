//! Shows the entries of a sequencer that runs ahead to its readers, or takes them back.

use super::Sequencer;
use super::ahead::{Ahead, Change};
use crate::charts::NewPrice;
use crate::{Digest, Entry, KeyProgress, Mark, Quote, Seq, SymbolId, Time};

impl Sequencer {
    /// Begins to be ahead of the readers: from now on, everything that can be read of the sequencer
    /// is as of what it has [shown](Self::show_until). Only new ticks are compared with the newest
    /// tick of their symbol, whether it is shown or not.
    pub fn run_ahead(&mut self) {
        self.show();
        let shown = self.tape.tape().clone();
        self.ahead.get_or_insert_with(|| Ahead::new(shown));
    }

    /// Returns the position after all changes so far.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.ahead.as_ref().map_or(Mark(0), Ahead::mark)
    }

    /// Returns the position of the newest entry and the digest there, whether it is shown or not.
    #[must_use]
    pub const fn newest_position(&self) -> (Seq, Digest) {
        let tape = self.tape.tape();
        (tape.head(), tape.digest())
    }

    /// Returns the newest entry if it is not shown yet, with the state of its symbol after it.
    #[must_use]
    pub fn newest_entry(&self) -> Option<(&Entry, Option<&Quote>)> {
        match self.ahead.as_ref()?.changes.back()? {
            Change::Entry { entry, .. } => {
                Some((entry, self.quotes[entry.symbol.index()].as_ref()))
            }
            Change::Key { .. } => None,
        }
    }

    /// Shows the changes up to `until` to the readers. Returns whether there were new entries.
    pub fn show_until(&mut self, until: Mark) -> bool {
        let before = self.tape().head();
        while let Some(change) = self.ahead.as_mut().and_then(|ahead| ahead.next(until)) {
            self.apply_change(change);
        }
        let head = self.tape().head();
        self.tape.show_until(head);
        head > before
    }

    fn apply_change(&mut self, change: Change) {
        match change {
            Change::Entry {
                entry,
                price,
                before,
                next,
            } => {
                let Some(ahead) = &mut self.ahead else { return };
                ahead.recycle(before);
                ahead.shown.advance_by(&entry);
                let seq = ahead.shown.head();
                if let Some(quote) = &mut self.quotes[entry.symbol.index()] {
                    let newest = quote.unshown.map(|(_, newest)| newest);
                    quote.unshown = next.zip(newest);
                }
                self.apply(seq, &entry, price);
            }
            Change::Key {
                key,
                next,
                done,
                report,
                at,
            } => {
                let progress = KeyProgress {
                    key: &key,
                    next,
                    done,
                    report: &report,
                };
                self.keys.record(progress, at);
            }
        }
    }

    /// Checks whether readers can see every entry. The progress of requests may be left to show.
    #[must_use]
    pub fn shows_all_entries(&self) -> bool {
        self.tape().head() == self.newest_position().0
    }

    /// Takes back all changes that are not shown, as if they had never been made. New symbols stay
    /// as symbols without a tick.
    pub fn take_back(&mut self) {
        let Some(ahead) = &mut self.ahead else { return };
        for change in std::mem::take(&mut ahead.changes).into_iter().rev() {
            if let Change::Entry { entry, before, .. } = change {
                let quote = &mut self.quotes[entry.symbol.index()];
                *quote = before.map(|before| *before);
                quote.iter_mut().for_each(|quote| quote.unshown = None);
            }
        }
        self.new_closes.forget_after(ahead.shown.head());
        self.tape.cut(&ahead.shown);
    }

    /// Returns the state of a symbol as of what is shown.
    pub(super) fn shown_quote(&self, id: SymbolId) -> Option<&Quote> {
        let newest = self.quotes[id.index()].as_ref()?;
        match (&self.ahead, newest.unshown) {
            (Some(ahead), Some((oldest, _))) => ahead.state_before(oldest),
            _ => Some(newest),
        }
    }

    /// Returns the state of a symbol before a change, if that has to be kept.
    pub(super) fn kept(&mut self, id: SymbolId) -> Option<Box<Quote>> {
        let ahead = self.ahead.as_mut()?;
        Some(ahead.copy(self.quotes[id.index()].as_ref()?))
    }

    /// Adds an entry to the tape. Applies it, or keeps it until it is shown.
    pub(super) fn push(
        &mut self,
        entry: Entry,
        price: Option<NewPrice>,
        before: Option<Box<Quote>>,
    ) -> Seq {
        let Some(ahead) = &mut self.ahead else {
            let seq = self.tape.tape().head().next();
            self.apply(seq, &entry, price);
            return self.tape.push(entry);
        };
        if let Some(quote) = &mut self.quotes[entry.symbol.index()] {
            let own = ahead.mark();
            if let Some((_, newest)) = quote.unshown {
                ahead.link(newest, own);
            }
            let oldest = quote.unshown.map_or(own, |(oldest, _)| oldest);
            quote.unshown = Some((oldest, own));
        }
        ahead.changes.push_back(Change::Entry {
            entry: entry.clone(),
            price,
            before,
            next: None,
        });
        self.tape.push(entry)
    }

    /// Records the progress of a request. It is shown together with the entries before it.
    pub fn record_key(&mut self, progress: KeyProgress<'_>, now: Time) {
        let Some(ahead) = &mut self.ahead else {
            return self.keys.record(progress, now);
        };
        ahead.changes.push_back(Change::Key {
            key: progress.key.into(),
            next: progress.next,
            done: progress.done,
            report: progress.report.into(),
            at: now,
        });
    }
}

#[cfg(test)]
mod tests;
