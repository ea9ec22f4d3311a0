//! The states of the sources of a delayed market: those of the live market, as they were.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tickcast_core::Symbol;

use crate::hub::Hub;
use crate::source_state::SourceState;

/// Maximum number of changes that wait for their delay. Beyond it, the oldest is forgotten, and the
/// silence of the source shows.
const MAX_WAITING: usize = 10_000;

/// What has a state: a source by its index, or one symbol of it.
type Owner = (usize, Option<Symbol>);

/// The changes of the states of sources, and of symbols with a state of their own, that wait for
/// their delay.
#[derive(Default)]
pub(super) struct StateChanges {
    /// The states of the live market.
    seen: BTreeMap<Owner, SourceState>,
    version: Option<u64>,
    waiting: VecDeque<(Duration, Owner, SourceState)>,
    /// The states of the delayed market.
    applied: BTreeMap<Owner, SourceState>,
    /// Whether the prices of each source are simulated: in the live market, what waits for its
    /// delay, and in the delayed market.
    seen_simulated: Vec<bool>,
    waiting_simulated: VecDeque<(Duration, usize, bool)>,
    simulated: Vec<bool>,
}

impl StateChanges {
    /// Notes what has changed in the live market.
    pub(super) fn note(&mut self, live: &Hub) {
        let sources = live.source_list();
        // Nobody else may look whether a source has become silent.
        sources.check_staleness(live.now());
        let (version, simulated) = (Some(sources.version()), sources.simulated());
        let is_known = version == self.version && simulated == self.seen_simulated;
        self.version = version;
        if is_known {
            return;
        }
        let mut now = BTreeMap::new();
        for (index, source) in sources.snapshots().into_iter().enumerate() {
            now.insert((index, None), source.state);
            let symbols = source.symbols.into_iter();
            now.extend(symbols.map(|(symbol, state)| ((index, Some(symbol)), state)));
        }
        // The time comes after the states: they are at least as old.
        let at = live.0.clock.uptime();
        self.note_simulated(&simulated, at);
        let before = std::mem::take(&mut self.seen);
        for owner in before.keys().filter(|owner| !now.contains_key(owner)) {
            // Without a state of its own, a symbol has that of its source.
            self.waiting.push_back((at, *owner, SourceState::Live));
        }
        for (owner, state) in &now {
            if before.get(owner).unwrap_or(&SourceState::Live) != state {
                self.waiting.push_back((at, *owner, state.clone()));
            }
        }
        self.seen = now;
        let surplus = self.waiting.len().saturating_sub(MAX_WAITING);
        self.waiting.drain(..surplus);
    }

    fn note_simulated(&mut self, now: &[bool], at: Duration) {
        for (index, simulated) in now.iter().enumerate() {
            match self.seen_simulated.get(index) {
                // A new source has sent nothing before.
                None => self.simulated.push(*simulated),
                Some(before) if before != simulated => {
                    self.waiting_simulated.push_back((at, index, *simulated));
                }
                Some(_) => {}
            }
        }
        self.seen_simulated = now.to_vec();
    }

    /// Applies the changes that happened at `old`, or before. A source that was live then is not
    /// silent now, whatever its ticks were: those with an unchanged price are not on the tape.
    pub(super) fn apply(&mut self, market: &Hub, old: Option<Duration>) {
        while let Some((at, ..)) = self.waiting.front()
            && old.is_some_and(|old| *at <= old)
            && let Some((_, owner, state)) = self.waiting.pop_front()
        {
            set(market, owner, &state);
            self.applied.insert(owner, state);
        }
        while let Some((at, index, simulated)) = self.waiting_simulated.front().copied()
            && old.is_some_and(|old| at <= old)
        {
            self.waiting_simulated.pop_front();
            self.simulated[index] = simulated;
        }
        let (sources, now) = (market.source_list(), market.now());
        for (index, simulated) in self.simulated.iter().enumerate() {
            sources.set_simulated_at(index, *simulated);
            if matches!(
                self.applied.get(&(index, None)),
                None | Some(SourceState::Live)
            ) {
                sources.note_alive(index, now);
            }
        }
    }

    /// Applies all states again, because the market is a new one.
    pub(super) fn repeat(&self, market: &Hub) {
        for (owner, state) in &self.applied {
            set(market, *owner, state);
        }
    }
}

fn set(market: &Hub, (source, symbol): Owner, state: &SourceState) {
    let now = market.now();
    match symbol {
        None => market.source_list().set_at(source, state, now),
        Some(symbol) => market
            .source_list()
            .set_symbol_at(source, symbol, state, now.wall),
    }
}

#[cfg(test)]
mod tests {
    use tickcast_core::SourceOptions;

    use super::*;

    /// The states of sources and of symbols follow with the delay, and a new market gets them too.
    #[test]
    fn a_state_is_as_old_as_the_prices_and_outlives_its_market() {
        let (live, market) = (Hub::builder().build(), Hub::builder().build());
        let publisher = live.source("feed", SourceOptions::default());
        let symbol = Symbol::new("A").unwrap();
        let mut states = StateChanges::default();
        states.note(&live);
        publisher.set_state(&SourceState::Down("away".to_owned()));
        publisher.set_symbol_state(symbol, &SourceState::Down("unknown".to_owned()));
        states.note(&live);
        let at = live.0.clock.uptime();
        let told = |market: &Hub| {
            market
                .source_list()
                .mirror(live.source_list(), market.now().wall);
            let own = market.sources().remove(0);
            (
                own.state,
                own.symbols
                    .into_iter()
                    .map(|own| own.state)
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(told(&market), (SourceState::Live, Vec::new()));
        states.apply(&market, at.checked_sub(Duration::from_secs(1)));
        assert_eq!(told(&market), (SourceState::Live, Vec::new()));
        states.apply(&market, Some(at));
        let down = |why: &str| SourceState::Down(why.to_owned());
        assert_eq!(told(&market), (down("away"), vec![down("unknown")]));
        let other = Hub::builder().build();
        assert_eq!(told(&other), (SourceState::Live, Vec::new()));
        states.repeat(&other);
        assert_eq!(told(&other), (down("away"), vec![down("unknown")]));
        publisher.set_symbol_state(symbol, &SourceState::Live);
        states.note(&live);
        states.apply(&market, Some(live.0.clock.uptime()));
        assert_eq!(told(&market), (down("away"), Vec::new()));
    }

    /// What is not on the tape tells of a source, too.
    #[test]
    fn a_source_is_as_alive_and_as_simulated_as_it_was() {
        let (live, market) = (Hub::builder().build(), Hub::builder().build());
        let publisher = live
            .source("feed", SourceOptions::default())
            .simulated(true);
        let symbol = Symbol::new("A").unwrap();
        let mut states = StateChanges::default();
        states.note(&live);
        let sources = market.source_list();
        sources.mirror(live.source_list(), market.now().wall);
        states.apply(&market, None);
        assert!(market.sources()[0].simulated);
        let _real = publisher.simulated(false);
        let publisher = live.source("feed", SourceOptions::default());
        publisher.set_symbol_state(symbol, &SourceState::Ended("removed".to_owned()));
        states.note(&live);
        let at = live.0.clock.uptime();
        states.apply(&market, at.checked_sub(Duration::from_secs(1)));
        assert!(market.sources()[0].simulated, "the prices are");
        assert!(sources.statuses()[0].symbols.is_empty());
        states.apply(&market, Some(at));
        assert!(!market.sources()[0].simulated);
        let ended = &sources.statuses()[0].symbols[0];
        assert_eq!(
            (ended.symbol, ended.state),
            (symbol, tickcast_core::State::Gone)
        );

        // The source is silent in the delayed market, because the price does not change.
        let now = |seconds| tickcast_core::Now {
            uptime: Duration::from_secs(seconds),
            ..market.now()
        };
        sources.note_ticks(tickcast_core::SourceId(0), 1, now(0));
        states.apply(&market, Some(at));
        let silent = now(14);
        sources.check_staleness(tickcast_core::Now {
            uptime: market.now().uptime + silent.uptime,
            ..silent
        });
        assert_eq!(market.sources()[0].state, SourceState::Live);
    }
}
