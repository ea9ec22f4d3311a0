//! A lane at work: on the runtime of whoever reads first, or on a thread of its own.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep_until;

use super::outlet::Outlet;
use super::socket::{News, Sockets};
use super::{Change, Command, Inbox, Lane, Librarian, Newcomer};
use crate::clock::Clock;
use crate::events::BodySink;
use crate::log::Log;
use crate::sources::Sources;
use crate::stats::LaneStats;
use crate::subscription::Subscription;

/// How many times `flush` a lane rests at most: 15 ms as it is delivered, a frame of a screen.
const LONGEST_REST: u32 = 3;

/// A lane and everything it has to do with.
pub(crate) struct Task {
    pub(crate) lane: Lane<Outlet>,
    pub(crate) log: Arc<Log>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) stats: Arc<LaneStats>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) librarian: Option<Librarian>,
    pub(crate) clock: Clock,
    /// The least time between two flushes.
    pub(crate) flush: Duration,
}

/// Closes the inbox of a lane that is no more, however it came to its end.
struct Closing(Arc<Inbox>, Arc<LaneStats>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
        self.1.forget();
        if std::thread::panicking() {
            tracing::error!("a lane has ended by a defect: its readers come back to the others");
        }
    }
}

impl Task {
    /// Runs the lane until its hub is gone. The first tick after quiet is sent at once; while more arrive, at most one flush
    /// begins every `flush`, and under load each takes along what came while the last one ran and rested.
    pub(crate) async fn run(mut self) {
        let _closing = Closing(Arc::clone(&self.inbox), Arc::clone(&self.stats));
        let sockets = match Sockets::new() {
            Ok(sockets) => sockets,
            Err(error) => return tracing::error!(%error, "a lane cannot watch sockets"),
        };
        let mut next_flush = Duration::ZERO;
        let mut early = Vec::new();
        let mut later: Vec<Box<Change>> = Vec::new();
        loop {
            let begun = self.clock.uptime();
            self.lane.begin_round();
            if begun >= next_flush {
                next_flush = match self.turn() {
                    0 => next_flush,
                    ticks => self.next_flush(ticks, begun, self.clock.uptime()),
                };
            }
            // Before anyone is taken in: whoever comes is told first what is not live.
            let stale_at = self.look_at_sources();
            for (newcomer, subscription) in std::mem::take(&mut early) {
                early.extend(self.open(newcomer, subscription, &sockets));
            }
            for command in self.inbox.take() {
                match command {
                    Command::Open(newcomer, subscription) => {
                        early.extend(self.open(newcomer, subscription, &sockets));
                    }
                    Command::Quit => {
                        early.into_iter().for_each(|(who, what)| Command::Open(who, what).refuse());
                        return self.lane.end(usize::MAX);
                    }
                    Command::Change(change) if self.lane.holds_back(&change) => later.push(change),
                    command => self.obey(command),
                }
            }
            self.lane.ring(self.clock.now());
            let (still, due): (Vec<_>, Vec<_>) =
                std::mem::take(&mut later).into_iter().partition(|change| self.lane.holds_back(change));
            later = still;
            due.into_iter().for_each(|change| self.obey(Command::Change(change)));
            for wanted in self.lane.wanted() {
                // Nothing is wanted where there is no tape on disk.
                if let Some(librarian) = &self.librarian
                    && let Some(refused) = librarian.ask(wanted, Arc::clone(&self.inbox))
                {
                    self.lane.give_up(&refused);
                }
            }

            // Listens first and looks then, so that nothing moves unnoticed in between.
            self.inbox.listen(true);
            let pending = self.log.head() > self.lane.head();
            if pending {
                self.inbox.listen(false);
            }
            let flush_at = (pending || !early.is_empty()).then_some(next_flush);
            let later_at = (!later.is_empty()).then_some(begun + self.flush);
            let wake = [flush_at, later_at, stale_at, self.lane.next_alarm()].into_iter().flatten().min();
            let alarm = async {
                match wake {
                    Some(at) => sleep_until(self.clock.at(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.inbox.rung() => {}
                () = alarm => {}
                news = sockets.news() => self.hear(news),
            }
        }
    }

    /// When the next flush may begin, after one of so many ticks. Where ticks come one at a time, nothing is gained by waiting
    /// for the next: the rest is over while the flush still runs. Where they come in numbers, a lane rests longer than it
    /// worked, so that each write carries more, but not so long that anyone sees it.
    fn next_flush(&self, ticks: u64, begun: Duration, ended: Duration) -> Duration {
        let took = ended.saturating_sub(begun);
        if ticks > 1 {
            ended + (took * 2).clamp(self.flush, self.flush * LONGEST_REST)
        } else {
            begun + self.flush
        }
    }

    /// Flushes; says how many ticks there were.
    fn turn(&mut self) -> u64 {
        let ticks = self.lane.flush(&self.log, self.clock.uptime());
        self.lane.note_delays(self.clock.uptime());
        ticks
    }

    /// Tells readers which sources have turned; says when one may turn by its silence.
    fn look_at_sources(&mut self) -> Option<Duration> {
        let stale_at = self.sources.look(self.clock.now());
        let turns = self.sources.turns();
        if turns != self.lane.turn() {
            // With what they had sent until then: it is theirs that is not live.
            self.turn();
            self.lane.tell(self.sources.statuses(), turns, self.clock.uptime());
        }
        stale_at
    }

    fn obey(&mut self, command: Command) {
        let now = self.clock.uptime();
        match command {
            Command::Ready(key) => self.lane.ready(key, now),
            Command::Close(key) => self.lane.close(key),
            Command::Found(found) => self.lane.found(*found, now),
            Command::Change(change) => {
                let Change { id, change, asked_at, answer } = *change;
                // A lane that lags behind the log does not know all the symbols that a change names.
                if change.is_some() && self.lane.head() < asked_at {
                    self.turn();
                }
                if let Some(effective) = self.lane.change(id, change, now) {
                    let _ = answer.try_send(effective);
                }
            }
            Command::End(most) => self.lane.end(most),
            Command::Finish => {
                self.turn();
                self.lane.finish(now);
            }
            Command::Open(..) | Command::Quit => {}
        }
    }

    /// Takes a newcomer in, or gives it back where the lane has yet to get to where the log stood when it asked: whoever has
    /// published a tick sees it in the streams opened after.
    fn open(
        &mut self,
        newcomer: Newcomer,
        subscription: Subscription,
        sockets: &Sockets,
    ) -> Option<(Newcomer, Subscription)> {
        if subscription.asked_at > self.lane.head() {
            return Some((newcomer, subscription));
        }
        let now = self.clock.uptime();
        match newcomer {
            Newcomer::Body(slot) => {
                let sink = |_| Ok::<_, Infallible>(Outlet::Body(BodySink::new(Arc::clone(&slot))));
                let Ok(key) = self.lane.open(sink, subscription, now);
                if let Some(missed) = slot.seat(key) {
                    self.obey(missed);
                }
            }
            Newcomer::Socket(arrival) => {
                self.lane.carrier().equip();
                let sink = |key| sockets.admit(arrival, key).map(Outlet::Socket);
                if let Err(error) = self.lane.open(sink, subscription, now) {
                    tracing::warn!(%error, "a stream could not be taken in");
                    self.lane.turned_away();
                }
            }
        }
        None
    }

    fn hear(&mut self, news: Vec<News>) {
        let now = self.clock.uptime();
        for news in news {
            match news {
                News::Ready(key) => self.lane.ready(key, now),
                News::Ended(key) => self.lane.half_close(key, now),
                News::Over(key) => self.lane.close(key),
            }
        }
    }
}
