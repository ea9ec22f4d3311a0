//! The session of a resumable stream: the state that a simple stream does not have.

mod notices;
mod status_notices;

use std::sync::Arc;
use std::time::Duration;

use tickcast_core::{CloseReason, Mode, Position, ResumeError, Seq, SymbolSet};

use super::rendered::Progress;
use crate::access::Viewer;
use crate::rate::Rate;
use crate::subscription::{ChangeLimit, ChangeTooSoon, PreparedStream, SessionOptions, StreamId};

/// Reconnect delay after a stream was ended, in milliseconds. Each reader gets a random delay in
/// this range.
pub(crate) const RETRY_MS: std::ops::RangeInclusive<u32> = 2000..=5000;

/// The session of a resumable stream. Notices are not queued: when the sink is writable, the next
/// notice is computed from the current state.
pub(super) struct Session {
    pub(super) id: StreamId,
    pub(super) mode: Mode,
    pub(super) rate: Option<Rate>,
    pub(super) viewer: Viewer,
    /// The prepared stream that the stream follows.
    pub(super) prepared_stream: Option<Arc<PreparedStream>>,
    pub(super) heartbeat: Duration,
    /// The reason why the reader cannot resume, with its cursor. `reset` has not been sent yet.
    broken: Option<(ResumeError, Box<str>)>,
    /// The cursor of the reader, if only the disk can tell whether the cursor belongs to this tape.
    pub(super) unverified: Option<(Position, Box<str>)>,
    resumed: bool,
    /// The version up to which status changes were sent. `None`: no status has been sent yet.
    sent_version: Option<u64>,
    /// Whether the filter changed. If so, the symbols that are not live are sent before their
    /// ticks.
    filter_changed: bool,
    /// Number of changes of restored symbols that were sent, or that came before the stream opened.
    restored: usize,
    /// Number of such changes that may be sent, because the ticks before them were sent. The sink
    /// refused them then, and the symbols may have ticked again.
    may_send_restored: usize,
    /// Whether the reader was sent the states of single symbols.
    knows_symbols: bool,
    /// The added symbols whose newest ticks have to be sent, and the symbol index from which they
    /// are still missing.
    added: SymbolSet,
    added_from: usize,
    /// Whether all symbols of the group have to be added. They are known once the group has been
    /// compared with all symbols.
    adds_all: bool,
    /// The sequence number at which `ready` has to be sent.
    pub(super) ready: Option<Seq>,
    /// The position up to which the stream was read from the tape on disk, if memory does not reach
    /// back to it.
    pub(super) reached: Option<Position>,
    /// Held while the stream waits for a payload from the tape on disk.
    pub(super) awaits_history: Option<Arc<()>>,
    /// The reason why the stream ends. `bye` has not been sent yet.
    close_reason: Option<CloseReason>,
    change_limit: ChangeLimit,
}

impl Session {
    pub(super) fn new(options: SessionOptions, rate: Option<Rate>, head: Seq) -> Self {
        let SessionOptions {
            id,
            mode,
            heartbeat,
            last,
            broken,
            unverified,
            viewer,
            prepared_stream,
        } = options;
        let resumed = last.is_some() && broken.is_none();
        let unverified = unverified.zip(last.clone());
        let broken = broken.zip(last);
        Self {
            id,
            mode,
            rate,
            viewer,
            prepared_stream,
            heartbeat,
            broken,
            unverified,
            resumed,
            sent_version: None,
            filter_changed: false,
            restored: 0,
            may_send_restored: 0,
            knows_symbols: false,
            added: SymbolSet::new(),
            added_from: 0,
            adds_all: false,
            ready: Some(head),
            reached: None,
            awaits_history: None,
            close_reason: None,
            change_limit: ChangeLimit::default(),
        }
    }

    /// Checks whether the stream was sent the states of this version.
    pub(super) fn has_statuses(&self, version: u64) -> bool {
        self.sent_version == Some(version)
    }

    /// Counts an attempt to change the stream, unless there are too many.
    pub(super) fn admit_change(&mut self, now: Duration) -> Result<(), ChangeTooSoon> {
        self.change_limit.admit(self.viewer.rate_limit(), now)
    }

    /// Records that the filter has changed.
    pub(super) const fn note_filter_change(&mut self) {
        self.filter_changed = true;
    }

    /// Adds symbols whose newest ticks have to be sent.
    pub(super) fn add(&mut self, mut symbols: SymbolSet) {
        symbols.extend(self.added.ids_from(self.added_from));
        (self.added, self.added_from) = (symbols, 0);
    }

    /// Restarts the stream with `reset` at `head`, because the reader's cursor does not belong to
    /// this tape.
    pub(super) fn restart_with_reset(&mut self, head: Seq) {
        self.broken = self
            .unverified
            .take()
            .map(|(_, last)| (ResumeError::Epoch, last));
        // A reset cancels everything that was sent before, so the statuses are sent again.
        self.sent_version = None;
        self.resumed = false;
        self.ready = Some(head);
    }

    /// Marks all symbols of the group as added, so that their newest ticks are sent.
    pub(super) const fn add_all(&mut self) {
        self.adds_all = true;
    }

    /// Takes the mark of [`add_all`](Self::add_all). Returns whether it was set.
    pub(super) const fn take_adds_all(&mut self) -> bool {
        std::mem::replace(&mut self.adds_all, false)
    }

    /// Records progress that the sink refused. It is tried again later.
    pub(super) const fn note_refused(&mut self, progress: Progress) {
        if let Progress::Restored(restored) = progress {
            self.may_send_restored = restored;
        }
    }

    /// Records the progress that was sent.
    pub(super) fn record(&mut self, progress: Progress) {
        match progress {
            Progress::Reset => self.broken = None,
            Progress::Statuses(version, restored, of_symbols) => {
                if self.sent_version.replace(version).is_none() {
                    (self.restored, self.filter_changed) = (restored, false);
                }
                self.knows_symbols |= of_symbols;
            }
            Progress::FilterStatuses(version, of_symbols) => {
                (self.sent_version, self.filter_changed) = (Some(version), false);
                self.knows_symbols |= of_symbols;
            }
            Progress::Restored(restored) => self.restored = restored,
            Progress::Added(from, as_of) => {
                self.added_from = from;
                if self.added.ids_from(from).next().is_none() {
                    (self.added, self.added_from) = (SymbolSet::new(), 0);
                }
                // Before this position, not all added symbols have been sent. On a restored tape,
                // other ticks may be the newest.
                self.ready = self.ready.max(Some(as_of));
            }
            Progress::Ready => self.ready = None,
        }
    }
}
