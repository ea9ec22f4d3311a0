//! What a resumable stream is told besides ticks, and when.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tickcast_core::{
    CloseReason, EventId, MAX_FILTER_ENTRIES, Mode, Notice, Now, Position, ResumeError, Selection, Seq,
    SourceId, SourceStatus, State, Symbol, SymbolId, SymbolSet, TickView, Time,
};

use super::groups::{GroupId, LONGEST, Rendered};
use super::payload::{Payload, PayloadBuilder};
use super::resume::settled_format;
use super::{Key, Lane, Sink, WriteOutcome};
use crate::sources::{VersionedStatus, VersionedSymbolStatus};
use crate::subscription::{Rate, SessionOptions, StreamId};

/// Who says so.
const SERVER: &str = concat!("tickcast/", env!("CARGO_PKG_VERSION"));

/// When readers whose stream was ended come back, in milliseconds: each draws its own time.
pub(crate) const RETRY_MS: std::ops::RangeInclusive<u32> = 2000..=5000;

/// Why a price from before a restart is stale.
const RESTARTED: &str = "from before a restart";

/// How often a stream may be changed within a second: more than anyone can click.
pub(crate) const CHANGES_PER_SECOND: u32 = 10;

/// Readers of more symbols than a list can name are told of sources only: an event for each would be a flood.
const SYMBOLS_TOLD: usize = MAX_FILTER_ENTRIES;

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

/// What a step said beyond ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Reset,
    /// The sources' turns up to this one, to someone who came after so many symbols had ticked again.
    Statuses(u64, usize),
    /// What is not live of the symbols that it asks for by now.
    FilterStatuses,
    /// So many symbols that ticked again.
    Revived(usize),
    /// The newest ticks of added symbols, before the so-manieth of the market. Those that had moved since come by themselves, as of this
    /// place.
    Added(usize, Seq),
    Ready,
}

/// How the sources of the market are doing.
#[derive(Default)]
pub(super) struct Statuses {
    sources: Vec<SourceStatus>,
    /// The last turn of each.
    versions: Vec<u64>,
    /// Symbols of each that have turned by themselves, in order of their names.
    symbols: Vec<Vec<VersionedSymbolStatus>>,
    pub(super) version: u64,
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

impl Statuses {
    pub(super) fn new(turned: Vec<VersionedStatus>, turn: u64) -> Self {
        let (mut sources, mut turns, mut symbols) = (Vec::new(), Vec::new(), Vec::new());
        for VersionedStatus { status, version: turn, symbols: own } in turned {
            sources.push(status);
            turns.push(turn);
            symbols.push(own);
        }
        Self { sources, versions: turns, symbols, version: turn }
    }

    /// The symbols that have turned by themselves, and of which someone has yet to hear who was told up to turn `told`.
    fn symbol_news(&self, told: Option<u64>) -> impl Iterator<Item = (SourceId, &VersionedSymbolStatus)> {
        let symbols = (0..).map(SourceId).zip(&self.symbols);
        let symbols = symbols.flat_map(|(origin, own)| own.iter().map(move |symbol| (origin, symbol)));
        symbols.filter(move |(_, symbol)| match told {
            Some(told) => symbol.version > told,
            None => symbol.state != State::Live,
        })
    }

    /// What is told of a symbol that has turned: one that is live by itself is as its source is.
    fn symbol_status<'a>(&'a self, origin: SourceId, own: &'a VersionedSymbolStatus) -> Notice<'a> {
        let source = self.sources.get(usize::from(origin.0));
        let source = source.filter(|source| own.state == State::Live && source.state != State::Live);
        match source {
            Some(SourceStatus { state, since, .. }) => {
                Notice::SymbolStatus { symbol: own.symbol, state: *state, since: *since, reason: None }
            }
            None => Notice::SymbolStatus {
                symbol: own.symbol,
                state: own.state,
                since: own.since,
                reason: own.reason.as_deref(),
            },
        }
    }

    /// Whether a symbol is not as its source is.
    fn is_apart(&self, origin: SourceId, symbol: &Symbol) -> bool {
        let Some(own) = self.symbols.get(usize::from(origin.0)) else { return false };
        let at = own.binary_search_by(|own| own.symbol.cmp(symbol));
        at.is_ok_and(|at| own[at].state != State::Live)
    }

    /// What someone has yet to hear who was told up to turn `told`; a newcomer hears of what is not as it should be.
    fn news(&self, told: Option<u64>) -> impl Iterator<Item = (SourceId, &SourceStatus)> {
        let sources = (0..).map(SourceId).zip(self.sources.iter().zip(&self.versions));
        sources.filter_map(move |(origin, (source, turn))| match told {
            Some(told) => (*turn > told).then_some((origin, source)),
            None => (source.state != State::Live).then_some((origin, source)),
        })
    }
}

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
    pub(super) fn next_notice(&self, key: Key) -> Option<Rendered> {
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
            (Progress::Statuses(self.statuses.version, self.restored.revived()), 0)
        } else if session.filter_changed {
            // It knows how the sources are.
            let of_symbols = |notice: &Notice<'_>| !matches!(notice, Notice::Status(_));
            self.write_status_changes(None, group, &mut |notice| {
                if of_symbols(&notice) {
                    write(notice);
                }
            });
            (Progress::FilterStatuses, 0)
        } else if session.revived < self.restored.revived() {
            let wanted = self.groups.selection(group);
            let told = self.restored.revived_after(session.revived).iter();
            let few = wanted.len() <= SYMBOLS_TOLD;
            for id in told.copied().filter(|id| few && wanted.contains(*id)) {
                let symbol = self.replica.market().symbol(id);
                let since = self.ticked_at(symbol);
                write(Notice::SymbolStatus { symbol, state: State::Live, since, reason: None });
            }
            (Progress::Revived(self.restored.revived()), 0)
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
                let (state, since) = (State::Stale, self.ticked_at(symbol));
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
    fn ticked_at(&self, symbol: Symbol) -> Time {
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
            if out.len() >= LONGEST {
                return (id.index() + 1, ticks);
            }
        }
        (usize::MAX, ticks)
    }

    /// A heartbeat for a stream, where it is one that has them.
    pub(super) fn heartbeat(&self, key: Key, now: Now) -> Option<Payload> {
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
    pub(super) fn close_stream(&mut self, key: Key, why: CloseReason) {
        if let Some(session) = &mut self.streams[key].session {
            session.close_reason = Some(why);
        }
        self.end_stream(key);
    }

    /// Says why a stream ends, where that has yet to be said; says whether that is done with.
    pub(super) fn write_bye(&mut self, key: Key) -> WriteOutcome {
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
