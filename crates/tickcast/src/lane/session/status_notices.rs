//! The states of sources and symbols, as a resumable stream is told them.

use tickcast_core::{
    MAX_FILTER_ENTRIES, Notice, Selection, Seq, SourceId, SourceStatus, State, Symbol, SymbolId,
    SymbolSet, TickView, Time,
};

use crate::lane::groups::GroupId;
use crate::lane::stream::Stream;
use crate::lane::{Key, Lane, Sink};
use crate::sources::VersionedSymbolStatus;

/// The reason for the stale state of a price from before a restart.
const RESTARTED: &str = "from before a restart";

/// Maximum number of symbols for which single status events are sent. A stream with more symbols is
/// sent the status of sources only, because one event per symbol would be a flood.
const MAX_STATUS_SYMBOLS: usize = MAX_FILTER_ENTRIES;

/// Maximum number of symbols with a state of their own in one payload: about 64 KiB. The others follow
/// in the next payloads.
const MAX_CHANGED_SYMBOLS: usize = 500;

impl<S: Sink> Lane<S> {
    /// Checks whether a group has so few symbols that their states are sent singly.
    pub(super) fn has_few_symbols(&self, group: GroupId) -> bool {
        self.groups.selection(group).len() <= MAX_STATUS_SYMBOLS
    }

    /// Returns the changes of restored symbols that a stream at `seq` can be sent next: those whose
    /// tick it was sent. Until then, the price of the symbol is still the one from before.
    pub(super) fn restored_to_send(&self, key: Key, seq: Seq) -> &[(SymbolId, Seq)] {
        let stream = &self.streams[key];
        let Some(session) = &stream.session else {
            return &[];
        };
        let changes = self.restored.changes_after(session.restored);
        let selection = self.groups.selection(stream.slot.group);
        let allowed = session.may_send_restored.saturating_sub(session.restored);
        let can_be_sent = |(index, (id, first)): &(usize, &(SymbolId, Seq))| {
            *index < allowed
                || !selection.contains(*id)
                || self.has_tick_since(stream, (*id, *first), seq)
        };
        let count = changes.iter().enumerate().take(MAX_STATUS_SYMBOLS);
        &changes[..count.take_while(can_be_sent).count()]
    }

    /// Checks whether a stream at `seq` was sent a tick of a symbol that is not older than `first`.
    fn has_tick_since(&self, stream: &Stream<S>, (id, first): (SymbolId, Seq), seq: Seq) -> bool {
        // A stream of newest ticks may be sent a later one instead, which it has not reached yet.
        let of_all = stream.wants_every_tick() && first <= seq;
        of_all || self.replica.market().last_seq(id) <= seq
    }

    /// Returns the current status of a symbol, unless it was removed.
    pub(super) fn current_status(&self, id: SymbolId) -> Option<Notice<'_>> {
        let market = self.replica.market();
        market.newest(id)?;
        let (symbol, source) = (market.symbol(id), market.source(id));
        if source == SourceId::UNKNOWN {
            return Some(self.restored_status(id));
        }
        let trouble = self.statuses.trouble_of(source, symbol);
        Some(trouble.unwrap_or_else(|| Notice::SymbolStatus {
            symbol,
            state: State::Live,
            since: self.last_tick_time(id),
            reason: None,
        }))
    }

    /// Writes the status changes after a version: of sources and their symbols, and of symbols
    /// with a state of their own. For a new stream (`None`), writes every status that is not live.
    /// Returns the version that the stream has reached if there is more to write.
    pub(super) fn write_status_changes(
        &self,
        sent_version: Option<u64>,
        (key, seq): (Key, Seq),
        write: &mut impl FnMut(Notice<'_>),
    ) -> Option<u64> {
        let stream = &self.streams[key];
        let (group, market) = (stream.slot.group, self.replica.market());
        // The reader still shows the price from before the restart. It is told later. A new stream is
        // told what is not live.
        let told = stream.session.as_ref().filter(|_| sent_version.is_some());
        let changes = told.map(|session| self.restored.changes_after(session.restored));
        let unsent = changes
            .unwrap_or_default()
            .iter()
            .filter(|change| !self.has_tick_since(stream, **change, seq));
        let unsent: SymbolSet = unsent.map(|(id, _)| *id).collect();
        for (source, status) in self.statuses.changed_sources(sent_version) {
            write(Notice::Status(status));
            let SourceStatus { state, since, .. } = *status;
            let waits = |id: &SymbolId| state == State::Live && unsent.contains(*id);
            self.symbols_of(source, group)
                .filter(|id| !waits(id))
                .for_each(|id| {
                    write(Notice::SymbolStatus {
                        symbol: market.symbol(id),
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
        let mut changed = changed.peekable();
        let mut reached = None;
        for (source, status) in changed.by_ref().take(MAX_CHANGED_SYMBOLS) {
            reached = Some(status.version);
            let notice = self.statuses.symbol_status(source, status);
            match (&notice, self.listed_id(&status.symbol)) {
                (Notice::SymbolStatus { state, .. }, Some(id)) if *state == State::Live => {
                    if market.source(id) == SourceId::UNKNOWN {
                        write(self.restored_status(id));
                    } else if !unsent.contains(id) {
                        write(notice);
                    }
                }
                _ => write(notice),
            }
        }
        let has_more = changed.peek().is_some();
        if sent_version.is_none() {
            for id in self.symbols_of(SourceId::UNKNOWN, group) {
                write(self.restored_status(id));
            }
        }
        reached.filter(|_| has_more)
    }

    /// Returns the symbols of a source that a group wants. If the group wants too many symbols for
    /// single events, the result is empty.
    fn symbols_of(&self, source: SourceId, group: GroupId) -> impl Iterator<Item = SymbolId> {
        let market = self.replica.market();
        let few = self.has_few_symbols(group);
        let selection = few.then(|| self.groups.selection(group));
        let ids = selection.into_iter().flat_map(Selection::ids);
        ids.filter(move |id| market.source(*id) == source && market.newest(*id).is_some())
            .filter(move |id| !self.statuses.has_own_state(source, &market.symbol(*id)))
    }

    /// Returns the time of a symbol's newest tick.
    fn last_tick_time(&self, id: SymbolId) -> Time {
        let newest = self.replica.market().newest(id);
        newest
            .and_then(|frame| Some(TickView::read(frame.json())?.time))
            .unwrap_or_default()
    }

    /// Checks whether a source's status of a symbol matters: the symbol's newest tick must not be
    /// from another source.
    fn belongs_to(&self, status: &VersionedSymbolStatus, source: SourceId) -> bool {
        let market = self.replica.market();
        let listed = self.listed_id(&status.symbol);
        listed.is_none_or(|id| [source, SourceId::UNKNOWN].contains(&market.source(id)))
    }

    /// Returns the number of a symbol that has a newest tick.
    fn listed_id(&self, symbol: &Symbol) -> Option<SymbolId> {
        let market = self.replica.market();
        market.id(symbol).filter(|id| market.newest(*id).is_some())
    }

    /// Returns the status of a symbol whose newest tick is from before a restart.
    fn restored_status(&self, id: SymbolId) -> Notice<'static> {
        Notice::SymbolStatus {
            symbol: self.replica.market().symbol(id),
            state: State::Stale,
            since: self.last_tick_time(id),
            reason: Some(RESTARTED),
        }
    }
}
