//! A way into the market for one source of ticks.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tickcast_core::{KeyProgress, Outcome, SourceId, SourceOptions, Symbol, Tick, TickError};

use crate::hub::Hub;
use crate::reader::PublishedTick;
use crate::source_state::SourceState;
use crate::sources::Source;
use crate::stats::FeedEventKind;

/// A way into the market for one source: its ticks are counted under its name and judged by its rules.
#[derive(Debug, Clone)]
pub struct Publisher {
    hub: Hub,
    source: Arc<Source>,
    source_id: SourceId,
    options: SourceOptions,
}

impl Hub {
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
        let (index, source) = self.source_list().register(name, self.now().wall);
        // Sources come from a configuration; 65,536 of them do not.
        let origin = SourceId(u16::try_from(index).unwrap_or(u16::MAX));
        Publisher::new(self.clone(), source, origin, rules)
    }
}

impl Publisher {
    pub(crate) const fn new(hub: Hub, source: Arc<Source>, origin: SourceId, rules: SourceOptions) -> Self {
        Self { hub, source, source_id: origin, options: rules }
    }

    /// Publishes one tick.
    ///
    /// # Errors
    /// Where it breaks a rule that can only be judged here: its time lies further ahead than its rules allow, or the market is full. And where
    /// the disk is.
    pub fn publish(&self, tick: &Tick) -> Result<Outcome, TickError> {
        let mut result = Ok(Outcome::Late);
        self.publish_all([tick], |_, outcome| result = outcome);
        result
    }

    /// Publishes ticks, in order and with nobody else's between them. `each` hears what became of each, by its position.
    /// Both run while the market is locked: they must not take long, nor ask the hub anything.
    pub fn publish_all<'t>(
        &self,
        ticks: impl IntoIterator<Item = &'t Tick>,
        each: impl FnMut(usize, Result<Outcome, TickError>),
    ) {
        self.publish_with_progress(ticks, each, || None);
    }

    /// The same for a part of a request; `note` says, once all of them were dealt with, how far that has come.
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
        let taken_over = self.hub.log().publish(ticks, (self.source_id, self.options, now), each, note);
        if heard {
            self.hub.source_list().note_activity(&self.source, now);
        }
        self.hub.source_list().take_over(&taken_over, &self.source, now.wall);
    }

    /// A symbol's newest tick, where it is one of this source's own, or was on the disk when the hub began: nobody knows any more
    /// whose it was then. A source that numbers its ticks goes on from there.
    #[must_use]
    pub fn newest(&self, symbol: &Symbol) -> Option<PublishedTick> {
        let frame = self.hub.log().with(|sequencer| {
            let market = sequencer.market();
            let id = market.id(symbol)?;
            let ours = [self.source_id, SourceId::UNKNOWN].contains(&market.source(id));
            market.newest(id).filter(|_| ours).cloned()
        })?;
        PublishedTick::read(&Bytes::copy_from_slice(frame.json()))
    }

    /// Counts something that was meant to be a tick and was none.
    pub fn reject(&self) {
        self.source.counters.reject();
    }

    /// Counts what happened on the way from a feed.
    pub fn count(&self, count: FeedEventKind, times: u64) {
        self.source.counters.feed(count, times);
    }

    /// Takes a symbol off the market; says whether it was there. Its count goes on should it come back.
    ///
    /// # Errors
    /// Where that cannot be kept.
    pub fn remove(&self, symbol: &Symbol) -> Result<bool, TickError> {
        self.hub.log().remove(symbol, self.hub.now())
    }

    /// Says how the source is doing. Readers of resumable streams are told where that is something new.
    pub fn set_state(&self, state: &SourceState) {
        self.hub.source_list().set(&self.source, state, self.hub.now());
    }

    /// Says how one of the source's symbols is doing where that is not how the source is: an exchange does not list it, say.
    /// Readers of resumable streams are told. [`SourceState::Live`]: it is as its source again.
    pub fn set_symbol_state(&self, symbol: Symbol, state: &SourceState) {
        self.hub.source_list().set_symbol(&self.source, symbol, state, self.hub.now().wall);
    }

    /// How long the source may be silent, once it has ticked, before its prices count as stale. Default 15 s; zero: for ever.
    #[must_use]
    pub fn stale_after(self, silence: Duration) -> Self {
        self.source.set_stale_after(silence);
        self
    }

    /// A publisher under the same rules with a name of its own behind this one's: it falls silent by itself.
    pub(crate) fn named(&self, name: &str) -> Self {
        let name = format!("{}:{name}", self.name());
        self.hub.source(&name, self.options).stale_after(self.source.stale_after())
    }

    /// The hub it publishes to.
    #[must_use]
    pub const fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The source's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.source.name
    }
}
