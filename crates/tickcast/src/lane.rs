//! A lane: some of the connections, and all that it takes to keep them fed.
//!
//! It follows the log with a replica of its own, so that it renders without a lock, and brings each of its streams from the
//! place where it stands to the head. It does no IO and reads no clock: bytes go into a [`Sink`], time is an argument.

mod catch_up;
mod change;
mod ending;
mod flush;
mod groups;
mod history;
mod inbox;
mod kept;
mod outlet;
mod owners;
mod piece;
mod quiet;
mod resume;
mod round;
mod session;
mod sink;
#[cfg_attr(not(target_os = "linux"), path = "lane/no_socket.rs")]
mod socket;
mod stream;
mod task;
mod timers;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use slotmap::SlotMap;
use tickcast_core::render::EventFormat;
use tickcast_core::{FilterHash, Now, Replica, Seq};
use tickcast_tape::DiskTape;

use crate::stats::LaneStats;
use crate::subscription::{Effective, Start, Subscription};
pub(crate) use groups::COMPARISONS;
use groups::{GroupId, Groups, TAPE_PER_BATCHES};
pub(crate) use history::{Found, Librarian, Wanted};
pub(crate) use inbox::{Change, Command, Inbox, NewTerms, Newcomer};
pub(crate) use kept::Held;
pub use outlet::Io;
pub(crate) use outlet::Post;
use owners::Owners;
pub(crate) use piece::Piece;
use round::Round;
pub(crate) use session::{CHANGES_PER_SECOND, RETRY_MS};
use session::{Names, Session, Statuses};
pub(crate) use sink::{Carrier, Offered, OneByOne, Sink, Written};
pub(crate) use socket::{Arrival, DIRECT};
use stream::{Pace, Place, Stream};
pub(crate) use task::Task;
use timers::{Alarm, Timers};

slotmap::new_key_type! {
    /// A stream's number within its lane, never mistaken for an earlier one's.
    pub(crate) struct Key;
}

/// Streams that a lane has room for from the start. The system gives memory only for those there are; without this, each
/// doubling of the room would leave the smaller one behind, touched and of no use.
const RESERVED: usize = 16_384;

/// What keeps a quiet connection open: one comment line, and no blank line after it, which some clients would take for an
/// empty event.
const KEEP_ALIVE: &[u8] = b": keep-alive\n";

/// How a lane treats its streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manners {
    /// A reader whose next tick is older than this has fallen behind and is given newest values only.
    pub(crate) patience: Duration,
    /// A stream that was sent nothing for this long is sent a comment.
    pub(crate) keep_alive: Duration,
    /// A stream that takes nothing for this long is cut.
    pub(crate) stall: Duration,
    /// What all streams may keep that their readers have yet to take, in bytes.
    pub(crate) kept_bytes: usize,
}

/// Some of the connections.
pub(crate) struct Lane<S: Sink> {
    replica: Replica,
    groups: Groups,
    streams: SlotMap<Key, Stream<S>>,
    /// The resumable ones by their names.
    names: Names,
    statuses: Statuses,
    owners: Owners,
    timers: Timers,
    manners: Manners,
    stats: Arc<LaneStats>,
    keep_alive: Piece,
    /// Streams end as soon as they have caught up.
    finishing: bool,
    /// The tape on disk, and the pieces of it that are to be sent for.
    archive: Option<DiskTape>,
    wanted: Vec<Wanted>,
    /// Working lists: paced streams to visit, streams without a reader, groups with something new.
    visits: Vec<Key>,
    due: Vec<(Key, Alarm)>,
    gone: Vec<Key>,
    touched: Vec<GroupId>,
    /// When groups that are behind look at more of the symbols that are new.
    look_on_at: Duration,
    /// How many comparisons changes have made in this round.
    compared: usize,
    /// When it is counted again what readers keep.
    count_at: Duration,
    /// How many refusals there had been by then.
    refusals: u64,
    round: Round<S>,
    /// When the ticks of this flush arrived, as far as anyone wants them.
    arrivals: Vec<Duration>,
}

impl<S: Sink> Lane<S> {
    pub(crate) fn new(
        replica: Replica,
        manners: Manners,
        stats: Arc<LaneStats>,
        carrier: S::Carrier,
    ) -> Self {
        Self {
            groups: Groups::new(replica.tape().max_bytes() / TAPE_PER_BATCHES),
            replica,
            streams: SlotMap::with_capacity_and_key(RESERVED),
            names: Names::default(),
            statuses: Statuses::default(),
            owners: Owners::default(),
            timers: Timers::with_capacity(RESERVED),
            manners,
            stats,
            keep_alive: Piece::of(KEEP_ALIVE),
            finishing: false,
            archive: None,
            wanted: Vec::new(),
            visits: Vec::new(),
            due: Vec::new(),
            gone: Vec::new(),
            touched: Vec::new(),
            look_on_at: Duration::ZERO,
            compared: 0,
            count_at: Duration::ZERO,
            refusals: 0,
            round: Round::new(carrier),
            arrivals: Vec::new(),
        }
    }

    /// With a tape on disk behind that in memory.
    pub(crate) fn with_archive(mut self, archive: Option<DiskTape>) -> Self {
        self.archive = archive;
        self
    }

    /// What carries the batches.
    pub(crate) const fn carrier(&mut self) -> &mut S::Carrier {
        self.round.carrier()
    }

    /// How far the lane has followed the log.
    pub(crate) const fn head(&self) -> Seq {
        self.replica.head()
    }

    /// Takes in a stream and brings it to the head. `sink` is made once its number is known.
    ///
    /// # Errors
    /// Where `sink` has one.
    pub(crate) fn open<E>(
        &mut self,
        sink: impl FnOnce(Key) -> Result<S, E>,
        subscription: Subscription,
        now: Duration,
    ) -> Result<Key, E> {
        let Subscription { filter, prepared, pace, start, dialect, heartbeat, terms, .. } =
            self.judge(subscription);
        let pending = matches!(dialect, EventFormat::Resumable(_, Some(FilterHash::PENDING)));
        let place = match (start, &terms) {
            (Start::Snapshot, None) => Place::Snapshot { at: self.head(), after: None },
            (Start::Snapshot, Some(_)) => Place::Opening { at: self.head(), reached: Seq::ZERO },
            (Start::After(seq), _) => Place::Behind(seq),
            // Only a resumable one has such a start, and that was judged.
            (Start::Resume(from), _) => Place::Behind(from.position.seq),
            (Start::Oldest, _) => Place::Behind(self.floor()),
        };
        let session = terms.map(|terms| Box::new(Session::new(*terms, pace, self.replica.head())));
        let name = session.as_ref().map(|session| session.id);
        let pace = pace.map(|pace| Box::new(Pace::new(pace.interval(), now)));
        let (groups, market) = (&mut self.groups, self.replica.market());
        let key = self.streams.try_insert_with_key(|key| {
            let sink = sink(key)?;
            let seat = groups.join(key, (filter, prepared), dialect, (pace.is_some(), None), market);
            Ok(Stream {
                sink,
                seat,
                place,
                pace,
                session,
                blocked: false,
                goes_on: false,
                ending: false,
                heartbeat,
                last_write: now,
            })
        })?;
        if let Some(session) = self.streams[key].session.as_mut().filter(|_| pending) {
            session.add_all();
        }
        let quiet = self.streams[key].may_be_quiet(self.manners.keep_alive);
        self.names.extend(name.map(|name| (name, key)));
        self.stats.opened();
        self.timers.set(now + quiet, key, Alarm::Look);
        self.visit(key, now);
        // What a sink brought along is sent also where there is nothing else yet.
        if let Some(stream) = self.streams.get_mut(key)
            && !stream.blocked
            && stream.sink.resume() == Written::Gone
        {
            self.lose(key);
        }
        self.bury();
        Ok(key)
    }

    /// Whether a change has to wait: until new symbols have been held against patterns, nobody can say what those add; and the changes
    /// of one round compare no more than others can wait for.
    pub(crate) fn holds_back(&self, change: &Change) -> bool {
        let patterns = |terms: &Effective| terms.filter.has_patterns() && !terms.filter.is_all();
        let busy = self.groups.are_behind() || self.compared > COMPARISONS;
        let terms = change.change.as_ref().filter(|_| busy);
        terms.is_some_and(|(from, to, _)| patterns(from) || patterns(to))
    }

    /// Another round begins.
    pub(crate) const fn begin_round(&mut self) {
        self.compared = 0;
    }

    /// A stream that was counted on its way here could not be taken in.
    pub(crate) fn turned_away(&self) {
        self.stats.release();
    }

    /// A stream's reader has left.
    pub(crate) fn close(&mut self, key: Key) {
        self.gone.push(key);
        self.bury();
    }

    /// A sink that refused bytes can take some again.
    pub(crate) fn ready(&mut self, key: Key, now: Duration) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        // It would not be ready, had its reader taken nothing.
        stream.last_write = now;
        match stream.sink.resume() {
            Written::Taken if stream.ending => self.end_stream(key),
            // It is something else that it waits for.
            Written::Taken if stream.waiting() => {}
            Written::Taken => {
                stream.blocked = false;
                self.visit(key, now);
            }
            Written::Refused => {}
            Written::Gone => self.lose(key),
        }
        self.bury();
    }

    /// When something is due without a tick.
    pub(crate) fn next_alarm(&self) -> Option<Duration> {
        let looking = Some(self.look_on_at).filter(|_| self.groups.are_behind());
        looking.into_iter().chain(self.timers.next()).min()
    }

    /// Does what is due by now: visits of paced streams, comments and heartbeats for quiet ones.
    pub(crate) fn ring(&mut self, now: Now) {
        self.look_on(now.uptime);
        self.bound_kept(now.uptime);
        let mut due = std::mem::take(&mut self.due);
        self.timers.take_due(now.uptime, &mut due);
        for (key, alarm) in due.drain(..) {
            match alarm {
                Alarm::Visit => {
                    if let Some(pace) = self.streams.get_mut(key).and_then(|stream| stream.pace.as_mut()) {
                        // One that was set for an earlier pace leaves the other as it is.
                        pace.armed = pace.armed.filter(|armed| *armed > now.uptime);
                    }
                    self.visit(key, now.uptime);
                }
                Alarm::GoOn => {
                    if let Some(stream) = self.streams.get_mut(key) {
                        stream.goes_on = false;
                    }
                    self.visit(key, now.uptime);
                }
                Alarm::Look => self.look(key, now),
            }
        }
        self.due = due;
        self.bury();
    }

    /// A stream has no reader any more: nothing is tried with it until it is removed.
    fn lose(&mut self, key: Key) {
        if let Some(stream) = self.streams.get_mut(key) {
            stream.blocked = true;
            self.gone.push(key);
        }
    }

    /// Forgets the streams that have no reader.
    fn bury(&mut self) {
        if self.gone.is_empty() {
            return;
        }
        for key in self.gone.drain(..) {
            if let Some(stream) = self.streams.remove(key) {
                if let Some(session) = &stream.session {
                    self.names.remove(&session.id);
                }
                if let Some(moved) = self.groups.leave(stream.seat) {
                    self.streams[moved].seat.take_place_of(stream.seat);
                }
                self.stats.closed();
                self.stats.release();
            }
        }
        self.timers.tidy(self.streams.len(), |key| self.streams.contains_key(key));
    }
}
