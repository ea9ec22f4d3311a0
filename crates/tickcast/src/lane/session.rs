//! What a resumable stream has beyond a simple one.

mod notices;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tickcast_core::{CloseReason, Mode, Position, ResumeError, Seq, SymbolSet};

use super::Key;
use super::rendered::Progress;
use crate::subscription::{CHANGES_PER_SECOND, Rate, SessionOptions, StreamId};

/// When readers whose stream was ended come back, in milliseconds: each draws its own time.
pub(crate) const RETRY_MS: std::ops::RangeInclusive<u32> = 2000..=5000;

/// What a resumable stream has beyond a simple one. Whatever there is to say is derived when it can be said: nothing waits in
/// a queue.
pub(super) struct Session {
    pub(super) id: StreamId,
    pub(super) mode: Mode,
    pub(super) rate: Option<Rate>,
    pub(super) heartbeat: Duration,
    /// Its reader cannot go on with what it came with, and has yet to be told.
    broken: Option<(ResumeError, Box<str>)>,
    /// What it came with, where only the disk can say whether that is of this tape.
    pub(super) unverified: Option<(Position, Box<str>)>,
    resumed: bool,
    /// The sources' turns up to this one were told; `None`: it has not been told of any.
    told_version: Option<u64>,
    /// It asks for other symbols since: what is not live of them comes before their ticks.
    filter_changed: bool,
    /// How many of the symbols that ticked for the first time since a restart it was told of, or came too late for.
    revived: usize,
    /// Symbols that were added, and that it is to be given the newest ticks of, from the so-manieth symbol of the market on.
    added: SymbolSet,
    added_from: usize,
    /// All that its group wants has been added: which symbols those are is known once the group has looked at all there are.
    adds_all: bool,
    /// Where it is to hear that it has caught up.
    pub(super) ready: Option<Seq>,
    /// How far it was read to from the tape on disk, where memory does not reach.
    pub(super) reached: Option<Position>,
    /// As long as this is held, a piece of the tape on disk is waited for.
    pub(super) awaits_history: Option<Arc<()>>,
    /// Why it ends, and has yet to be told.
    close_reason: Option<CloseReason>,
    /// The second it was last to be changed in, and how often in it.
    changed_in: u64,
    changes: u32,
}

/// The resumable streams of a lane by their names.
pub(super) type StreamNames = HashMap<StreamId, Key>;

impl Session {
    pub(super) fn new(terms: SessionOptions, rate: Option<Rate>, head: Seq) -> Self {
        let SessionOptions { id, mode, heartbeat, last, broken, unverified } = terms;
        let resumed = last.is_some() && broken.is_none();
        let unverified = unverified.zip(last.clone());
        let broken = broken.zip(last);
        Self {
            id,
            mode,
            rate,
            heartbeat,
            broken,
            unverified,
            resumed,
            told_version: None,
            filter_changed: false,
            revived: 0,
            added: SymbolSet::new(),
            added_from: 0,
            adds_all: false,
            ready: Some(head),
            reached: None,
            awaits_history: None,
            close_reason: None,
            changed_in: 0,
            changes: 0,
        }
    }

    /// Whether it may be changed by now. The attempt counts, whatever comes of it: working a change out costs more than making it.
    pub(super) fn try_change(&mut self, now: Duration) -> bool {
        if self.changed_in != now.as_secs() {
            (self.changed_in, self.changes) = (now.as_secs(), 0);
        }
        let may = self.changes < CHANGES_PER_SECOND;
        self.changes += u32::from(may);
        may
    }

    /// It asks for other symbols from now on.
    pub(super) const fn note_filter_change(&mut self) {
        self.filter_changed = true;
    }

    /// It is to be given the newest ticks of these, too.
    pub(super) fn add(&mut self, mut symbols: SymbolSet) {
        symbols.extend(self.added.ids_from(self.added_from));
        (self.added, self.added_from) = (symbols, 0);
    }

    /// What it came with was not of this tape: it begins anew where the log stands at `head`.
    pub(super) fn restart_with_reset(&mut self, head: Seq) {
        self.broken = self.unverified.take().map(|(_, last)| (ResumeError::Epoch, last));
        // A reset takes back what was said before: what is not live is told again.
        self.told_version = None;
        self.resumed = false;
        self.ready = Some(head);
    }

    /// It is to be given the newest ticks of all that its group wants.
    pub(super) const fn add_all(&mut self) {
        self.adds_all = true;
    }

    /// Whether all that its group wants is to be added now.
    pub(super) const fn take_adds_all(&mut self) -> bool {
        std::mem::replace(&mut self.adds_all, false)
    }

    /// It was told this.
    pub(super) fn record(&mut self, progress: Progress) {
        match progress {
            Progress::Reset => self.broken = None,
            Progress::Statuses(turn, revived) => {
                if self.told_version.replace(turn).is_none() {
                    (self.revived, self.filter_changed) = (revived, false);
                }
            }
            Progress::FilterStatuses => self.filter_changed = false,
            Progress::Revived(revived) => self.revived = revived,
            Progress::Added(from, as_of) => {
                self.added_from = from;
                if self.added.ids_from(from).next().is_none() {
                    (self.added, self.added_from) = (SymbolSet::new(), 0);
                }
                // Before that it has not been sent all that was added: on a tape that was put back, others may be the newest.
                self.ready = self.ready.max(Some(as_of));
            }
            Progress::Ready => self.ready = None,
        }
    }
}
