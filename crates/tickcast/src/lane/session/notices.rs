//! What a resumable stream is told besides ticks, and when.

use std::time::Duration;

use tickcast_core::{
    CloseReason, EventId, MAX_FILTER_ENTRIES, Notice, Now, Position, Selection, Seq, SourceId, SourceStatus,
    State, Symbol, SymbolId, TickView, Time,
};

use super::RETRY_MS;
use crate::lane::groups::GroupId;
use crate::lane::payload::{Payload, PayloadBuilder};
use crate::lane::rendered::{MAX_PAYLOAD_BYTES, Progress, Rendered};
use crate::lane::resume::settled_format;
use crate::lane::statuses::Statuses;
use crate::lane::{Key, Lane, Sink, WriteOutcome};
use crate::sources::{VersionedStatus, VersionedSymbolStatus};
use crate::subscription::Rate;

/// Who says so.
const SERVER: &str = concat!("tickcast/", env!("CARGO_PKG_VERSION"));

/// Why a price from before a restart is stale.
const RESTARTED: &str = "from before a restart";

/// Readers of more symbols than a list can name are told of sources only: an event for each would be a flood.
const SYMBOLS_TOLD: usize = MAX_FILTER_ENTRIES;

impl<S: Sink> Lane<S> {
    /// Whether the sources have turned since the lane was last told.
    pub(crate) const fn status_version(&self) -> u64 {
        self.statuses.version
    }

    /// The sources have turned: tells everyone who wants to know.
    pub(crate) fn update_statuses(&mut self, turned: Vec<VersionedStatus>, turn: u64, now: Duration) {
        self.statuses = Statuses::new(turned, turn);
        for key in self.names.values().copied().collect::<Vec<_>>() {
            self.visit(key, now);
        }
        self.remove_closed();
    }

    /// The next thing a resumable stream is to be told before it is sent more ticks.
    pub(in crate::lane) fn next_notice(&self, key: Key) -> Option<Rendered> {
        let stream = &self.streams[key];
        let session = stream.session.as_ref()?;
        let seq = stream.position.seq(self.head());
        let group = stream.slot.group;
        let mut draft = PayloadBuilder::new();
        let id = self.id(group, seq);
        let mut write = |notice: Notice<'_>| notice.write(id, draft.bytes());
        let (progress, ticks) = if let Some((reason, last)) = &session.broken {
            // From here on its reader has seen nothing.
            let id = self.groups.format(group).id(self.position(Seq::ZERO));
            Notice::Reset { reason: *reason, last }.write(id, draft.bytes());
            (Progress::Reset, 0)
        } else if session.told_version != Some(self.statuses.version) {
            self.write_status_changes(session.told_version, group, &mut write);
            (Progress::Statuses(self.statuses.version, self.restored.revived_count()), 0)
        } else if session.filter_changed {
            // It knows how the sources are.
            let of_symbols = |notice: &Notice<'_>| !matches!(notice, Notice::Status(_));
            self.write_status_changes(None, group, &mut |notice| {
                if of_symbols(&notice) {
                    write(notice);
                }
            });
            (Progress::FilterStatuses, 0)
        } else if session.revived < self.restored.revived_count() {
            let wanted = self.groups.selection(group);
            let told = self.restored.revived_after(session.revived).iter();
            let few = wanted.len() <= SYMBOLS_TOLD;
            for id in told.copied().filter(|id| few && wanted.contains(*id)) {
                let symbol = self.replica.market().symbol(id);
                let since = self.last_tick_time(symbol);
                write(Notice::SymbolStatus { symbol, state: State::Live, since, reason: None });
            }
            (Progress::Revived(self.restored.revived_count()), 0)
        } else if !session.added.is_empty() {
            let added = session.added.ids_from(session.added_from);
            let (from, ticks) = self.render_added(group, added, seq, draft.bytes());
            (Progress::Added(from, self.head()), ticks)
        // Where the tape has moved on beyond that place, it is ready at the head.
        } else if let Some(at) = self.position(seq).filter(|_| session.ready.is_some_and(|at| seq >= at)) {
            let filter = self.groups.filter(group).filter_hash();
            let ready = Notice::Ready {
                stream: &session.id.to_string(),
                symbols: self.groups.listed(group, self.replica.market()),
                filter,
                mode: session.mode,
                rate: session.rate.map(Rate::rate),
                heartbeat: session.heartbeat.as_secs(),
                resumed: session.resumed,
                server: SERVER,
            };
            ready.write(settled_format(self.groups.format(group), filter).id(Some(at)), draft.bytes());
            (Progress::Ready, 0)
        } else {
            return None;
        };
        Some(Rendered { payload: draft.finish(), ticks, position: stream.position, progress: Some(progress) })
    }

    /// What a stream has yet to hear that was told up to turn `told`: sources that have turned and their symbols, and symbols that
    /// have by themselves. To a newcomer, what is not live.
    fn write_status_changes(&self, told: Option<u64>, group: GroupId, write: &mut impl FnMut(Notice<'_>)) {
        for (origin, status) in self.statuses.news(told) {
            write(Notice::Status(status));
            let SourceStatus { state, since, .. } = *status;
            self.symbols_of(origin, group)
                .for_each(|symbol| write(Notice::SymbolStatus { symbol, state, since, reason: None }));
        }
        let filter = self.groups.filter(group);
        let apart = self.statuses.symbol_news(told);
        let apart = apart.filter(|(origin, own)| filter.matches(&own.symbol) && self.is_of(*origin, own));
        for (origin, own) in apart.take(SYMBOLS_TOLD) {
            write(self.statuses.symbol_status(origin, own));
        }
        if told.is_none() {
            for symbol in self.symbols_of(SourceId::UNKNOWN, group) {
                let (state, since) = (State::Stale, self.last_tick_time(symbol));
                write(Notice::SymbolStatus { symbol, state, since, reason: Some(RESTARTED) });
            }
        }
    }

    /// The symbols of a source that a group wants, where those that it wants are not too many to be told of one by one.
    fn symbols_of(&self, origin: SourceId, group: GroupId) -> impl Iterator<Item = Symbol> {
        let market = self.replica.market();
        let wanted = Some(self.groups.selection(group)).filter(|wanted| wanted.len() <= SYMBOLS_TOLD);
        let wanted = wanted.into_iter().flat_map(Selection::ids);
        wanted
            .filter(move |id| market.source(*id) == origin && market.newest(*id).is_some())
            .map(|id| market.symbol(id))
            .filter(move |symbol| !self.statuses.is_apart(origin, symbol))
    }

    /// When a symbol's newest tick happened.
    fn last_tick_time(&self, symbol: Symbol) -> Time {
        let market = self.replica.market();
        let newest = market.id(&symbol).and_then(|id| market.newest(id));
        newest.and_then(|frame| Some(TickView::read(frame.json())?.time)).unwrap_or_default()
    }

    /// Whether what a source says of a symbol matters: its newest tick is not another one's.
    fn is_of(&self, origin: SourceId, own: &VersionedSymbolStatus) -> bool {
        let market = self.replica.market();
        let ticked = market.id(&own.symbol).filter(|id| market.newest(*id).is_some());
        ticked.is_none_or(|id| [origin, SourceId::UNKNOWN].contains(&market.source(id)))
    }

    /// Appends the newest ticks of symbols that were added to a stream that stands at `place`; those that moved later come by
    /// themselves. Says from which symbol on they are left.
    fn render_added(
        &self,
        group: GroupId,
        added: impl Iterator<Item = SymbolId>,
        position: Seq,
        out: &mut Vec<u8>,
    ) -> (usize, usize) {
        let (market, format) = (self.replica.market(), self.groups.format(group));
        // A place that the tape has forgotten is as good as any before it.
        let at = Some(self.position(position).unwrap_or_default());
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

    /// A heartbeat for a stream, where it is one that has them.
    pub(in crate::lane) fn heartbeat(&self, key: Key, now: Now) -> Option<Payload> {
        let stream = &self.streams[key];
        stream.session.as_ref()?;
        let seq = stream.position.seq(self.head());
        let on_disk = stream.session.as_ref().and_then(|session| session.reached).filter(|at| at.seq == seq);
        let on_disk = self.groups.format(stream.slot.group).id(on_disk);
        let id = self.id(stream.slot.group, seq).or(on_disk);
        let mut draft = PayloadBuilder::new();
        Notice::Heartbeat { time: now.wall, sources: &self.statuses.sources }.write(id, draft.bytes());
        Some(draft.finish())
    }

    /// Ends a stream, and says why where it is one that can be told.
    pub(in crate::lane) fn close_stream(&mut self, key: Key, why: CloseReason) {
        if let Some(session) = &mut self.streams[key].session {
            session.close_reason = Some(why);
        }
        self.end_stream(key);
    }

    /// Says why a stream ends, where that has yet to be said; says whether that is done with.
    pub(in crate::lane) fn write_bye(&mut self, key: Key) -> WriteOutcome {
        let stream = &self.streams[key];
        let Some(reason) = stream.session.as_ref().and_then(|session| session.close_reason) else {
            return WriteOutcome::Taken;
        };
        // Whoever has yet to hear that its cursor is no good keeps it, and hears so when it comes back.
        let reset = stream.session.as_ref().is_some_and(|session| session.broken.is_some());
        let id = self.id(stream.slot.group, stream.position.seq(self.head())).filter(|_| !reset);
        let mut draft = PayloadBuilder::new();
        Notice::Bye { reason, retry: fastrand::u32(RETRY_MS) }.write(id, draft.bytes());
        let stream = &mut self.streams[key];
        let written = stream.sink.write(&draft.finish());
        if let Some(session) = stream.session.as_mut().filter(|_| written == WriteOutcome::Taken) {
            session.close_reason = None;
        }
        written
    }

    /// What an event that ends at a place is marked with. One that has no id leaves its reader's cursor as it is: where the tape
    /// has forgotten a place nobody could go on from there, and one that has been sent nothing yet has the place it came with.
    fn id(&self, group: GroupId, seq: Seq) -> Option<EventId> {
        self.groups
            .format(group)
            .id(self.position(seq).filter(|_| seq > Seq::ZERO || self.head() == Seq::ZERO))
    }

    fn position(&self, seq: Seq) -> Option<Position> {
        self.replica.tape().position(seq)
    }
}
