//! Computes the notices of a resumable stream, which are sent besides ticks.

use std::time::Duration;

use tickcast_core::{
    CloseReason, EventId, MAX_FILTER_ENTRIES, Notice, Now, Position, Selection, Seq, SourceId,
    SourceStatus, State, Symbol, SymbolId, TickView, Time,
};

use super::RETRY_MS;
use crate::lane::groups::GroupId;
use crate::lane::payload::{Payload, PayloadBuilder};
use crate::lane::rendered::{MAX_PAYLOAD_BYTES, Progress, Rendered};
use crate::lane::resume::settled_format;
use crate::lane::statuses::Statuses;
use crate::lane::{Key, Lane, Sink, WriteOutcome};
use crate::rate::Rate;
use crate::sources::{VersionedStatus, VersionedSymbolStatus};

/// Name and version of the server, as sent in `ready`.
const SERVER: &str = concat!("tickcast/", env!("CARGO_PKG_VERSION"));

/// The reason for the stale state of a price from before a restart.
const RESTARTED: &str = "from before a restart";

/// Maximum number of symbols for which single status events are sent. A stream with more symbols is
/// sent the status of sources only, because one event per symbol would be a flood.
const MAX_STATUS_SYMBOLS: usize = MAX_FILTER_ENTRIES;

impl<S: Sink> Lane<S> {
    /// Returns the version of the statuses that the lane has sent.
    pub(crate) const fn status_version(&self) -> u64 {
        self.statuses.version
    }

    /// Updates the statuses, because a source has changed its state, and sends the changes to all
    /// resumable streams.
    pub(crate) fn update_statuses(
        &mut self,
        statuses: Vec<VersionedStatus>,
        version: u64,
        now: Duration,
    ) {
        self.statuses = Statuses::new(statuses, version);
        self.visit_all(self.names.keys().collect(), now);
        self.remove_closed();
    }

    /// Returns the next notice that a resumable stream must be sent before more ticks.
    pub(in crate::lane) fn next_notice(&self, key: Key) -> Option<Rendered> {
        let stream = &self.streams[key];
        let session = stream.session.as_ref()?;
        let seq = self.reached(key);
        let group = stream.slot.group;
        let mut draft = PayloadBuilder::new();
        let id = self.id(group, seq);
        let mut write = |notice: Notice<'_>| notice.write(id, draft.bytes());
        let (progress, ticks) = if let Some((reason, last)) = &session.broken {
            // After a reset, the reader has seen nothing.
            let id = self.groups.format(group).id(self.position(Seq::ZERO));
            Notice::Reset {
                reason: *reason,
                last,
            }
            .write(id, draft.bytes());
            (Progress::Reset, 0)
        } else if session.sent_version != Some(self.statuses.version) {
            self.write_status_changes(session.sent_version, group, &mut write);
            (
                Progress::Statuses(self.statuses.version, self.restored.revived_count()),
                0,
            )
        } else if session.filter_changed {
            // The stream has already been sent the status of the sources.
            let of_symbols = |notice: &Notice<'_>| !matches!(notice, Notice::Status(_));
            self.write_status_changes(None, group, &mut |notice| {
                if of_symbols(&notice) {
                    write(notice);
                }
            });
            (Progress::FilterStatuses, 0)
        } else if let revived = self.sent_revived(session.revived, group, seq)
            && !revived.is_empty()
        {
            let selection = self.groups.selection(group);
            let few = selection.len() <= MAX_STATUS_SYMBOLS;
            let told = revived.iter().filter(|id| few && selection.contains(**id));
            for id in told.copied() {
                let symbol = self.replica.market().symbol(id);
                let since = self.last_tick_time(symbol);
                write(Notice::SymbolStatus {
                    symbol,
                    state: State::Live,
                    since,
                    reason: None,
                });
            }
            (Progress::Revived(session.revived + revived.len()), 0)
        } else if !session.added.is_empty() {
            let added = session.added.ids_from(session.added_from);
            let (from, ticks) = self.render_added(group, added, seq, draft.bytes());
            (Progress::Added(from, self.head()), ticks)
        // If the tape no longer holds this position, `ready` is sent at the head.
        } else if let Some(at) = self
            .position(seq)
            .filter(|_| session.ready.is_some_and(|at| seq >= at))
        {
            let filter = self.groups.filter(group).filter_hash();
            let ready = Notice::Ready {
                stream: &session.id.to_string(),
                symbols: self.groups.listed(group, self.replica.market()),
                filter,
                mode: session.mode,
                rate: session.rate.map(Rate::rate),
                heartbeat: session.heartbeat.as_secs(),
                resumed: session.resumed,
                delay: Some(self.limits.delay.as_secs()).filter(|delay| *delay > 0),
                server: SERVER,
            };
            ready.write(
                settled_format(self.groups.format(group), filter).id(Some(at)),
                draft.bytes(),
            );
            (Progress::Ready, 0)
        } else {
            return None;
        };
        Some(Rendered {
            payload: draft.finish(),
            ticks,
            position: stream.position,
            progress: Some(progress),
        })
    }

    /// Returns those of the symbols that ticked again after a restart, after the first `told` ones,
    /// whose ticks a stream at `seq` was sent. The price of the others is still the one from before.
    fn sent_revived(&self, told: usize, group: GroupId, seq: Seq) -> &[SymbolId] {
        let revived = self.restored.revived_after(told);
        let (selection, market) = (self.groups.selection(group), self.replica.market());
        let is_sent = |id: &&SymbolId| market.last_seq(**id) <= seq || !selection.contains(**id);
        &revived[..revived.iter().take_while(is_sent).count()]
    }

    /// Writes the status changes after version `told`: of sources and their symbols, and of symbols
    /// with a state of their own. For a new stream (`None`), writes every status that is not live.
    fn write_status_changes(
        &self,
        sent_version: Option<u64>,
        group: GroupId,
        write: &mut impl FnMut(Notice<'_>),
    ) {
        for (source, status) in self.statuses.changed_sources(sent_version) {
            write(Notice::Status(status));
            let SourceStatus { state, since, .. } = *status;
            self.symbols_of(source, group).for_each(|symbol| {
                write(Notice::SymbolStatus {
                    symbol,
                    state,
                    since,
                    reason: None,
                });
            });
        }
        let filter = self.groups.filter(group);
        let changed = self.statuses.changed_symbols(sent_version);
        let changed = changed.filter(|(source, status)| {
            filter.matches(&status.symbol) && self.belongs_to(status, *source)
        });
        for (source, status) in changed.take(MAX_STATUS_SYMBOLS) {
            write(self.statuses.symbol_status(source, status));
        }
        if sent_version.is_none() {
            for symbol in self.symbols_of(SourceId::UNKNOWN, group) {
                let (state, since) = (State::Stale, self.last_tick_time(symbol));
                write(Notice::SymbolStatus {
                    symbol,
                    state,
                    since,
                    reason: Some(RESTARTED),
                });
            }
        }
    }

    /// Returns the symbols of a source that a group wants. If the group wants too many symbols for
    /// single events, the result is empty.
    fn symbols_of(&self, source: SourceId, group: GroupId) -> impl Iterator<Item = Symbol> {
        let market = self.replica.market();
        let selection = Some(self.groups.selection(group));
        let selection = selection.filter(|selection| selection.len() <= MAX_STATUS_SYMBOLS);
        let ids = selection.into_iter().flat_map(Selection::ids);
        ids.filter(move |id| market.source(*id) == source && market.newest(*id).is_some())
            .map(|id| market.symbol(id))
            .filter(move |symbol| !self.statuses.has_own_state(source, symbol))
    }

    /// Returns the time of a symbol's newest tick.
    fn last_tick_time(&self, symbol: Symbol) -> Time {
        let market = self.replica.market();
        let newest = market.id(&symbol).and_then(|id| market.newest(id));
        newest
            .and_then(|frame| Some(TickView::read(frame.json())?.time))
            .unwrap_or_default()
    }

    /// Checks whether a source's status of a symbol matters: the symbol's newest tick must not be
    /// from another source.
    fn belongs_to(&self, status: &VersionedSymbolStatus, source: SourceId) -> bool {
        let market = self.replica.market();
        let listed = market
            .id(&status.symbol)
            .filter(|id| market.newest(*id).is_some());
        listed.is_none_or(|id| [source, SourceId::UNKNOWN].contains(&market.source(id)))
    }

    /// Appends the newest ticks of added symbols to a stream at `position`. Symbols that were
    /// updated later are sent as normal ticks. Returns the symbol index from which ticks are still
    /// missing, and the number of ticks.
    fn render_added(
        &self,
        group: GroupId,
        added: impl Iterator<Item = SymbolId>,
        position: Seq,
        out: &mut Vec<u8>,
    ) -> (usize, usize) {
        let (market, format) = (self.replica.market(), self.groups.format(group));
        // If the tape no longer holds the position, its id says that it was reached as of the head.
        let as_of = || Some(self.position(self.head())?.reached(position));
        let at = Some(self.position(position).or_else(as_of).unwrap_or_default());
        let mut ticks = 0;
        for id in added {
            let wanted = self.groups.wants(group, id) && market.last_seq(id) <= position;
            if let Some(frame) = market.newest(id).filter(|_| wanted) {
                format.tick(at, frame, out);
                ticks += 1;
            }
            if out.len() >= MAX_PAYLOAD_BYTES {
                return (id.index() + 1, ticks);
            }
        }
        (usize::MAX, ticks)
    }

    /// Returns a heartbeat for a resumable stream; `None` for a simple stream.
    pub(in crate::lane) fn heartbeat(&self, key: Key, now: Now) -> Option<Payload> {
        let stream = &self.streams[key];
        stream.session.as_ref()?;
        let seq = self.reached(key);
        let on_disk = stream
            .session
            .as_ref()
            .and_then(|session| session.reached)
            .filter(|at| at.seq == seq);
        let on_disk = self.groups.format(stream.slot.group).id(on_disk);
        let id = self.id(stream.slot.group, seq).or(on_disk);
        let mut draft = PayloadBuilder::new();
        Notice::Heartbeat {
            time: now.wall,
            sources: &self.statuses.sources,
        }
        .write(id, draft.bytes());
        Some(draft.finish())
    }

    /// Ends a stream. A resumable stream is sent the reason.
    pub(in crate::lane) fn close_stream(&mut self, key: Key, reason: CloseReason) {
        if let Some(session) = &mut self.streams[key].session {
            session.close_reason = Some(reason);
        }
        self.end_stream(key);
    }

    /// Writes `bye` with the reason for the end, if it was not written yet. Returns whether the
    /// sink accepted it.
    pub(in crate::lane) fn write_bye(&mut self, key: Key) -> WriteOutcome {
        let stream = &self.streams[key];
        let Some(reason) = stream
            .session
            .as_ref()
            .and_then(|session| session.close_reason)
        else {
            return WriteOutcome::Taken;
        };
        // If `reset` was not sent yet, `bye` carries no id. The client then sends its old cursor
        // again and gets `reset`.
        let reset = stream
            .session
            .as_ref()
            .is_some_and(|session| session.broken.is_some());
        let id = self
            .id(stream.slot.group, self.reached(key))
            .filter(|_| !reset);
        let mut draft = PayloadBuilder::new();
        Notice::Bye {
            reason,
            retry: fastrand::u32(RETRY_MS),
        }
        .write(id, draft.bytes());
        let stream = &mut self.streams[key];
        let outcome = stream.sink.write(&draft.finish());
        if let Some(session) = stream
            .session
            .as_mut()
            .filter(|_| outcome == WriteOutcome::Taken)
        {
            session.close_reason = None;
        }
        outcome
    }

    /// Returns the id of an event that ends at a sequence number. An event without an id does not
    /// change the reader's cursor. There is no id if the tape no longer holds the position, because
    /// no reader could resume from there. There is also no id if the stream has been sent nothing
    /// yet, so that the reader keeps its first cursor.
    fn id(&self, group: GroupId, seq: Seq) -> Option<EventId> {
        self.groups.format(group).id(self
            .position(seq)
            .filter(|_| seq > Seq::ZERO || self.head() == Seq::ZERO))
    }

    fn position(&self, seq: Seq) -> Option<Position> {
        self.replica.tape().position(seq)
    }
}
