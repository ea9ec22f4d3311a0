//! A lane: some of the connections, and all that it takes to keep them fed.
//!
//! It follows the log with a replica of its own, so that it renders without a lock, and brings each of its streams from the
//! place where it stands to the head. It does no IO and reads no clock: bytes go into a [`Sink`], time is an argument.

mod body;
mod buffered;
mod catch_up;
mod change;
mod ending;
mod flush;
mod groups;
mod handle;
mod history;
mod idle;
mod inbox;
mod payload;
mod rendered;
mod restored;
mod resume;
mod session;
mod sink;
#[cfg_attr(not(target_os = "linux"), path = "lane/no_socket.rs")]
mod socket;
mod statuses;
mod stream;
mod stream_sink;
mod task;
mod timers;
mod write_batch;

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
pub(crate) use body::BodySlot;
pub(crate) use groups::COMPARISONS;
use groups::{GroupId, Groups, TAPE_PER_BATCHES};
pub(crate) use handle::LaneHandle;
pub(crate) use history::{HistoryReader, HistoryRequest, HistoryResponse};
pub(crate) use inbox::{Change, Command, Inbox, NewStream, ProposedChange};
pub(crate) use payload::Payload;
use rendered::StreamPosition;
use restored::RestoredSymbols;
pub(crate) use session::RETRY_MS;
use session::{Session, StreamNames};
pub(crate) use sink::{BatchWriter, Buffered, OneAtATime, Sink, WriteAttempt, WriteOutcome};
pub(crate) use socket::{DIRECT, HandedOffSocket};
use statuses::Statuses;
use stream::{RateState, Stream};
pub use stream_sink::IoBackend;
pub(crate) use stream_sink::SocketWriter;
pub(crate) use task::Task;
use timers::{Timer, Timers};
use write_batch::WriteBatch;

slotmap::new_key_type! {
    /// A stream's number within its lane, never mistaken for an earlier one's.
    pub(crate) struct Key;
}

/// Streams that a lane has room for from the start. The system gives memory only for those there are; without this, each
/// doubling of the room would leave the smaller one behind, touched and of no use.
const RESERVED_STREAMS: usize = 16_384;

/// What keeps a quiet connection open: one comment line, and no blank line after it, which some clients would take for an
/// empty event.
const KEEP_ALIVE: &[u8] = b": keep-alive\n";

/// How a lane treats its streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamLimits {
    /// A reader whose next tick is older than this has fallen behind and is given newest values only.
    pub(crate) max_lag: Duration,
    /// A stream that was sent nothing for this long is sent a comment.
    pub(crate) keep_alive: Duration,
    /// A stream that takes nothing for this long is cut.
    pub(crate) write_timeout: Duration,
    /// What all streams may keep that their readers have yet to take, in bytes.
    pub(crate) buffered_bytes: usize,
}

/// Some of the connections.
pub(crate) struct Lane<S: Sink> {
    replica: Replica,
    groups: Groups,
    streams: SlotMap<Key, Stream<S>>,
    /// The resumable ones by their names.
    names: StreamNames,
    statuses: Statuses,
    restored: RestoredSymbols,
    timers: Timers,
    limits: StreamLimits,
    stats: Arc<LaneStats>,
    keep_alive: Payload,
    /// Streams end as soon as they have caught up.
    finishing: bool,
    /// The tape on disk, and the pieces of it that are to be sent for.
    archive: Option<DiskTape>,
    history_requests: Vec<HistoryRequest>,
    /// Working lists: paced streams to visit, streams without a reader, groups with something new.
    visits: Vec<Key>,
    due: Vec<(Key, Timer)>,
    closed: Vec<Key>,
    touched: Vec<GroupId>,
    /// When groups that are behind look at more of the symbols that are new.
    match_deferred_at: Duration,
    /// How many comparisons changes have made in this round.
    compared: usize,
    /// When it is counted again what readers keep.
    count_at: Duration,
    /// How many refusals there had been by then.
    refusals: u64,
    write_batch: WriteBatch<S>,
    /// When the ticks of this flush arrived, as far as anyone wants them.
    arrivals: Vec<Duration>,
}

impl<S: Sink> Lane<S> {
    pub(crate) fn new(
        replica: Replica,
        manners: StreamLimits,
        stats: Arc<LaneStats>,
        batch_writer: S::BatchWriter,
    ) -> Self {
        Self {
            groups: Groups::new(replica.tape().max_bytes() / TAPE_PER_BATCHES),
            replica,
            streams: SlotMap::with_capacity_and_key(RESERVED_STREAMS),
            names: StreamNames::default(),
            statuses: Statuses::default(),
            restored: RestoredSymbols::default(),
            timers: Timers::with_capacity(RESERVED_STREAMS),
            limits: manners,
            stats,
            keep_alive: Payload::of(KEEP_ALIVE),
            finishing: false,
            archive: None,
            history_requests: Vec::new(),
            visits: Vec::new(),
            due: Vec::new(),
            closed: Vec::new(),
            touched: Vec::new(),
            match_deferred_at: Duration::ZERO,
            compared: 0,
            count_at: Duration::ZERO,
            refusals: 0,
            write_batch: WriteBatch::new(batch_writer),
            arrivals: Vec::new(),
        }
    }

    /// With a tape on disk behind that in memory.
    pub(crate) fn with_archive(mut self, archive: Option<DiskTape>) -> Self {
        self.archive = archive;
        self
    }

    /// What carries the batches.
    pub(crate) const fn batch_writer(&mut self) -> &mut S::BatchWriter {
        self.write_batch.batch_writer()
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
        let Subscription { filter, prepared, rate, start, format, heartbeat, session: terms, .. } =
            self.resolve_start(subscription);
        let pending = matches!(format, EventFormat::Resumable(_, Some(FilterHash::PENDING)));
        let place = match (start, &terms) {
            (Start::Snapshot, None) => StreamPosition::Snapshot { at: self.head(), after: None },
            (Start::Snapshot, Some(_)) => StreamPosition::Opening { at: self.head(), reached: Seq::ZERO },
            (Start::After(seq), _) => StreamPosition::Behind(seq),
            // Only a resumable one has such a start, and that was judged.
            (Start::Resume(from), _) => StreamPosition::Behind(from.position.seq),
            (Start::Oldest, _) => StreamPosition::Behind(self.floor()),
        };
        let session = terms.map(|terms| Box::new(Session::new(*terms, rate, self.replica.head())));
        let name = session.as_ref().map(|session| session.id);
        let rate = rate.map(|rate| Box::new(RateState::new(rate.interval(), now)));
        let (groups, market) = (&mut self.groups, self.replica.market());
        let key = self.streams.try_insert_with_key(|key| {
            let sink = sink(key)?;
            let slot = groups.join_group(key, (filter, prepared), format, (rate.is_some(), None), market);
            Ok(Stream {
                sink,
                slot,
                position: place,
                rate,
                session,
                blocked: false,
                continues: false,
                ending: false,
                heartbeat,
                last_write: now,
            })
        })?;
        if let Some(session) = self.streams[key].session.as_mut().filter(|_| pending) {
            session.add_all();
        }
        let quiet = self.streams[key].idle_timeout(self.limits.keep_alive);
        self.names.extend(name.map(|name| (name, key)));
        self.stats.opened();
        self.timers.set(now + quiet, key, Timer::IdleCheck);
        self.visit(key, now);
        // What a sink brought along is sent also where there is nothing else yet.
        if let Some(stream) = self.streams.get_mut(key)
            && !stream.blocked
            && stream.sink.resume() == WriteOutcome::Gone
        {
            self.mark_closed(key);
        }
        self.remove_closed();
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
    pub(crate) const fn begin_turn(&mut self) {
        self.compared = 0;
    }

    /// A stream that was counted on its way here could not be taken in.
    pub(crate) fn turned_away(&self) {
        self.stats.release();
    }

    /// A stream's reader has left.
    pub(crate) fn close(&mut self, key: Key) {
        self.closed.push(key);
        self.remove_closed();
    }

    /// A sink that refused bytes can take some again.
    pub(crate) fn ready(&mut self, key: Key, now: Duration) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        // It would not be ready, had its reader taken nothing.
        stream.last_write = now;
        match stream.sink.resume() {
            WriteOutcome::Taken if stream.ending => self.end_stream(key),
            // It is something else that it waits for.
            WriteOutcome::Taken if stream.waiting() => {}
            WriteOutcome::Taken => {
                stream.blocked = false;
                self.visit(key, now);
            }
            WriteOutcome::Refused => {}
            WriteOutcome::Gone => self.mark_closed(key),
        }
        self.remove_closed();
    }

    /// When something is due without a tick.
    pub(crate) fn next_timer(&self) -> Option<Duration> {
        let looking = Some(self.match_deferred_at).filter(|_| self.groups.are_behind());
        looking.into_iter().chain(self.timers.next()).min()
    }

    /// Does what is due by now: visits of paced streams, comments and heartbeats for quiet ones.
    pub(crate) fn fire_timers(&mut self, now: Now) {
        self.match_deferred_symbols(now.uptime);
        self.enforce_buffer_limit(now.uptime);
        let mut due = std::mem::take(&mut self.due);
        self.timers.take_due(now.uptime, &mut due);
        for (key, alarm) in due.drain(..) {
            match alarm {
                Timer::Visit => {
                    if let Some(rate) = self.streams.get_mut(key).and_then(|stream| stream.rate.as_mut()) {
                        // One that was set for an earlier pace leaves the other as it is.
                        rate.armed = rate.armed.filter(|armed| *armed > now.uptime);
                    }
                    self.visit(key, now.uptime);
                }
                Timer::Continue => {
                    if let Some(stream) = self.streams.get_mut(key) {
                        stream.continues = false;
                    }
                    self.visit(key, now.uptime);
                }
                Timer::IdleCheck => self.check_idle(key, now),
            }
        }
        self.due = due;
        self.remove_closed();
    }

    /// A stream has no reader any more: nothing is tried with it until it is removed.
    fn mark_closed(&mut self, key: Key) {
        if let Some(stream) = self.streams.get_mut(key) {
            stream.blocked = true;
            self.closed.push(key);
        }
    }

    /// Forgets the streams that have no reader.
    fn remove_closed(&mut self) {
        if self.closed.is_empty() {
            return;
        }
        for key in self.closed.drain(..) {
            if let Some(stream) = self.streams.remove(key) {
                if let Some(session) = &stream.session {
                    self.names.remove(&session.id);
                }
                if let Some(moved) = self.groups.leave(stream.slot) {
                    self.streams[moved].slot.replace(stream.slot);
                }
                self.stats.closed();
                self.stats.release();
            }
        }
        self.timers.compact(self.streams.len(), |key| self.streams.contains_key(key));
    }
}
