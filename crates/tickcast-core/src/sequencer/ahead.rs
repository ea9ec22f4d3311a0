//! What a sequencer has decided and readers do not see yet.

use std::collections::VecDeque;

use crate::charts::NewPrice;
use crate::{Entry, Mark, Quote, Tape, Time};

/// The state of a sequencer that is ahead of its readers, because something has to happen before
/// they may see an entry: a disk has to have it.
#[derive(Debug)]
pub(super) struct Ahead {
    /// The tape up to the newest entry that readers see.
    pub(super) shown: Tape,
    /// What readers do not see yet, in order.
    pub(super) changes: VecDeque<Change>,
    /// Number of changes that readers have seen.
    seen: u64,
    /// Memory for states of symbols, which is used again.
    #[expect(clippy::vec_box, reason = "the boxes move to the changes and back")]
    spare: Vec<Box<Quote>>,
}

/// Maximum number of states of symbols whose memory is kept.
const MAX_SPARE: usize = 1024;

/// A change that readers do not see yet.
#[derive(Debug)]
pub(super) enum Change {
    /// A new entry of the tape.
    Entry {
        entry: Entry,
        price: Option<NewPrice>,
        /// The state of the symbol before.
        before: Option<Box<Quote>>,
        /// The next change of the symbol.
        next: Option<Mark>,
    },
    /// The progress of a request.
    Key {
        key: Box<str>,
        next: u64,
        done: bool,
        report: Box<[u8]>,
        at: Time,
    },
}

impl Ahead {
    pub(super) const fn new(shown: Tape) -> Self {
        Self {
            shown,
            changes: VecDeque::new(),
            seen: 0,
            spare: Vec::new(),
        }
    }

    /// Returns the position after all changes.
    pub(super) fn mark(&self) -> Mark {
        Mark(self.seen + self.changes.len() as u64)
    }

    /// Returns a copy of the state of a symbol.
    pub(super) fn copy(&mut self, quote: &Quote) -> Box<Quote> {
        match self.spare.pop() {
            Some(mut spare) => {
                *spare = quote.clone();
                spare
            }
            None => Box::new(quote.clone()),
        }
    }

    /// Keeps the memory of a copy that is no longer needed.
    pub(super) fn recycle(&mut self, copy: Option<Box<Quote>>) {
        self.spare
            .extend(copy.filter(|_| self.spare.len() < MAX_SPARE));
    }

    /// Returns the next change up to `until`.
    pub(super) fn next(&mut self, until: Mark) -> Option<Change> {
        if self.seen >= until.0 {
            return None;
        }
        let change = self.changes.pop_front()?;
        self.seen += 1;
        Some(change)
    }

    /// Returns the state of the symbol before the change that follows `mark`.
    pub(super) fn state_before(&self, mark: Mark) -> Option<&Quote> {
        match self.change(mark)? {
            Change::Entry { before, .. } => before.as_deref(),
            Change::Key { .. } => None,
        }
    }

    /// Notes that the change after `newer` is the next one of the symbol after that after `older`.
    pub(super) fn link(&mut self, older: Mark, newer: Mark) {
        let index = older.0.checked_sub(self.seen).map(|index| index as usize);
        let change = index.and_then(|index| self.changes.get_mut(index));
        if let Some(Change::Entry { next, .. }) = change {
            *next = Some(newer);
        }
    }

    fn change(&self, mark: Mark) -> Option<&Change> {
        let index = mark.0.checked_sub(self.seen)?;
        self.changes.get(index as usize)
    }
}
