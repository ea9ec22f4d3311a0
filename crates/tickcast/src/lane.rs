//! A lane: a shard of the connections and the state of their streams.
//!
//! A lane follows the log with its own replica, so it renders without a lock. It brings each stream
//! from the stream's position to the head of the log. A lane does no IO and reads no clock: bytes
//! go into a [`Sink`], and the time is an argument.

#![cfg_attr(
    not(all(target_os = "linux", feature = "direct")),
    allow(dead_code, reason = "some parts serve only the direct path")
)]

mod arrivals;
mod body;
mod buffered;
mod catch_up;
mod change;
mod delivery;
mod ending;
mod flush;
mod groups;
mod handle;
mod history;
mod idle;
mod inbox;
mod list;
mod payload;
mod rendered;
mod restored;
mod resume;
mod session;
mod sink;
#[cfg_attr(
    not(all(target_os = "linux", feature = "direct")),
    path = "lane/no_socket.rs"
)]
mod socket;
mod statuses;
mod stream;
mod stream_names;
mod stream_sink;
mod task;
mod timers;
mod update_orders;
mod visits;
mod work;
mod write_batch;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use slotmap::SlotMap;
use tickcast_core::sse::EventFormat;
use tickcast_core::{FilterHash, Now, Replica, Seq, sse};

use crate::access::Viewer;
use crate::disk::DiskTape;
use crate::hub::Revocation;
use crate::interest::LaneInterest;
use crate::stats::LaneStats;
use crate::subscription::{Effective, Expiry, Start, Subscription};
use arrivals::Arrivals;
pub(crate) use body::{BodySink, BodySlot};
pub(crate) use groups::COMPARISONS;
use groups::{GroupId, Groups, TAPE_PER_BATCHES};
pub(crate) use handle::LaneHandle;
pub(crate) use history::{HistoryReader, HistoryRequest, HistoryResponse};
pub(crate) use inbox::{
    Change, ChangeAnswer, ChangeRequest, Command, Inbox, NewStream, ProposedChange,
};
pub(crate) use payload::Payload;
use rendered::StreamPosition;
use restored::RestoredSymbols;
pub(crate) use session::RETRY_MS;
use session::Session;
pub(crate) use sink::{BatchWriter, Buffered, OneAtATime, Sink, WriteAttempt, WriteOutcome};
pub(crate) use socket::{DIRECT, HandedOffSocket};
use statuses::Statuses;
use stream::{RateState, Stream};
use stream_names::StreamNames;
pub use stream_sink::IoBackend;
pub(crate) use stream_sink::SocketWriter;
pub(crate) use task::run;
use timers::{Timer, Timers};
pub(crate) use update_orders::UpdateOrders;
pub(crate) use work::Work;
use write_batch::WriteBatch;

slotmap::new_key_type! {
    /// The key of a stream within its lane. A key is never reused for a later stream.
    pub(crate) struct Key;
}

/// Number of streams for which a lane reserves room at the start. The operating system provides
/// memory only for the streams in use. Without this reserve, each growth of the map would leave a
/// smaller, already touched and useless block behind.
const RESERVED_STREAMS: usize = 16_384;

/// The limits that a lane applies to its streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamLimits {
    /// Maximum age of a reader's next tick. A reader above it is a slow consumer and receives only
    /// the newest tick of each symbol (conflation).
    pub(crate) max_lag: Duration,
    /// Keep-alive interval: a stream that was sent nothing for this time is sent a comment.
    pub(crate) keep_alive: Duration,
    /// Write timeout: a stream whose reader accepts nothing for this time is cut.
    pub(crate) write_timeout: Duration,
    /// Maximum size of the data that all streams buffer for their readers, in bytes.
    pub(crate) buffered_bytes: usize,
    /// How far the market is behind. Zero: it is live.
    pub(crate) delay: Duration,
}

/// A shard of the connections.
pub(crate) struct Lane<S: Sink> {
    replica: Replica,
    groups: Groups,
    /// The position up to which no stream wanted the entries when the lane last slept.
    unwanted_until: Seq,
    streams: SlotMap<Key, Stream<S>>,
    /// The resumable streams by name.
    names: StreamNames,
    /// Who reads the streams whose reader is known, and which of them may no longer read.
    viewers: HashMap<Key, Viewer>,
    revocation: Revocation,
    statuses: Statuses,
    restored: RestoredSymbols,
    timers: Timers,
    limits: StreamLimits,
    stats: Arc<LaneStats>,
    keep_alive: Payload,
    /// Whether streams end as soon as they have caught up.
    finishing: bool,
    /// The tape on disk, and the requests for payloads from this tape.
    archive: Option<DiskTape>,
    history_requests: Vec<HistoryRequest>,
    /// Work lists: streams to visit, due timers, and closed streams.
    visits: Vec<Key>,
    /// The streams that were not sent the newest states of sources yet.
    status_visits: Vec<Key>,
    due: Vec<(Key, Timer)>,
    closed: Vec<Key>,
    /// The groups with a batch, oldest first.
    with_batch: VecDeque<GroupId>,
    arrivals: Arrivals,
    /// Time at which groups that are behind compare more new symbols.
    match_deferred_at: Duration,
    /// Number of comparisons that changes have made in this turn.
    compared: usize,
    /// Time of the next count of buffered bytes.
    count_at: Duration,
    /// Number of refused writes at the last count.
    refusals: u64,
    write_batch: WriteBatch<S>,
}

impl<S: Sink> Lane<S> {
    pub(crate) fn new(
        replica: Replica,
        limits: StreamLimits,
        stats: Arc<LaneStats>,
        batch_writer: S::BatchWriter,
    ) -> Self {
        Self {
            unwanted_until: Seq::ZERO,
            groups: Groups::new(replica.tape().max_bytes() / TAPE_PER_BATCHES),
            replica,
            streams: SlotMap::with_capacity_and_key(RESERVED_STREAMS),
            names: StreamNames::default(),
            viewers: HashMap::new(),
            revocation: Revocation::default(),
            statuses: Statuses::default(),
            restored: RestoredSymbols::default(),
            timers: Timers::with_capacity(RESERVED_STREAMS),
            limits,
            stats,
            keep_alive: Payload::of(sse::KEEP_ALIVE),
            finishing: false,
            archive: None,
            history_requests: Vec::new(),
            visits: Vec::new(),
            status_visits: Vec::new(),
            due: Vec::new(),
            closed: Vec::new(),
            with_batch: VecDeque::new(),
            arrivals: Arrivals::default(),
            match_deferred_at: Duration::ZERO,
            compared: 0,
            count_at: Duration::ZERO,
            refusals: 0,
            write_batch: WriteBatch::new(batch_writer),
        }
    }

    /// Adds a tape on disk, for ticks that are no longer in memory.
    pub(crate) fn with_archive(mut self, archive: Option<DiskTape>) -> Self {
        self.archive = archive;
        self
    }

    /// Adds the rule that says which viewers may no longer read.
    pub(crate) fn with_revocation(mut self, revocation: Revocation) -> Self {
        self.revocation = revocation;
        self
    }

    /// Sets where the lane notes which symbols wake it.
    pub(crate) fn with_interest(mut self, interest: LaneInterest) -> Self {
        self.groups.note_interest(interest);
        self
    }

    /// Shares the orders of updates with the other lanes of the market.
    pub(crate) fn with_update_orders(mut self, orders: &Arc<UpdateOrders>) -> Self {
        self.groups.share_update_orders(Arc::clone(orders));
        self
    }

    /// Returns the writer that sends the batches.
    pub(crate) const fn batch_writer(&mut self) -> &mut S::BatchWriter {
        self.write_batch.batch_writer()
    }

    /// Returns the sequence number up to which the lane has followed the log.
    pub(crate) const fn head(&self) -> Seq {
        self.replica.head()
    }

    /// Returns the sequence number up to which a stream has been sent everything.
    fn reached(&self, key: Key) -> Seq {
        let stream = &self.streams[key];
        let head = self.groups.position(stream.slot.group, self.head());
        stream.position.seq(head)
    }

    /// Opens a stream and brings it to the head. `sink` creates the sink once the key of the stream
    /// is known.
    ///
    /// # Errors
    /// If `sink` returns an error.
    pub(crate) fn open<E>(
        &mut self,
        sink: impl FnOnce(Key) -> Result<S, E>,
        subscription: Subscription,
        now: Duration,
    ) -> Result<Key, E> {
        let Subscription {
            filter,
            prepared,
            rate,
            start,
            format,
            heartbeat,
            session: options,
            expiry,
            viewer,
            ..
        } = self.resolve_start(subscription.following_prepared());
        let pending = matches!(format, EventFormat::Resumable(_, Some(FilterHash::PENDING)));
        let position = match (start, &options) {
            (Start::Snapshot, None) => StreamPosition::Snapshot {
                at: self.head(),
                after: None,
            },
            (Start::Snapshot, Some(_)) => StreamPosition::Opening {
                at: self.head(),
                reached: Seq::ZERO,
            },
            (Start::After(seq), _) => StreamPosition::Behind(seq),
            // Only a resumable stream has such a start, and `resolve_start` has checked it.
            (Start::Resume(from), _) => StreamPosition::Behind(from.position.seq),
            (Start::Oldest, _) => StreamPosition::Behind(self.floor()),
        };
        let session =
            options.map(|options| Box::new(Session::new(*options, rate, self.replica.head())));
        let rate = rate.map(|rate| Box::new(RateState::new(rate.interval(), now)));
        self.unwanted_until = Seq::ZERO;
        let (groups, market) = (&mut self.groups, self.replica.market());
        let key = self.streams.try_insert_with_key(|key| {
            let sink = sink(key)?;
            let slot = groups.join_group(
                key,
                (filter, prepared),
                format,
                (rate.is_some(), None),
                market,
            );
            Ok(Stream {
                sink,
                slot,
                position,
                rate,
                session,
                blocked: false,
                continues: false,
                ending: false,
                heartbeat,
                last_write: now,
            })
        })?;
        if let Some(session) = &mut self.streams[key].session {
            let is_shared = session.prepared_stream.is_some();
            self.names.insert(session.id, key, is_shared);
            if pending {
                session.add_all();
            }
        }
        let idle_timeout = self.streams[key].idle_timeout(self.limits.keep_alive);
        self.stats.opened();
        self.timers.set(now + idle_timeout, key, Timer::IdleCheck);
        let is_revoked = viewer.is_known() && self.revocation.concerns(&viewer);
        match expiry {
            // The request may have come long before: before the viewer was revoked, too.
            _ if is_revoked => self.expire(key),
            Expiry::Uptime(at) if at <= now => self.expire(key),
            Expiry::Uptime(at) => {
                self.timers.set(at, key, Timer::Expire);
                self.visit(key, now);
            }
            // The hub has started the subscription, so the end is known by the uptime clock.
            Expiry::Never | Expiry::Wall(_) => self.visit(key, now),
        }
        self.end_if_deleted(key);
        if viewer.is_known() && self.streams.contains_key(key) {
            self.viewers.insert(key, viewer);
        }
        // Bytes that a sink already holds are sent even if there is nothing else to send.
        if let Some(stream) = self.streams.get_mut(key)
            && !stream.blocked
            && stream.sink.resume() == WriteOutcome::Gone
        {
            self.mark_closed(key);
        }
        self.remove_closed();
        Ok(key)
    }

    /// Checks whether a change has to wait. Until new symbols have been compared with patterns, the
    /// symbols that such a change adds are unknown. Also, the comparisons of changes in one turn
    /// are limited, so that other streams do not wait too long.
    pub(crate) fn holds_back(&self, change: &Change) -> bool {
        let patterns =
            |effective: &Effective| effective.filter.has_patterns() && !effective.filter.is_all();
        let busy = self.groups.are_behind() || self.compared > COMPARISONS;
        match &change.request {
            _ if !busy => false,
            ChangeRequest::Ask | ChangeRequest::Delete => false,
            ChangeRequest::Propose((from, to, _)) => patterns(from) || patterns(to),
            // The subscriptions of its readers before this one are not known.
            ChangeRequest::Follow(..) => true,
        }
    }

    /// Starts a new turn.
    pub(crate) const fn begin_turn(&mut self) {
        self.compared = 0;
    }

    /// Releases a stream that was assigned to this lane but could not be opened.
    pub(crate) fn turned_away(&self) {
        self.stats.release();
    }

    /// Closes a stream whose reader has left.
    pub(crate) fn close(&mut self, key: Key) {
        self.closed.push(key);
        self.remove_closed();
    }

    /// Handles a sink that refused bytes before and is writable again.
    pub(crate) fn ready(&mut self, key: Key, now: Duration) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        // A writable sink means that the reader has accepted something.
        stream.last_write = now;
        match stream.sink.resume() {
            WriteOutcome::Taken if stream.ending => self.end_stream(key),
            // The stream still waits for the disk.
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

    /// Returns the time of the next work that needs no tick.
    pub(crate) fn next_timer(&self) -> Option<Duration> {
        let deferred = Some(self.match_deferred_at).filter(|_| self.groups.are_behind());
        deferred.into_iter().chain(self.timers.next()).min()
    }

    /// Does the work that is due: visits of streams with a rate, and comments and heartbeats for
    /// quiet streams.
    pub(crate) fn fire_timers(&mut self, now: Now) {
        self.match_deferred_symbols(now.uptime);
        self.enforce_buffer_limit(now.uptime);
        let mut due = std::mem::take(&mut self.due);
        self.timers.take_due(now.uptime, &mut due);
        let mut visits = Vec::new();
        for (key, timer) in &due {
            match timer {
                Timer::Expire => self.expire(*key),
                Timer::Visit | Timer::Continue => {
                    self.end_pause(*key, *timer, now.uptime);
                    visits.push(*key);
                }
                Timer::IdleCheck => {}
            }
        }
        self.visit_all(visits, now.uptime);
        // A stream that was visited is not idle.
        for (key, timer) in due.drain(..) {
            if timer == Timer::IdleCheck {
                self.check_idle(key, now);
            }
        }
        self.due = due;
        self.remove_closed();
    }

    /// Ends the time in which a stream is not visited, because its timer has fired.
    fn end_pause(&mut self, key: Key, timer: Timer, now: Duration) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        if timer == Timer::Continue {
            stream.continues = false;
        } else if let Some(rate) = &mut stream.rate {
            // A timer that was set for an earlier rate leaves the newer timer as it is.
            rate.armed = rate.armed.filter(|armed| *armed > now);
        }
    }

    /// Marks a stream as closed. Nothing is written to it before it is removed.
    fn mark_closed(&mut self, key: Key) {
        if let Some(stream) = self.streams.get_mut(key) {
            stream.blocked = true;
            self.closed.push(key);
        }
    }

    /// Removes closed streams.
    fn remove_closed(&mut self) {
        if self.closed.is_empty() {
            return;
        }
        for key in self.closed.drain(..) {
            if let Some(stream) = self.streams.remove(key) {
                if !self.viewers.is_empty() {
                    self.viewers.remove(&key);
                }
                if let Some(session) = &stream.session {
                    let is_shared = session.prepared_stream.is_some();
                    self.names.remove(session.id, key, is_shared);
                }
                if let Some(moved) = self.groups.leave(stream.slot) {
                    self.streams[moved].slot.replace(stream.slot);
                }
                self.stats.closed();
                self.stats.release();
            }
        }
        self.timers
            .compact(self.streams.len(), |key| self.streams.contains_key(key));
    }
}
