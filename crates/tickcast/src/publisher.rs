//! Publishing ticks into the market, for one source.

use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tickcast_core::{
    Now, Outcome, PublishedTick, SourceId, SourceOptions, Symbol, Tick, TickError,
};

use crate::hub::Hub;
use crate::log::{RequestProgress, Unremoved, Write};
use crate::source_state::SourceState;
use crate::sources::{DEFAULT_STALE_AFTER, Source};
use crate::stats::{FeedEventKind, OutcomeCounts, SourceCounters};

/// The publisher of one source. Its ticks are counted under the source's name and checked by the
/// source's options. Returned by [`Hub::source`]. Cheap to clone: clones are the same source.
#[derive(Debug, Clone)]
pub struct Publisher {
    hub: Hub,
    source: Arc<Source>,
    source_id: SourceId,
    options: SourceOptions,
}

impl Hub {
    /// Publishes one tick, as the source `local` with the default [`SourceOptions`]. Returns when
    /// readers can see the tick. A late tick is dropped, which is not an error.
    ///
    /// # Errors
    /// If the time of the tick is more than a minute in the future, if the market is full (100,000
    /// symbols by default), or if the tick cannot be stored on disk.
    pub async fn publish(&self, tick: &Tick) -> Result<Outcome, TickError> {
        self.local_publisher().publish(tick).await
    }

    /// Publishes one tick like [`publish`](Self::publish), without waiting: see
    /// [`Publisher::try_publish`].
    ///
    /// # Errors
    /// As [`publish`](Self::publish), and if too much waits for the disk.
    pub fn try_publish(&self, tick: &Tick) -> Result<Outcome, TickError> {
        self.local_publisher().try_publish(tick)
    }

    fn local_publisher(&self) -> Publisher {
        let (source, id) = self.local_source();
        Publisher::new(self.clone(), source, id, SourceOptions::default())
    }

    /// Returns a publisher for the source `name`, with these options. A second call with the same
    /// name returns the same source, with its counters and state; the options apply only to the
    /// returned publisher.
    #[must_use]
    pub fn source(&self, name: &str, options: SourceOptions) -> Publisher {
        let (source, id) = self.register(name);
        Publisher::new(self.clone(), source, id, options)
    }
}

impl Publisher {
    /// Default maximum silence of a source: 15 s. See [`stale_after`](Self::stale_after).
    pub const DEFAULT_STALE_AFTER: Duration = DEFAULT_STALE_AFTER;

    const fn new(
        hub: Hub,
        source: Arc<Source>,
        source_id: SourceId,
        options: SourceOptions,
    ) -> Self {
        Self {
            hub,
            source,
            source_id,
            options,
        }
    }

    /// Publishes one tick. Returns whether the tick was accepted, or dropped as late or unchanged.
    /// Returns when readers can see the tick: at once, or, with a tape on disk, after it is written.
    ///
    /// # Errors
    /// If the time of the tick is further in the future than the options allow. If the market is
    /// full. If the tick cannot be stored on disk. Readers do not see the tick then.
    pub async fn publish(&self, tick: &Tick) -> Result<Outcome, TickError> {
        let mut result = Ok(Outcome::Late);
        self.publish_all([tick], |_, outcome| result = outcome)
            .await;
        result
    }

    /// Publishes one tick like [`publish`](Self::publish), without waiting. With a tape on disk, the
    /// tick is accepted, but not written yet. If the disk fails then, the tick is lost:
    /// [`Hub::can_publish`] says so.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), and [`TickError::Overloaded`] if more than 128 KiB wait for
    /// the disk.
    pub fn try_publish(&self, tick: &Tick) -> Result<Outcome, TickError> {
        let mut result = Ok(Outcome::Late);
        self.try_publish_all([tick], |_, outcome| result = outcome);
        result
    }

    /// Publishes ticks in order, and returns when readers can see them. `each` receives the outcome
    /// of every tick, with the tick's index, when readers can see the tick. The iterator runs while
    /// the market is locked. It must be fast and must not call the hub.
    ///
    /// No tick of another publisher comes in between. With a tape on disk, this is true for up to
    /// 64 KiB of ticks; more ticks are published in parts.
    pub async fn publish_all<'t>(
        &self,
        ticks: impl IntoIterator<Item = &'t Tick>,
        mut each: impl FnMut(usize, Result<Outcome, TickError>),
    ) {
        let mut ticks = ticks.into_iter().enumerate().peekable();
        let mut outcomes = Vec::new();
        loop {
            let receipt = self.append(
                &mut ticks,
                |i, outcome| outcomes.push((i, outcome)),
                || None,
            );
            let more = receipt.more;
            let settled = receipt.settle().await;
            for (i, outcome) in outcomes.drain(..) {
                each(
                    i,
                    outcome.and_then(|outcome| settled.clone().map(|()| outcome)),
                );
            }
            match settled {
                Ok(()) if more => {}
                Ok(()) => return,
                Err(error) => {
                    for (i, _) in ticks {
                        self.source.counters.reject();
                        each(i, Err(error.clone()));
                    }
                    return;
                }
            }
        }
    }

    /// Publishes ticks in order like [`publish_all`](Self::publish_all), without waiting: see
    /// [`try_publish`](Self::try_publish). If too much waits for the disk, the rest of the ticks is
    /// rejected.
    pub fn try_publish_all<'t>(
        &self,
        ticks: impl IntoIterator<Item = &'t Tick>,
        mut each: impl FnMut(usize, Result<Outcome, TickError>),
    ) {
        let mut ticks = ticks.into_iter().enumerate().peekable();
        let mut outcomes = Vec::new();
        let mut receipt = self.append(
            &mut ticks,
            |i, outcome| outcomes.push((i, outcome)),
            || None,
        );
        for (i, _) in ticks {
            let refused = Err(TickError::Overloaded);
            receipt.counts.count(&refused);
            outcomes.push((i, refused));
        }
        drop(receipt);
        outcomes
            .into_iter()
            .for_each(|(i, outcome)| each(i, outcome));
    }

    /// Appends ticks to the log. After them, `note` returns the progress of the request that they
    /// belong to. `each` runs while the market is locked, and its outcomes count
    /// only when the receipt is [settled](Receipt::settle).
    pub(crate) fn append<'t, 'n>(
        &self,
        ticks: &mut Peekable<impl Iterator<Item = (usize, &'t Tick)>>,
        mut each: impl FnMut(usize, Result<Outcome, TickError>),
        note: impl FnOnce() -> Option<RequestProgress<'n>>,
    ) -> Receipt<'_> {
        let now = self.hub.now();
        let mut counts = OutcomeCounts::default();
        let each = |i, outcome: Result<Outcome, TickError>| {
            counts.count(&outcome);
            each(i, outcome);
        };
        let context = (self.source_id, self.options, now);
        let state_changes = self.hub.source_list().state_changes();
        let appended = self.hub.log().append(ticks, context, each, note);
        Receipt {
            publisher: self,
            write: appended.write,
            more: appended.more,
            taken_over: appended.taken_over,
            state_changes,
            counts,
            now,
        }
    }

    /// Returns the newest tick of a symbol if the tick is from this source. Also returns a tick
    /// that was restored from disk when the hub started. The source of a restored tick is not
    /// known. A source that numbers its ticks continues from the returned tick.
    #[must_use]
    pub fn newest(&self, symbol: &Symbol) -> Option<PublishedTick> {
        let frame = self.hub.log().read(|sequencer| {
            let market = sequencer.market();
            let id = market.id(symbol)?;
            let ours = [self.source_id, SourceId::UNKNOWN].contains(&market.source(id));
            market.newest(id).filter(|_| ours).cloned()
        })?;
        PublishedTick::read(Bytes::copy_from_slice(frame.json()))
    }

    /// Returns the reporter for what a source receives beside valid ticks.
    #[must_use]
    pub fn reporter(&self) -> FeedReporter<'_> {
        FeedReporter(&self.source.counters)
    }

    /// Removes a symbol from the market and returns whether the symbol was there. Readers of
    /// resumable streams receive the event `gone`. The numbers `n` of its ticks continue if the
    /// symbol comes back. Returns when readers can see the removal.
    ///
    /// # Errors
    /// [`TickError::Storage`] if the removal cannot be stored on disk.
    pub async fn remove(&self, symbol: &Symbol) -> Result<bool, TickError> {
        loop {
            let (removed, write) = match self.hub.log().remove(symbol, self.hub.now()) {
                Ok(removed) => removed,
                Err(Unremoved::Wait(write)) => {
                    write.wait().await?;
                    continue;
                }
                Err(Unremoved::Failed(error)) => return Err(error),
            };
            if let Some(write) = write {
                write.wait().await?;
            }
            return Ok(removed);
        }
    }

    /// Removes a symbol like [`remove`](Self::remove), without waiting: see
    /// [`try_publish`](Self::try_publish).
    ///
    /// # Errors
    /// As [`remove`](Self::remove), and [`TickError::Overloaded`] if too much waits for the disk.
    pub fn try_remove(&self, symbol: &Symbol) -> Result<bool, TickError> {
        match self.hub.log().remove(symbol, self.hub.now()) {
            Ok((removed, _)) => Ok(removed),
            Err(Unremoved::Wait(_)) => Err(TickError::Overloaded),
            Err(Unremoved::Failed(error)) => Err(error),
        }
    }

    /// Sets the state of the source. Readers of resumable streams receive each new state.
    pub fn set_state(&self, state: &SourceState) {
        self.hub
            .source_list()
            .set(&self.source, state, self.hub.now());
    }

    /// Sets the state of one symbol, if that state differs from the state of the source. An example
    /// is a symbol that an exchange does not list. Readers of resumable streams receive the state.
    /// [`SourceState::Live`] means that the symbol has the state of its source again.
    pub fn set_symbol_state(&self, symbol: Symbol, state: &SourceState) {
        self.hub
            .source_list()
            .set_symbol(&self.source, symbol, state, self.hub.now().wall);
    }

    /// Sets how long the source may send nothing after its first tick before its prices are stale.
    /// Default: 15 s. Zero means never stale.
    #[must_use]
    pub fn stale_after(self, silence: Duration) -> Self {
        self.source.set_stale_after(silence);
        self
    }

    /// Sets whether the prices of the source are simulated. `/v1/status` says so, and our pages
    /// warn. Default: false.
    #[must_use]
    pub fn simulated(self, simulated: bool) -> Self {
        self.source.set_simulated(simulated);
        self
    }

    /// Returns a publisher with the same options and its own name after this publisher's name. The
    /// new source becomes stale independently.
    pub(crate) fn named(&self, name: &str) -> Self {
        let name = format!("{}:{name}", self.name());
        let source = self.hub.source(&name, self.options);
        source
            .stale_after(self.source.stale_after())
            .simulated(self.source.is_simulated())
    }

    /// Returns the hub of the publisher.
    #[must_use]
    pub const fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Returns the name of the source.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.source.name
    }
}

/// Appended ticks that readers may not see yet. They count when the receipt is dropped.
#[must_use = "the ticks may fail until they are settled"]
pub(crate) struct Receipt<'p> {
    publisher: &'p Publisher,
    write: Result<Option<Arc<Write>>, TickError>,
    /// Whether there are more ticks than the disk can take now.
    pub(crate) more: bool,
    taken_over: Vec<(Symbol, SourceId)>,
    /// The number of changes of states of the sources before the ticks.
    state_changes: u64,
    counts: OutcomeCounts,
    now: Now,
}

impl Receipt<'_> {
    /// Waits until readers can see the ticks.
    ///
    /// # Errors
    /// If the ticks cannot be stored on disk. They all count as rejected then.
    pub(crate) async fn settle(mut self) -> Result<(), TickError> {
        let settled = match &self.write {
            Ok(Some(write)) => {
                let settled = write.wait().await;
                self.now = self.publisher.hub.now();
                settled
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error.clone()),
        };
        if settled.is_err() {
            self.counts = self.counts.all_rejected();
            self.taken_over.clear();
        }
        settled
    }
}

impl Drop for Receipt<'_> {
    // Whoever waits may go away. The ticks come all the same, and their source has sent them.
    fn drop(&mut self) {
        let Publisher { hub, source, .. } = self.publisher;
        let sources = hub.source_list();
        source.counters.add(&self.counts);
        let is_steady = sources.state_changes() == self.state_changes;
        if self.counts.any_valid() {
            sources.note_activity(source, self.now);
        }
        sources.take_over(&self.taken_over, (source, is_steady), self.now.wall);
    }
}

/// Counts what a source receives beside valid ticks. Returned by [`Publisher::reporter`]. The
/// counts are in `/v1/status`, in the metrics and in [`SourceStats`](crate::stats::SourceStats).
#[derive(Debug, Clone, Copy)]
pub struct FeedReporter<'a>(&'a SourceCounters);

impl FeedReporter<'_> {
    /// Counts an item that was sent as a tick but is not a valid tick, as
    /// [`SourceStats::rejected`](crate::stats::SourceStats::rejected).
    pub fn reject(self) {
        self.0.reject();
    }

    /// Counts `times` events of this kind, in
    /// [`SourceStats::feed`](crate::stats::SourceStats::feed).
    pub fn count(self, kind: FeedEventKind, times: u64) {
        self.0.count_feed_event(kind, times);
    }
}
