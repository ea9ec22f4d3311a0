//! The market, and everyone who reads it.

mod builder;
mod filters;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tickcast_core::{
    Cursor, Epoch, Filter, Now, Outcome, Replica, Seq, Sequencer, SourceId, SourceOptions, Tick, TickError,
    Time,
};
use tickcast_tape::{AppendError, Opened};

pub use builder::HubBuilder;
use filters::Filters;
pub(crate) use filters::{FilterRefusal, Prepared};

use crate::answers::Answers;
use crate::clock::{Clock, WallClockMonitor};
use crate::events::{BodySlot, Events};
use crate::lane::{
    Change, Command, HandedOffSocket, HistoryReader, Inbox, Lane, NewStream, ProposedChange, SocketWriter,
    StreamLimits, Task,
};
use crate::log::{Log, run_checkpointer};
use crate::publisher::Publisher;
use crate::reader::Reader;
use crate::sources::Sources;
use crate::stats::{Delays, DiskStats, HubStats, LaneStats, SourceStats};
use crate::subscription::{Edit, EditError, Effective, StreamId, Subscription};

/// How often a drain ends its next streams.
const DRAIN_STEP: Duration = Duration::from_millis(10);

/// How long streams that were ended may take to write what they are in the middle of.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How often a change is worked out anew where it was outdated when it came to its lane.
const ATTEMPTS: usize = 8;

/// The market, and everyone who reads it. Cheap to clone; all clones are the same hub.
///
/// ```
/// use tickcast::{Hub, Tick};
///
/// let hub = Hub::builder().build();
/// hub.publish(&Tick::from_json(br#"{"symbol":"AAPL","price":189.50}"#).unwrap()).unwrap();
/// let app: axum::Router = hub.router();
/// ```
///
/// Its streams end when the last clone is dropped.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

/// What a hub consists of.
pub(crate) struct Inner {
    log: Arc<Log>,
    lanes: OnceLock<Vec<LaneHandle>>,
    sources: Arc<Sources>,
    clock: Clock,
    wall: WallClockMonitor,
    filters: Filters,
    epoch: Epoch,
    answers: Answers,
    settings: HubBuilder,
    /// Streams end once they have caught up, those of lanes not started yet too.
    finished: AtomicBool,
}

struct LaneHandle {
    inbox: Arc<Inbox>,
    stats: Arc<LaneStats>,
}

impl Hub {
    /// A hub with settings of one's own.
    #[must_use]
    pub fn builder() -> HubBuilder {
        HubBuilder::default()
    }

    /// An empty hub in an epoch of its own.
    fn new(settings: HubBuilder) -> Self {
        let epoch = Epoch::new(getrandom::u64().unwrap_or_else(|_| fastrand::u64(..)));
        Self::of(Arc::new(Log::new(Sequencer::new(epoch, settings.limits))), epoch, settings)
    }

    /// A hub that goes on where its tape on disk ends.
    fn on_disk(mut opened: Opened, settings: HubBuilder) -> Self {
        let epoch = opened.sequencer.cursor().epoch;
        let rolls = std::mem::replace(&mut opened.segment_sealed, std::sync::mpsc::channel().1);
        let log = Arc::new(Log::on_disk(opened));
        run_checkpointer(&log, rolls);
        Self::of(log, epoch, settings)
    }

    fn of(log: Arc<Log>, epoch: Epoch, settings: HubBuilder) -> Self {
        let clock = Clock::start();
        Self(Arc::new(Inner {
            log,
            lanes: OnceLock::new(),
            sources: Arc::default(),
            wall: WallClockMonitor::new(clock.now()),
            filters: Filters::default(),
            clock,
            epoch,
            answers: Answers::new(settings.max_answer_bytes),
            settings,
            finished: AtomicBool::new(false),
        }))
    }

    /// Publishes one tick, as the source `local`.
    ///
    /// # Errors
    /// Where its time lies more than a minute ahead, or the market is full.
    pub fn publish(&self, tick: &Tick) -> Result<Outcome, TickError> {
        self.source("local", SourceOptions::default()).publish(tick)
    }

    /// A way in for ticks of the source `name`, which counts and judges them apart from others'.
    #[must_use]
    pub fn source(&self, name: &str, rules: SourceOptions) -> Publisher {
        let (index, source) = self.0.sources.register(name, self.now().wall);
        // Sources come from a configuration; 65,536 of them do not.
        let origin = SourceId(u16::try_from(index).unwrap_or(u16::MAX));
        Publisher::new(self.clone(), source, origin, rules)
    }

    /// Reads ticks within the same program, on the terms of any other reader: one that falls behind gets newest values.
    ///
    /// # Panics
    /// When first polled outside a tokio runtime.
    #[must_use]
    pub fn subscribe(&self, subscription: Subscription) -> Reader {
        Reader::new(self.events(subscription))
    }

    /// The events of a subscription as they go over the wire.
    ///
    /// # Panics
    /// When first polled outside a tokio runtime.
    #[must_use]
    pub fn events(&self, subscription: Subscription) -> Events {
        Events::new(Arc::clone(&self.0), subscription.at(self.0.log.head()), None)
    }

    /// The newest place on the tape.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.log().with(|log| log.cursor())
    }

    /// Which life of the tape it is, and the newest place on it: what tells whether a cursor can be one of its own.
    pub(crate) fn head(&self) -> (Epoch, Seq) {
        (self.0.epoch, self.0.log.head())
    }

    /// Why nothing can be published, if that is so by now: the disk is full, or its tape is gone.
    ///
    /// # Errors
    /// Where that is so.
    pub fn can_publish(&self) -> Result<(), TickError> {
        self.0.log.can_publish()
    }

    /// How many lanes, of how many, have ended by a defect. Their readers come back to those that are left.
    #[must_use]
    pub fn failed_lanes(&self) -> (usize, usize) {
        let lanes = self.lanes();
        (lanes.iter().filter(|lane| lane.inbox.is_closed()).count(), lanes.len())
    }

    /// How everything stands.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        let (cursor, symbols, candles, tape_ticks, tape_bytes) = self.log().with(|log| {
            (log.cursor(), log.market().len(), log.candles(), log.tape().len(), log.tape().bytes())
        });
        let sources = self.sources();
        let delays = Delays::default();
        let disk = self.log().tape().map(|tape| DiskStats {
            ticks: tape.head().get().saturating_sub(tape.start().get()),
            bytes: tape.bytes(),
        });
        let mut stats = HubStats {
            streams: 0,
            buffered_bytes: 0,
            ticks_delivered: 0,
            bytes_sent: 0,
            cursor,
            symbols,
            candles,
            filters: self.0.filters.stats(),
            can_publish: self.can_publish().is_ok(),
            clock_jumps: self.0.wall.jumps(),
            tape_ticks,
            tape_bytes,
            disk,
            answers: self.answers().stats(),
            delays,
            sources,
        };
        self.lanes().iter().for_each(|lane| lane.stats.add_to(&mut stats));
        stats
    }

    /// How each source stands, in order of registration.
    #[must_use]
    pub fn sources(&self) -> Vec<SourceStats> {
        self.0.sources.check_staleness(self.now());
        self.0.sources.stats()
    }

    /// Changes what an open resumable stream is subscribed to; `None`: there is no such stream. What follows from the change is
    /// worked out here, not in the lane.
    pub(crate) async fn change(&self, id: StreamId, edit: Edit) -> Option<Result<Effective, EditError>> {
        // Held so that selecting goes on from there.
        let mut before = None;
        for _ in 0..ATTEMPTS {
            let current = self.ask(id, None).await?;
            let (from, effective) = match current.and_then(|current| {
                let effective = edit.clone().apply(current.clone())?;
                Ok((current, effective))
            }) {
                Ok(both) => both,
                Err(error) => return Some(Err(error)),
            };
            let prepared = match self.0.prepare_wholly(effective.filter.clone()).await {
                Ok(prepared) => prepared,
                Err(refusal) => return Some(Err(EditError::Refused(refusal))),
            };
            drop(before.replace(Arc::clone(&prepared)));
            match self.ask(id, Some((from, effective, Some(prepared)))).await? {
                // Somebody else was quicker, or the market has grown by too much since.
                Err(EditError::Outdated) => {}
                answer => return Some(answer),
            }
        }
        Some(Err(EditError::Outdated))
    }

    /// Asks the lanes what a stream is subscribed to, or has them change it.
    async fn ask(
        &self,
        id: StreamId,
        change: Option<ProposedChange>,
    ) -> Option<Result<Effective, EditError>> {
        let (answer, mut answers) = tokio::sync::mpsc::channel(1);
        let asked_at = self.0.log.head();
        for lane in self.lanes() {
            let (change, answer) = (change.clone(), answer.clone());
            lane.inbox.send(Command::Change(Box::new(Change { id, change, asked_at, answer })));
        }
        drop(answer);
        // It is one lane's; the others drop the question.
        answers.recv().await
    }

    /// Ends every stream once it has been sent all there is. New ones end after their snapshot.
    pub fn end_when_caught_up(&self) {
        self.0.finished.store(true, Ordering::SeqCst);
        self.lanes().iter().for_each(|lane| lane.inbox.send(Command::Finish));
    }

    /// Ends every stream where it stands, spread evenly over `window`, so that the readers do not all come back at once.
    pub async fn drain(&self, window: Duration) {
        let steps = (window.as_millis() / DRAIN_STEP.as_millis()).max(1) as u64;
        for left in (1..=steps).rev() {
            for lane in self.lanes() {
                let share = lane.stats.assigned().div_ceil(left);
                lane.inbox.send(Command::End(share as usize));
            }
            tokio::time::sleep(if left > 1 { DRAIN_STEP } else { Duration::ZERO }).await;
        }
        self.end_when_caught_up();
        // What they were in the middle of is still written, as long as someone reads it.
        // A lane that is no more may have been given a stream as it ended.
        let open = || self.lanes().iter().any(|lane| !lane.inbox.is_closed() && lane.stats.assigned() > 0);
        for _ in 0..(LAST_WORDS.as_millis() / DRAIN_STEP.as_millis()) {
            if !open() {
                break;
            }
            tokio::time::sleep(DRAIN_STEP).await;
        }
    }

    /// Waits until everything that is published by now is as safe as the hub's tape was asked to make it: see
    /// [`Sync`](tickcast_tape::Sync). Without a tape on disk that is at once.
    ///
    /// # Errors
    /// Where writing has failed.
    pub async fn wait_durable(&self) -> Result<(), AppendError> {
        match self.0.log.tape() {
            Some(tape) => tape.kept(self.0.log.head()).await,
            None => Ok(()),
        }
    }

    /// Closes the tape on disk, if there is one, after a snapshot that makes the next start quick. Nothing can be published
    /// any more.
    pub fn close(&self) {
        if let Err(error) = self.0.log.checkpoint() {
            tracing::warn!(%error, "no snapshot of the market could be written: the next start reads more of the tape");
        }
        self.0.log.close();
    }

    pub(crate) fn log(&self) -> &Log {
        &self.0.log
    }

    pub(crate) fn answers(&self) -> &Answers {
        &self.0.answers
    }

    pub(crate) fn source_list(&self) -> &Sources {
        &self.0.sources
    }

    pub(crate) fn now(&self) -> Now {
        let now = self.0.clock.now();
        self.0.wall.check(now, self.0.settings.limits.max_skew);
        now
    }

    /// The latest time that a tick can count at by now.
    pub(crate) fn horizon(&self) -> Time {
        self.now().wall.saturating_add(self.0.settings.limits.max_skew)
    }

    pub(crate) const fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    fn lanes(&self) -> &[LaneHandle] {
        self.0.lanes.get().map_or(&[], Vec::as_slice)
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Hub").field(&self.cursor()).finish()
    }
}

impl Inner {
    /// Subscribes an HTTP body.
    pub(crate) fn open_body(&self, subscription: Subscription) -> Arc<BodySlot> {
        let inbox = self.next_lane();
        let slot = BodySlot::new(Arc::clone(&inbox));
        inbox.send(Command::Open(NewStream::Body(Arc::clone(&slot)), subscription));
        slot
    }

    /// Subscribes a socket.
    pub(crate) fn open_socket(&self, arrival: HandedOffSocket, subscription: Subscription) {
        self.next_lane().send(Command::Open(NewStream::Socket(arrival), subscription));
    }

    /// The lane with the fewest streams, which is to get one more.
    fn next_lane(&self) -> Arc<Inbox> {
        let lanes = self.lanes.get_or_init(|| self.start_lanes());
        match lanes.iter().min_by_key(|lane| (lane.inbox.is_closed(), lane.stats.assigned())) {
            Some(lane) => {
                lane.stats.assign();
                // Lanes that were being started when the hub finished have not heard of it.
                if self.finished.load(Ordering::SeqCst) {
                    lane.inbox.send(Command::Finish);
                }
                Arc::clone(&lane.inbox)
            }
            None => unreachable!("there is at least one lane"),
        }
    }

    /// Starts the lanes: on threads of their own, or on the runtime of whoever reads first.
    fn start_lanes(&self) -> Vec<LaneHandle> {
        let HubBuilder {
            limits,
            stream_limits: manners,
            max_buffered_bytes: kept_bytes,
            flush_interval: flush,
            lanes,
            dedicated_threads: threads,
            io_backend: io,
            ..
        } = self.settings;
        let manners = StreamLimits { buffered_bytes: kept_bytes / lanes, ..manners };
        let librarian = self.log.tape().cloned().and_then(HistoryReader::start);
        let handles: Vec<_> = (0..lanes)
            .map(|number| {
                let handle = LaneHandle { inbox: Arc::default(), stats: Arc::default() };
                let stats = Arc::clone(&handle.stats);
                let counted = Arc::clone(&stats);
                let archive = self.log.tape().cloned().filter(|_| librarian.is_some());
                let lane = Lane::new(Replica::new(limits), manners, stats, SocketWriter::new(io))
                    .with_archive(archive);
                let (log, inbox) = (Arc::clone(&self.log), Arc::clone(&handle.inbox));
                let sources = Arc::clone(&self.sources);
                let (librarian, clock) = (librarian.clone(), self.clock);
                let task = Task {
                    lane,
                    log,
                    inbox,
                    stats: counted,
                    sources,
                    history_reader: librarian,
                    clock,
                    flush,
                };
                if threads {
                    start_thread(number, task);
                } else {
                    tokio::spawn(task.run());
                }
                handle
            })
            .collect();
        let doorbells: Vec<_> = handles.iter().map(|lane| Arc::clone(&lane.inbox)).collect();
        self.log.set_wakers(doorbells.clone());
        self.sources.set_wakers(doorbells);
        handles
    }
}

/// Runs a lane on a thread of its own, where its long flushes hold up nobody else.
fn start_thread(number: usize, task: Task) {
    let inbox = Arc::clone(&task.inbox);
    let run = move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(task.run()),
        Err(error) => {
            tracing::error!(%error, "a lane has no runtime");
            task.inbox.close();
        }
    };
    if let Err(error) = std::thread::Builder::new().name(format!("lane-{number}")).spawn(run) {
        tracing::error!(%error, "a lane has no thread");
        inbox.close();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for lane in self.lanes.get().into_iter().flatten() {
            lane.inbox.send(Command::Quit);
        }
    }
}

/// Everything, newest ticks first: the subscription of someone who names no symbols.
impl Default for Subscription {
    fn default() -> Self {
        Self::to(Filter::all())
    }
}
