//! Publishing ticks into the market, for one source.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tickcast_core::{
    KeyProgress, Outcome, PublishedTick, SourceId, SourceOptions, Symbol, Tick, TickError,
};

use crate::hub::Hub;
use crate::source_state::SourceState;
use crate::sources::{DEFAULT_STALE_AFTER, Source};
use crate::stats::{FeedEventKind, SourceCounters};

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
    /// Publishes one tick, as the source `local` with the default [`SourceOptions`]. A late tick is
    /// dropped, which is not an error.
    ///
    /// # Errors
    /// If the time of the tick is more than a minute in the future, if the market is full (100,000
    /// symbols by default), or if the tick cannot be stored on disk.
    pub fn publish(&self, tick: &Tick) -> Result<Outcome, TickError> {
        let (source, id) = self.local_source();
        Publisher::new(self.clone(), source, id, SourceOptions::default()).publish(tick)
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
    ///
    /// # Errors
    /// If the time of the tick is further in the future than the options allow. If the market is
    /// full. If the tick cannot be stored on disk.
    pub fn publish(&self, tick: &Tick) -> Result<Outcome, TickError> {
        let mut result = Ok(Outcome::Late);
        self.publish_all([tick], |_, outcome| result = outcome);
        result
    }

    /// Publishes ticks in order. No tick of another publisher comes in between. `each` receives the
    /// outcome of every tick, with the tick's index. The iterator and `each` run while the market
    /// is locked. Both must be fast and must not call the hub.
    pub fn publish_all<'t>(
        &self,
        ticks: impl IntoIterator<Item = &'t Tick>,
        each: impl FnMut(usize, Result<Outcome, TickError>),
    ) {
        self.publish_with_progress(ticks, each, || None);
    }

    /// Publishes the ticks of one part of a request. After all ticks are handled, `note` returns
    /// the progress of the request.
    pub(crate) fn publish_with_progress<'t, 'n>(
        &self,
        ticks: impl IntoIterator<Item = &'t Tick>,
        mut each: impl FnMut(usize, Result<Outcome, TickError>),
        note: impl FnOnce() -> Option<KeyProgress<'n>>,
    ) {
        let now = self.hub.now();
        let mut heard = false;
        let each = |i, outcome: Result<Outcome, TickError>| {
            self.source.counters.count(&outcome);
            heard |= outcome.is_ok();
            each(i, outcome);
        };
        let taken_over =
            self.hub
                .log()
                .publish(ticks, (self.source_id, self.options, now), each, note);
        if heard {
            self.hub.source_list().note_activity(&self.source, now);
        }
        self.hub
            .source_list()
            .take_over(&taken_over, &self.source, now.wall);
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
    /// symbol comes back.
    ///
    /// # Errors
    /// [`TickError::Storage`] if the removal cannot be stored on disk.
    pub fn remove(&self, symbol: &Symbol) -> Result<bool, TickError> {
        self.hub.log().remove(symbol, self.hub.now())
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
