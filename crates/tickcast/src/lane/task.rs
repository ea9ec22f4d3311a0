//! A lane at work: on the runtime of whoever reads first, or on a thread of its own.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep_until;

use super::body::{BodyEvent, BodySink};
use super::socket::{SocketEvent, Sockets};
use super::stream_sink::StreamSink;
use super::{Change, Command, HistoryReader, Inbox, Lane, NewStream};
use crate::clock::Clock;
use crate::log::Log;
use crate::sources::Sources;
use crate::stats::LaneStats;
use crate::subscription::Subscription;

/// How many times `flush` a lane rests at most: 15 ms as it is delivered, a frame of a screen.
const MAX_REST_FACTOR: u32 = 3;

/// A lane and everything it has to do with.
pub(crate) struct Task {
    pub(crate) lane: Lane<StreamSink>,
    pub(crate) log: Arc<Log>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) stats: Arc<LaneStats>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) history_reader: Option<HistoryReader>,
    pub(crate) clock: Clock,
    /// The least time between two flushes.
    pub(crate) flush: Duration,
}

/// Closes the inbox of a lane that is no more, however it came to its end.
struct CloseOnDrop(Arc<Inbox>, Arc<LaneStats>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
        self.1.subtract_stream();
        if std::thread::panicking() {
            tracing::error!("a lane has ended by a defect: its readers come back to the others");
        }
    }
}

impl Task {
    /// Runs the lane until its hub is gone. The first tick after quiet is sent at once; while more arrive, at most one flush
    /// begins every `flush`, and under load each takes along what came while the last one ran and rested.
    pub(crate) async fn run(mut self) {
        let _closing = CloseOnDrop(Arc::clone(&self.inbox), Arc::clone(&self.stats));
        let sockets = match Sockets::new() {
            Ok(sockets) => sockets,
            Err(error) => return tracing::error!(%error, "a lane cannot watch sockets"),
        };
        let mut next_flush = Duration::ZERO;
        let mut early = Vec::new();
        let mut later: Vec<Box<Change>> = Vec::new();
        loop {
            let begun = self.clock.uptime();
            self.lane.begin_turn();
            if begun >= next_flush {
                next_flush = match self.flush() {
                    0 => next_flush,
                    ticks => self.next_flush(ticks, begun, self.clock.uptime()),
                };
            }
            // Before anyone is taken in: whoever comes is told first what is not live.
            let stale_at = self.check_sources();
            for (new_stream, subscription) in std::mem::take(&mut early) {
                early.extend(self.open(new_stream, subscription, &sockets));
            }
            for command in self.inbox.take() {
                match command {
                    Command::Open(new_stream, subscription) => {
                        early.extend(self.open(new_stream, subscription, &sockets));
                    }
                    Command::Quit => {
                        early.into_iter().for_each(|(who, what)| Command::Open(who, what).reject());
                        return self.lane.end(usize::MAX);
                    }
                    Command::Change(change) if self.lane.holds_back(&change) => later.push(change),
                    command => self.handle_command(command),
                }
            }
            self.lane.fire_timers(self.clock.now());
            let (still, due): (Vec<_>, Vec<_>) =
                std::mem::take(&mut later).into_iter().partition(|change| self.lane.holds_back(change));
            later = still;
            due.into_iter().for_each(|change| self.handle_command(Command::Change(change)));
            for request in self.lane.take_history_requests() {
                let inbox = Arc::clone(&self.inbox);
                let answer = move |found| inbox.send(Command::History(Box::new(found)));
                // There are no requests without a tape on disk.
                if let Some(reader) = &self.history_reader
                    && let Some(refused) = reader.request(request, answer)
                {
                    self.lane.reject_history(&refused);
                }
            }

            // Listens first and looks then, so that nothing moves unnoticed in between.
            self.inbox.doorbell().listen(true);
            let pending = self.log.head() > self.lane.head();
            if pending {
                self.inbox.doorbell().listen(false);
            }
            let flush_at = (pending || !early.is_empty()).then_some(next_flush);
            let later_at = (!later.is_empty()).then_some(begun + self.flush);
            let wake = [flush_at, later_at, stale_at, self.lane.next_timer()].into_iter().flatten().min();
            let alarm = async {
                match wake {
                    Some(at) => sleep_until(self.clock.at(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.inbox.doorbell().notified() => {}
                () = alarm => {}
                news = sockets.poll_events() => self.handle_socket_event(news),
            }
        }
    }

    /// When the next flush may begin, after one of so many ticks. Where ticks come one at a time, nothing is gained by waiting
    /// for the next: the rest is over while the flush still runs. Where they come in numbers, a lane rests longer than it
    /// worked, so that each write carries more, but not so long that anyone sees it.
    fn next_flush(&self, ticks: u64, begun: Duration, ended: Duration) -> Duration {
        let took = ended.saturating_sub(begun);
        if ticks > 1 {
            ended + (took * 2).clamp(self.flush, self.flush * MAX_REST_FACTOR)
        } else {
            begun + self.flush
        }
    }

    /// Flushes; says how many ticks there were.
    fn flush(&mut self) -> u64 {
        let ticks = self.lane.flush(&self.log, self.clock.uptime());
        self.lane.note_delays(self.clock.uptime());
        ticks
    }

    /// Tells readers which sources have turned; says when one may turn by its silence.
    fn check_sources(&mut self) -> Option<Duration> {
        let stale_at = self.sources.check_staleness(self.clock.now());
        let turns = self.sources.version();
        if turns != self.lane.status_version() {
            // With what they had sent until then: it is theirs that is not live.
            self.flush();
            self.lane.update_statuses(self.sources.statuses(), turns, self.clock.uptime());
        }
        stale_at
    }

    fn handle_command(&mut self, command: Command) {
        let now = self.clock.uptime();
        match command {
            Command::Ready(key) => self.lane.ready(key, now),
            Command::Close(key) => self.lane.close(key),
            Command::History(found) => self.lane.handle_history(*found, now),
            Command::Change(change) => {
                let Change { id, change, asked_at, answer } = *change;
                // A lane that lags behind the log does not know all the symbols that a change names.
                if change.is_some() && self.lane.head() < asked_at {
                    self.flush();
                }
                if let Some(effective) = self.lane.change(id, change, now) {
                    let _ = answer.try_send(effective);
                }
            }
            Command::End(most) => self.lane.end(most),
            Command::Finish => {
                self.flush();
                self.lane.finish(now);
            }
            Command::Open(..) | Command::Quit => {}
        }
    }

    /// Takes a newcomer in, or gives it back where the lane has yet to get to where the log stood when it asked: whoever has
    /// published a tick sees it in the streams opened after.
    fn open(
        &mut self,
        new_stream: NewStream,
        subscription: Subscription,
        sockets: &Sockets,
    ) -> Option<(NewStream, Subscription)> {
        if subscription.asked_at > self.lane.head() {
            return Some((new_stream, subscription));
        }
        let now = self.clock.uptime();
        match new_stream {
            NewStream::Body(slot) => {
                let sink = |_| Ok::<_, Infallible>(StreamSink::Body(BodySink::new(Arc::clone(&slot))));
                let Ok(key) = self.lane.open(sink, subscription, now);
                match slot.attach(key) {
                    Some(BodyEvent::Ready) => self.lane.ready(key, now),
                    Some(BodyEvent::Closed) => self.lane.close(key),
                    None => {}
                }
            }
            NewStream::Socket(arrival) => {
                self.lane.batch_writer().init_uring();
                let sink = |key| sockets.admit(arrival, key).map(StreamSink::Socket);
                if let Err(error) = self.lane.open(sink, subscription, now) {
                    tracing::warn!(%error, "a stream could not be taken in");
                    self.lane.turned_away();
                }
            }
        }
        None
    }

    fn handle_socket_event(&mut self, news: Vec<SocketEvent>) {
        let now = self.clock.uptime();
        for news in news {
            match news {
                SocketEvent::Ready(key) => self.lane.ready(key, now),
                SocketEvent::Ended(key) => self.lane.half_close(key, now),
                SocketEvent::Closed(key) => self.lane.close(key),
            }
        }
    }
}
