//! The work of a lane between two rests.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tickcast_core::Seq;

use super::body::BodyEvent;
use super::flush::BATCH_TICKS;
use super::sink::MAX_BATCH_WRITES;
use super::socket::{SocketEvent, Sockets};
use super::stream_sink::StreamSink;
use super::{Change, ChangeRequest, Command, HistoryReader, Inbox, Lane, NewStream};
use crate::clock::Clock;
use crate::interest::LaneInterest;
use crate::log::Log;
use crate::overload::{Overload, OverloadStep};
use crate::sources::Sources;
use crate::stats::LaneStats;
use crate::subscription::Subscription;

/// Maximum rest of a lane, in units of `flush_interval`: 15 ms by default, about one frame of a
/// screen.
const MAX_REST_FACTOR: u32 = 3;

/// Minimum time of a flush after which the lane does not rest, in units of `flush_interval`: 30 ms by
/// default. If the flush takes several turns, the ticks of the last one have been collected long
/// enough.
const LONG_FACTOR: u32 = 2 * MAX_REST_FACTOR;

/// Factor of `flush_interval` while the hub is overloaded: 40 ms by default. A reader that wants
/// fewer updates than 25 a second sees no difference.
const OVERLOAD_FACTOR: u32 = 8;

/// Maximum `flush_interval` while the hub is overloaded, unless it is longer anyway.
const MAX_OVERLOAD_INTERVAL: Duration = Duration::from_millis(250);

/// A lane and everything that the lane works with.
pub(crate) struct Work {
    pub(crate) lane: Lane<StreamSink>,
    pub(crate) log: Arc<Log>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) interest: LaneInterest,
    pub(crate) stats: Arc<LaneStats>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) history_reader: Option<HistoryReader>,
    pub(crate) clock: Clock,
    /// Minimum time between two flushes, unless the hub is overloaded.
    pub(crate) flush_interval: Duration,
    pub(crate) overload: Overload,
    /// Earliest start of the next flush.
    pub(crate) flush_due: Duration,
    /// Start of the flush that the next turn continues, if any, and the number of its ticks so far.
    pub(crate) unfinished_flush: Option<(Duration, u64)>,
    /// The streams that wait until the lane has reached the head of the log at their request.
    pub(crate) waiting_streams: Vec<(NewStream, Subscription)>,
    pub(crate) deferred_changes: Vec<Change>,
    /// The end of the current rest, if the lane has something to do by then.
    pub(crate) rests_until: Option<Duration>,
}

/// What a lane does after a turn.
pub(super) enum Next {
    /// It rests until it is woken, or until this time if there is one.
    Rest(Option<Duration>),
    /// It ends.
    End,
}

impl Work {
    /// Does everything that there is to do now.
    ///
    /// The first tick after a quiet period is sent at once. While more ticks arrive, at most one
    /// flush starts in each `flush_interval`. Under load, each flush also sends the ticks that
    /// arrived during the last flush and rest.
    pub(super) fn turn(&mut self, events: Vec<SocketEvent>, sockets: &Sockets) -> Next {
        self.handle_socket_events(events);
        let started_at = self.clock.uptime();
        self.lane.begin_turn();
        self.stats.begin_turn(started_at);
        if started_at >= self.flush_due {
            let target = self.log.head();
            let (began_at, ticks) = self.unfinished_flush.take().unwrap_or((started_at, 0));
            let ticks = ticks + self.flush(target);
            let ended_at = self.clock.uptime();
            if self.lane.head() < target || self.lane.has_batches() {
                // Only other work comes before the rest.
                self.unfinished_flush = Some((began_at, ticks));
                self.flush_due = ended_at;
            } else {
                let is_long = ended_at.saturating_sub(began_at) > self.flush_interval * LONG_FACTOR;
                if began_at < started_at && is_long && !self.flushes_less() {
                    self.flush_due = ended_at;
                } else if ticks > 0 {
                    self.flush_due = self.next_flush(ticks, started_at, ended_at);
                }
            }
        }
        // This comes before new streams are opened, because a new stream is first sent what is
        // not live.
        let stale_at = self.check_sources();
        for (new_stream, subscription) in std::mem::take(&mut self.waiting_streams) {
            self.open(new_stream, subscription, sockets);
        }
        if self.handle_commands(sockets) {
            return Next::End;
        }
        self.lane.fire_timers(self.clock.now());
        self.handle_deferred_changes();
        self.request_history();
        let pending = self.listen();
        if !pending {
            self.unfinished_flush = None;
        }
        let flush_at = (pending || !self.waiting_streams.is_empty()).then_some(self.flush_due);
        let changes_at =
            (!self.deferred_changes.is_empty()).then_some(started_at + self.flush_interval);
        let statuses_at = self.lane.has_status_visits().then_some(started_at);
        let timer_at = self.lane.next_timer();
        self.rests_until = [flush_at, changes_at, stale_at, statuses_at, timer_at]
            .into_iter()
            .flatten()
            .min();
        self.stats.rest();
        Next::Rest(self.rests_until)
    }

    /// Handles the commands in the inbox. Returns whether the lane ends.
    fn handle_commands(&mut self, sockets: &Sockets) -> bool {
        for command in self.inbox.take() {
            match command {
                Command::Open(new_stream, subscription) => {
                    self.open(new_stream, subscription, sockets);
                }
                Command::Quit => {
                    self.waiting_streams.clear();
                    self.lane.end(usize::MAX);
                    return true;
                }
                Command::Change(change) if self.lane.holds_back(&change) => {
                    self.deferred_changes.push(*change);
                }
                command => self.handle_command(command),
            }
        }
        false
    }

    fn handle_deferred_changes(&mut self) {
        let (held_back, due): (Vec<_>, Vec<_>) = std::mem::take(&mut self.deferred_changes)
            .into_iter()
            .partition(|change| self.lane.holds_back(change));
        self.deferred_changes = held_back;
        due.into_iter().for_each(|change| self.change(change));
    }

    fn request_history(&mut self) {
        for request in self.lane.take_history_requests() {
            let inbox = Arc::clone(&self.inbox);
            let answer = move |response| inbox.send(Command::History(Box::new(response)));
            // Without a tape on disk there are no requests.
            if let Some(reader) = &self.history_reader
                && let Some(rejected) = reader.request(request, answer)
            {
                self.lane.reject_history(&rejected);
            }
        }
    }

    /// Listens to the log. Returns whether the log has something for the lane already.
    ///
    /// The lane first listens and then checks the head, so that no new tick is missed in between.
    /// Ticks that no stream wants do not wake it.
    pub(super) fn listen(&mut self) -> bool {
        self.interest.want_everything(self.lane.wants_everything());
        self.interest.listen(true);
        let pending = self.lane.has_work() || self.lane.has_pending(&self.log);
        if pending {
            self.interest.listen(false);
        }
        pending
    }

    /// Returns the earliest start of the next flush, after a flush of `ticks` ticks. With one tick
    /// at a time, waiting saves no writes: the interval counts from the start of the flush. With
    /// many ticks, the lane rests longer than it worked, so that each write carries more ticks. The
    /// rest is too short for users to notice.
    pub(super) fn next_flush(
        &self,
        ticks: u64,
        started_at: Duration,
        ended_at: Duration,
    ) -> Duration {
        let elapsed = ended_at.saturating_sub(started_at);
        let interval = match self.flushes_less() {
            true => (self.flush_interval * OVERLOAD_FACTOR)
                .min(MAX_OVERLOAD_INTERVAL.max(self.flush_interval)),
            false => self.flush_interval,
        };
        if ticks > 1 {
            ended_at + (elapsed * 2).clamp(interval, interval * MAX_REST_FACTOR)
        } else {
            started_at + interval
        }
    }

    /// Checks whether the lane flushes less often, because the hub is overloaded.
    fn flushes_less(&self) -> bool {
        self.overload.step() >= OverloadStep::FlushLess
    }

    /// Follows the log up to `target`, and sends the groups their batches. If that takes long, other
    /// work has its turn before the rest, and batches that are not sent yet grow meanwhile. So a
    /// stream waits for about one round of all streams, and not for two. Returns the number of new
    /// ticks.
    fn flush(&mut self, target: Seq) -> u64 {
        let max_time = self.flush_interval * MAX_REST_FACTOR;
        let (begin, mut ticks) = (self.clock.uptime(), 0);
        let mut now = begin;
        // Some of the time is for batches, however long it takes to make them.
        while self.lane.head() < target && now.saturating_sub(begin) < max_time / 2 {
            ticks += self.follow(now);
            now = self.clock.uptime();
        }
        while self.lane.deliver_batches(MAX_BATCH_WRITES, now)
            && now.saturating_sub(begin) < max_time
        {
            now = self.clock.uptime();
        }
        self.end_flush();
        ticks
    }

    /// Follows the log by one step. Returns the number of new ticks.
    fn follow(&mut self, now: Duration) -> u64 {
        self.lane
            .follow_log(&self.log, BATCH_TICKS, self.flush_due, now)
    }

    fn end_flush(&mut self) {
        let now = self.clock.uptime();
        self.lane.note_delays(now);
        self.lane.visit_flushed(now);
    }

    /// Follows the log until the lane has all ticks up to `target`, however long that takes.
    fn follow_to(&mut self, target: Seq) {
        while self.lane.head() < target {
            self.follow(self.clock.uptime());
        }
        self.end_flush();
    }

    /// Sends status changes of sources to the readers. Returns when the next source may become
    /// stale.
    fn check_sources(&mut self) -> Option<Duration> {
        let stale_at = self.sources.check_staleness(self.clock.now());
        let version = self.sources.version();
        if version != self.lane.status_version() {
            // The ticks that the sources sent before their state changes come first: the new states
            // apply to these ticks too.
            let statuses = self.sources.statuses();
            self.follow_to(self.log.head());
            self.lane
                .update_statuses(statuses, version, self.clock.uptime());
        } else {
            self.lane.visit_for_statuses(self.clock.uptime());
        }
        stale_at
    }

    fn handle_command(&mut self, command: Command) {
        let now = self.clock.uptime();
        match command {
            Command::Ready(key) => self.lane.ready(key, now),
            Command::Close(key) => self.lane.close(key),
            Command::History(response) => self.lane.handle_history(*response, now),
            Command::Change(change) => self.change(*change),
            Command::Revoke => self.lane.revoke(),
            Command::List(max, answer) => {
                let _ = answer.try_send(self.lane.list(max, now));
            }
            Command::CloseStalled => self.lane.close_stalled(now),
            Command::End(max) => self.lane.end(max),
            Command::Finish => {
                self.follow_to(self.log.head());
                while self.lane.deliver_batches(MAX_BATCH_WRITES, now) {}
                self.lane.finish(now);
            }
            Command::Open(..) | Command::Quit => {}
        }
    }

    fn change(&mut self, change: Change) {
        let Change {
            id,
            request,
            asked_at,
            answer,
        } = change;
        // A lane behind the log does not know all symbols that a change may name.
        if !matches!(request, ChangeRequest::Ask) {
            self.follow_to(asked_at);
        }
        if let Some(answered) = self.lane.change(id, request, self.clock.uptime()) {
            let _ = answer.try_send(answered);
        }
    }

    /// Opens a new stream. The stream waits if the lane has not reached the head of the log at the
    /// time of the request. So a publisher sees its own tick in streams that are opened after the
    /// tick.
    fn open(&mut self, new_stream: NewStream, subscription: Subscription, sockets: &Sockets) {
        if subscription.asked_at > self.lane.head() {
            return self.waiting_streams.push((new_stream, subscription));
        }
        let now = self.clock.uptime();
        match new_stream {
            NewStream::Body(sink) => {
                let slot = Arc::clone(sink.slot());
                let sink = |_| Ok::<_, Infallible>(StreamSink::Body(sink));
                let Ok(key) = self.lane.open(sink, subscription, now);
                match slot.attach(key) {
                    Some(BodyEvent::Ready) => self.lane.ready(key, now),
                    Some(BodyEvent::Closed) => self.lane.close(key),
                    None => {}
                }
            }
            NewStream::Socket(socket) => {
                self.lane.batch_writer().init_uring();
                let sink = |key| sockets.admit(socket, key).map(StreamSink::Socket);
                if let Err(error) = self.lane.open(sink, subscription, now) {
                    tracing::warn!(%error, "a stream could not be accepted");
                    self.lane.turned_away();
                }
            }
        }
    }

    fn handle_socket_events(&mut self, events: Vec<SocketEvent>) {
        let now = self.clock.uptime();
        for event in events {
            match event {
                SocketEvent::Ready(key) => self.lane.ready(key, now),
                SocketEvent::Ended(key) => self.lane.half_close(key, now),
                SocketEvent::Closed(key) => self.lane.close(key),
            }
        }
    }
}
