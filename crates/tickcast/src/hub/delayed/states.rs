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
}

impl StateChanges {
    /// Notes what has changed in the live market.
    pub(super) fn note(&mut self, live: &Hub) {
        let version = Some(live.source_list().version());
        if version == std::mem::replace(&mut self.version, version) {
            return;
        }
        let mut now = BTreeMap::new();
        for (index, source) in live.source_list().stats().into_iter().enumerate() {
            now.insert((index, None), source.state);
            let symbols = source.symbols.into_iter();
            now.extend(symbols.map(|own| ((index, Some(own.symbol)), own.state)));
        }
        // The time comes after the states: they are at least as old.
        let at = live.0.clock.uptime();
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

    /// Applies the changes that happened at `old`, or before.
    pub(super) fn apply(&mut self, market: &Hub, old: Option<Duration>) {
        while let Some((at, ..)) = self.waiting.front()
            && old.is_some_and(|old| *at <= old)
            && let Some((_, owner, state)) = self.waiting.pop_front()
        {
            set(market, owner, &state);
            self.applied.insert(owner, state);
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
}
