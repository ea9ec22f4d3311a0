//! The hub: the market and all its readers.

mod build;
mod builder;
mod change;
mod delayed;
mod delayed_market;
mod ending;
mod filters;
mod lanes;
mod list;
mod not_prepared;
#[cfg(feature = "http")]
mod open_rate;
mod overload;
mod pinning;
mod prepared_streams;
mod revocation;
mod subjects;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tickcast_core::{Cursor, Epoch, Now, Seq, Sequencer, SourceId, TickError, Time};

pub use builder::{BuildError, HubBuilder, LaneThreads};
use delayed_market::DelayedMarket;
pub(crate) use delayed_market::NoMarket;
use filters::Filters;
pub(crate) use filters::{FilterRefusal, PreparedFilter};
pub(crate) use not_prepared::NotPrepared;
#[cfg(feature = "http")]
use open_rate::OpenRate;
use prepared_streams::PreparedStreams;
pub(crate) use revocation::Revocation;
pub(crate) use subjects::SubjectPermit;
use subjects::Subjects;

#[cfg(feature = "http")]
use crate::access::ClientAddress;
#[cfg(feature = "http")]
use crate::answers::Answers;
use crate::clock::{Clock, WallClockMonitor};
use crate::disk::AppendError;
use crate::lane::LaneHandle;
use crate::log::Log;
use crate::overload::{Overload, OverloadStep};
use crate::sources::{Source, Sources};
use crate::stats::{Delays, DiskStats, HubStats, RefusedStreams, SourceStats};
#[cfg(feature = "http")]
use crate::subscription::ReaderPermit;
use crate::subscription::{Expiry, PreparedStream, StreamId, Subscription};
use crate::workers::Workers;

/// Maximum time after the end of a permission until a stream ends, in milliseconds. Many streams
/// may have permissions that end in the same second.
const EXPIRY_SPREAD_MS: u64 = 4000;

/// The market and all its readers. A hub is cheap to clone; all clones are the same hub.
///
/// ```
/// use tickcast::{Hub, Tick};
///
/// let hub = Hub::builder().build();
/// hub.try_publish(&Tick::from_json(br#"{"symbol":"AAPL","price":189.50}"#).unwrap()).unwrap();
/// let app: axum::Router = hub.router();
/// ```
///
/// The streams of a hub end when the last clone is dropped.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

/// The shared parts of a hub.
pub(crate) struct Inner {
    log: Arc<Log>,
    /// The delayed markets, in order of their delays.
    delayed: Vec<DelayedMarket<Hub>>,
    /// Stops the thread of the delayed markets. It answers when it has written what a restart needs.
    stop_delayed: OnceLock<Sender<Sender<()>>>,
    /// If this market is delayed: the time up to which it has everything that was accepted, in ms.
    complete_until: AtomicI64,
    lanes: OnceLock<Vec<LaneHandle>>,
    sources: Arc<Sources>,
    clock: Clock,
    wall: WallClockMonitor,
    filters: Filters,
    subjects: Arc<Subjects>,
    /// The open streams of each address.
    addresses: Arc<Subjects>,
    /// The streams that each address has opened in this second.
    #[cfg(feature = "http")]
    opened: Arc<OpenRate>,
    revocation: Revocation,
    prepared_streams: Arc<PreparedStreams>,
    overload: Overload,
    refused: Arc<RefusedStreams>,
    epoch: Epoch,
    #[cfg(feature = "http")]
    answers: Answers,
    /// The threads for slow work of all markets.
    workers: Arc<Workers>,
    settings: HubBuilder,
    /// The source of ticks that are published without a source.
    local: OnceLock<(Arc<Source>, SourceId)>,
    /// Whether streams end once they have caught up. This includes streams of lanes that have not
    /// started yet.
    finished: AtomicBool,
    /// Whether the hub has begun to drain.
    draining: AtomicBool,
    /// Why the program is not ready, by cause.
    not_ready: Mutex<BTreeMap<String, String>>,
}

impl Hub {
    /// Returns the cursor of the newest entry on the tape.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.log().read(Sequencer::cursor)
    }

    /// Returns the epoch and the newest sequence number. Together they tell whether a cursor can
    /// belong to this hub.
    pub(crate) fn head(&self) -> (Epoch, Seq) {
        (self.0.epoch, self.0.log.head())
    }

    /// Checks whether ticks can be published now.
    ///
    /// # Errors
    /// If the disk is full, or if the tape on disk can no longer be written.
    pub fn can_publish(&self) -> Result<(), TickError> {
        self.0.log.can_publish()
    }

    /// Returns the number of lanes that have ended because of a defect, and the number of all
    /// lanes. The readers of a failed lane reconnect to the other lanes.
    #[must_use]
    pub fn failed_lanes(&self) -> (usize, usize) {
        let hubs: Vec<_> = self.markets().collect();
        let lanes = || hubs.iter().flat_map(Self::lanes);
        let failed = lanes().filter(|lane| lane.inbox.is_closed()).count();
        (failed, lanes().count())
    }

    /// Returns the reasons why new streams should go to another server. Empty: the hub is ready.
    #[must_use]
    pub fn reasons_not_ready(&self) -> Vec<String> {
        let draining = self.is_draining().then(|| "draining".to_owned());
        let publishing = self
            .can_publish()
            .err()
            .map(|error| format!("publishing fails: {error}"));
        let (failed, lanes) = self.failed_lanes();
        let failed = (failed > 0).then(|| {
            format!("{failed} of {lanes} lanes have ended because of a defect; restart the server")
        });
        let overload = Some(self.overload()).filter(|step| *step > OverloadStep::None);
        let overload = overload.map(|step| format!("overload: {}", step.name()));
        draining
            .into_iter()
            .chain(publishing)
            .chain(failed)
            .chain(overload)
            .chain(self.own_reasons().values().cloned())
            .collect()
    }

    /// Sets the reason why the program around the hub is not ready: [`reasons_not_ready`] and
    /// `/readyz` tell it as well. Each `cause` has one reason at most; `None` removes it.
    ///
    /// [`reasons_not_ready`]: Self::reasons_not_ready
    pub fn set_not_ready(&self, cause: &str, reason: Option<String>) {
        let mut reasons = self.own_reasons();
        match reason {
            Some(reason) => _ = reasons.insert(cause.to_owned(), reason),
            None => _ = reasons.remove(cause),
        }
    }

    fn own_reasons(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        let reasons = self.0.not_ready.lock();
        reasons.unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the statistics of the hub.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        let (cursor, symbols, candles, tape_ticks, tape_bytes) = self.log().read(|log| {
            (
                log.cursor(),
                log.market().len(),
                log.total_candles(),
                log.tape().len(),
                log.tape_bytes(),
            )
        });
        let sources = self.sources();
        let delays = Delays::default();
        let disk = self.log().tape().map(|tape| DiskStats {
            ticks: tape.head().get().saturating_sub(tape.start().get()),
            bytes: tape.bytes(),
            damaged_files: tape.damaged_segments() as u64,
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
            prepared_streams: self
                .0
                .prepared_streams
                .count((self.0.clock.uptime(), self.steady_time())),
            can_publish: self.can_publish().is_ok(),
            clock_jumps: self.0.wall.jumps(),
            overload: self.overload(),
            streams_refused: self.0.refused.all(),
            streams_shed: 0,
            tape_ticks,
            tape_bytes,
            disk,
            #[cfg(feature = "http")]
            answers: self.answers().stats(),
            #[cfg(not(feature = "http"))]
            answers: Default::default(),
            delays,
            sources,
        };
        for hub in self.markets() {
            for lane in hub.lanes() {
                lane.stats.add_to(&mut stats);
            }
        }
        stats
    }

    /// Returns the statistics of each source, in order of registration.
    #[must_use]
    pub fn sources(&self) -> Vec<SourceStats> {
        self.0.sources.check_staleness(self.now());
        self.0.sources.stats()
    }

    /// Waits until everything published so far is as durable as the options of the tape require:
    /// see [`Sync`](tickcast_tape::Sync). Without a tape on disk, the call returns at once.
    ///
    /// # Errors
    /// If a write to the disk has failed.
    #[cfg(feature = "tape")]
    pub async fn wait_durable(&self) -> Result<(), AppendError> {
        let visible = self.wait_visible().await;
        self.durable().await?;
        visible.map_err(|error| AppendError::Full(std::io::Error::other(error)))
    }

    /// Waits until everything published so far is visible to readers. Without a tape on disk, the
    /// call returns at once.
    ///
    /// # Errors
    /// [`TickError::Storage`] if the disk has refused some of it.
    pub async fn wait_visible(&self) -> Result<(), TickError> {
        match self.0.log.last_write() {
            Some(write) => write.wait().await,
            None => Ok(()),
        }
    }

    /// Waits like `wait_durable`, which exists only with the feature `tape`.
    pub(crate) async fn durable(&self) -> Result<(), AppendError> {
        match self.0.log.tape() {
            Some(tape) => tape.wait_durable(self.0.log.head()).await,
            None => Ok(()),
        }
    }

    /// Closes the tape on disk, if there is one. Before that, the hub writes a snapshot, which
    /// makes the next start fast, and one of each delayed market. After that, nothing can be
    /// published, and the delayed markets stand still.
    pub fn close(&self) {
        if self.0.log.tape().is_some() {
            self.close_delayed();
        }
        if let Err(error) = self.0.log.checkpoint() {
            tracing::warn!(%error, "no snapshot of the market could be written: the next start reads more of the tape");
        }
        self.0.log.close();
    }

    pub(crate) fn log(&self) -> &Log {
        &self.0.log
    }

    /// Returns which viewers may no longer read.
    #[cfg(feature = "http")]
    pub(crate) fn revocation(&self) -> &Revocation {
        &self.0.revocation
    }

    /// Checks whether requests without a viewer are refused.
    #[cfg(feature = "http")]
    pub(crate) fn requires_viewer(&self) -> bool {
        self.0.settings.require_viewer
    }

    #[cfg(feature = "http")]
    pub(crate) fn answers(&self) -> &Answers {
        &self.0.answers
    }

    pub(crate) fn source_list(&self) -> &Sources {
        &self.0.sources
    }

    /// Returns the source `local`, which is registered at the first call.
    pub(crate) fn local_source(&self) -> (Arc<Source>, SourceId) {
        self.0.local.get_or_init(|| self.register("local")).clone()
    }

    /// Returns the source with this name. A new source is registered now.
    pub(crate) fn register(&self, name: &str) -> (Arc<Source>, SourceId) {
        let (index, source) = self.source_list().register(name, self.now().wall);
        // Sources come from a configuration, which never lists 65,536 sources.
        (source, SourceId(u16::try_from(index).unwrap_or(u16::MAX)))
    }

    pub(crate) fn now(&self) -> Now {
        let now = self.0.clock.now();
        // One market is enough to report that the clock has jumped.
        if self.0.settings.delay.is_zero() {
            self.0.wall.check(now, self.0.settings.limits.max_skew);
        }
        now
    }

    /// Counts one more stream of a subject, unless the subject already has `max` streams.
    #[cfg(feature = "http")]
    pub(crate) fn open_for(&self, subject: Arc<str>, max: u32) -> Option<SubjectPermit> {
        self.0.subjects.admit(subject, max)
    }

    /// Adds a prepared stream.
    #[cfg(feature = "http")]
    pub(crate) fn add_prepared_stream(
        &self,
        stream: Arc<PreparedStream>,
    ) -> Result<(), NotPrepared> {
        let max = self.0.settings.max_prepared_streams;
        let now = (self.0.clock.uptime(), self.steady_time());
        self.0.prepared_streams.insert(stream, max, now)
    }

    /// Returns the prepared stream with this name. One that was prepared while its viewer was
    /// revoked does not exist.
    pub(crate) fn prepared_stream(&self, id: StreamId) -> Option<Arc<PreparedStream>> {
        let now = (self.0.clock.uptime(), self.steady_time());
        let stream = self.0.prepared_streams.get(id, now)?;
        (!prepared_streams::is_revoked(&stream, &self.0.revocation)).then_some(stream)
    }

    /// Returns the place of one more reader of a prepared stream, unless there are too many.
    #[cfg(feature = "http")]
    pub(crate) fn read_prepared(&self, stream: &Arc<PreparedStream>) -> Option<ReaderPermit> {
        stream.admit_reader(self.0.clock)
    }

    /// Returns the maximum number of open streams of an address, if there is one.
    #[cfg(feature = "http")]
    pub(crate) fn address_limit(&self) -> Option<u32> {
        self.0.settings.max_streams_per_address
    }

    /// Returns the maximum number of streams that an address may open in a second, unless it has
    /// opened as many.
    #[cfg(feature = "http")]
    pub(crate) fn check_opens(&self, address: ClientAddress) -> Result<(), u32> {
        let Some(max) = self.0.settings.max_opens_per_address else {
            return Ok(());
        };
        let now = self.0.clock.uptime();
        match self.0.opened.admit(address.group(), max, now) {
            true => Ok(()),
            false => Err(max),
        }
    }

    /// Counts one more stream of an address, unless it already has `max` streams.
    #[cfg(feature = "http")]
    pub(crate) fn open_from(&self, address: ClientAddress, max: u32) -> Option<SubjectPermit> {
        let group = address.group().to_string();
        self.0.addresses.admit(group.into(), max)
    }

    /// Returns the wall clock, or less if the wall clock has jumped forward since the hub was
    /// built. Compare the end of a permission with it, as
    /// [`Viewer::expires`](crate::access::Viewer::expires) does.
    #[must_use]
    pub fn steady_time(&self) -> Time {
        self.0.clock.passed()
    }

    /// Returns a subscription that starts now: as of the head of the log, and with its end by the
    /// uptime clock.
    pub(crate) fn started(&self, subscription: Subscription) -> Subscription {
        let mut subscription = subscription.at(self.0.log.head());
        if let Expiry::Wall(expires) = subscription.expiry {
            let spread = Duration::from_millis(fastrand::u64(0..EXPIRY_SPREAD_MS));
            let left = expires.since(self.0.clock.passed());
            let at = self.0.clock.uptime().saturating_add(left + spread);
            subscription.expiry = Expiry::Uptime(at);
        }
        subscription
    }

    /// Returns the latest time that an accepted tick can have now: the wall clock plus `max_skew`.
    pub(crate) fn horizon(&self) -> Time {
        self.now()
            .wall
            .saturating_add(self.0.settings.limits.max_skew)
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
