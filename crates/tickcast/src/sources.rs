//! The sources of a hub and their state changes.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use tickcast_core::{Now, SourceId, SourceStatus, State, Symbol, Time};

use crate::doorbell::Doorbell;
use crate::source_state::SourceState;
use crate::stats::{SourceCounters, SourceStats, SymbolStats};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// Default maximum silence of a source. After a longer silence its prices are stale.
pub(crate) const DEFAULT_STALE_AFTER: Duration = Duration::from_secs(15);

/// A source that is registered with the hub.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) counters: SourceCounters,
    standing: Mutex<SourceStanding>,
    /// Time of the source's last tick, in ms of uptime, plus 1. 0: no tick yet.
    last_activity: AtomicU64,
    /// Whether the state is stale. A tick reads this flag without the lock.
    stale: AtomicBool,
    /// Maximum silence of the source, in ms. 0: no limit.
    stale_after: AtomicU64,
    /// Whether the prices of the source are simulated.
    simulated: AtomicBool,
}

#[derive(Debug)]
struct SourceStanding {
    own: StateChange,
    /// Symbols that had a state change of their own.
    symbols: BTreeMap<Symbol, StateChange>,
}

#[derive(Debug, Clone)]
struct StateChange {
    state: SourceState,
    since: Time,
    /// The number of this change among the changes of all sources. 0: the state never changed.
    version: u64,
}

/// All sources of a hub.
#[derive(Default)]
pub(crate) struct Sources {
    list: Mutex<Vec<Arc<Source>>>,
    /// Number of state changes so far. The registration of a source counts as a change.
    version: AtomicU64,
    /// Number of changes of states, without take-overs.
    state_changes: AtomicU64,
    wakers: OnceLock<Vec<Arc<Doorbell>>>,
}

/// What a delayed market has to know of a source.
pub(crate) struct SourceSnapshot {
    pub(crate) state: SourceState,
    /// The symbols that have another state than live.
    pub(crate) symbols: Vec<(Symbol, SourceState)>,
}

/// The status of a source, with the number of its last state change.
#[derive(Debug, Clone)]
pub(crate) struct VersionedStatus {
    pub(crate) status: SourceStatus,
    pub(crate) version: u64,
    /// Symbols that had a state change of their own, in order of names.
    pub(crate) symbols: Vec<VersionedSymbolStatus>,
}

/// The status of a symbol that had a state change of its own.
#[derive(Debug, Clone)]
pub(crate) struct VersionedSymbolStatus {
    pub(crate) symbol: Symbol,
    pub(crate) state: State,
    pub(crate) since: Time,
    pub(crate) reason: Option<String>,
    pub(crate) version: u64,
}

impl StateChange {
    /// Checks whether a symbol in this state has a state of its own in the statistics.
    const fn is_trouble(&self) -> bool {
        !matches!(self.state, SourceState::Live | SourceState::Ended(_))
    }
}

impl Source {
    pub(crate) fn stats(&self) -> SourceStats {
        let standing = self.lock();
        let troubled = standing
            .symbols
            .iter()
            .filter(|(_, turn)| turn.is_trouble());
        let symbols = troubled.map(|(symbol, turn)| SymbolStats {
            symbol: *symbol,
            state: turn.state.clone(),
            since: turn.since,
        });
        let symbols = symbols.collect();
        let StateChange { state, since, .. } = standing.own.clone();
        drop(standing);
        let simulated = self.is_simulated();
        self.counters
            .stats(&self.name, state, since, symbols, simulated)
    }

    /// Returns the name of the state of a symbol: its own one among the [`stats`](Self::stats), or
    /// that of the source.
    #[cfg(feature = "http")]
    pub(crate) fn state_name(&self, symbol: &Symbol) -> &'static str {
        let standing = self.lock();
        let own = standing.symbols.get(symbol);
        let own = own.filter(|own| own.is_trouble());
        own.unwrap_or(&standing.own).state.name()
    }

    pub(crate) fn set_stale_after(&self, after: Duration) {
        self.stale_after.store(
            u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }

    pub(crate) fn stale_after(&self) -> Duration {
        Duration::from_millis(self.stale_after.load(Ordering::Relaxed))
    }

    pub(crate) fn is_simulated(&self) -> bool {
        self.simulated.load(Ordering::Relaxed)
    }

    pub(crate) fn set_simulated(&self, simulated: bool) {
        self.simulated.store(simulated, Ordering::Relaxed);
    }

    fn status(&self) -> VersionedStatus {
        let standing = self.lock();
        let told = |turn: &StateChange| {
            (
                turn.state.as_state(),
                turn.since,
                turn.state.reason().map(str::to_owned),
            )
        };
        let symbols = standing.symbols.iter().map(|(symbol, turn)| {
            let (state, since, reason) = told(turn);
            VersionedSymbolStatus {
                symbol: *symbol,
                state,
                since,
                reason,
                version: turn.version,
            }
        });
        let (state, since, reason) = told(&standing.own);
        let status = SourceStatus {
            source: self.name.clone(),
            state,
            since,
            reason,
        };
        VersionedStatus {
            status,
            version: standing.own.version,
            symbols: symbols.collect(),
        }
    }

    /// Returns what a delayed market has to know of the source.
    fn snapshot(&self) -> SourceSnapshot {
        let standing = self.lock();
        let symbols = standing.symbols.iter();
        let symbols = symbols.filter(|(_, own)| own.state != SourceState::Live);
        let symbols = symbols.map(|(symbol, own)| (*symbol, own.state.clone()));
        SourceSnapshot {
            state: standing.own.state.clone(),
            symbols: symbols.collect(),
        }
    }

    /// Returns the state of a symbol as readers see it.
    fn state_of(&self, symbol: &Symbol) -> State {
        let standing = self.lock();
        let own = standing.symbols.get(symbol).map(|turn| &turn.state);
        own.filter(|state| **state != SourceState::Live)
            .unwrap_or(&standing.own.state)
            .as_state()
    }

    fn lock(&self) -> MutexGuard<'_, SourceStanding> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sources {
    /// Sets the doorbells of the lanes to wake when a state changes. Only the first call has an
    /// effect.
    pub(crate) fn set_wakers(&self, doorbells: Vec<Arc<Doorbell>>) {
        let _ = self.wakers.set(doorbells);
    }

    /// Returns the source with this name and its index. A new source is registered now.
    pub(crate) fn register(&self, name: &str, now: Time) -> (usize, Arc<Source>) {
        let mut list = self.list();
        let known = list.iter().position(|source| source.name == name);
        let index = known.unwrap_or_else(|| {
            list.push(Arc::new(Source {
                name: name.to_owned(),
                counters: SourceCounters::default(),
                standing: Mutex::new(SourceStanding {
                    own: StateChange {
                        state: SourceState::Live,
                        since: now,
                        version: 0,
                    },
                    symbols: BTreeMap::new(),
                }),
                last_activity: AtomicU64::new(0),
                stale: AtomicBool::new(false),
                stale_after: AtomicU64::new(DEFAULT_STALE_AFTER.as_millis() as u64),
                simulated: AtomicBool::new(false),
            }));
            self.version.fetch_add(1, Ordering::SeqCst);
            list.len() - 1
        });
        let source = Arc::clone(&list[index]);
        drop(list);
        if known.is_none() {
            self.wake_lanes();
        }
        (index, source)
    }

    /// Registers the sources of `other` here, in the same order, with the same settings. So a
    /// delayed market has the same numbers for the same sources.
    pub(crate) fn mirror(&self, other: &Self, now: Time) {
        let theirs: Vec<_> = other.list().clone();
        for their in theirs {
            let (_, own) = self.register(&their.name, now);
            own.set_stale_after(their.stale_after());
        }
    }

    /// Returns whether the prices of each source are simulated.
    pub(crate) fn simulated(&self) -> Vec<bool> {
        self.list()
            .iter()
            .map(|source| source.is_simulated())
            .collect()
    }

    /// Returns what a delayed market has to know of each source.
    pub(crate) fn snapshots(&self) -> Vec<SourceSnapshot> {
        self.list().iter().map(|source| source.snapshot()).collect()
    }

    /// Sets whether the prices of the source with this index are simulated.
    pub(crate) fn set_simulated_at(&self, index: usize, simulated: bool) {
        if let Some(source) = self.list().get(index) {
            source.set_simulated(simulated);
        }
    }

    /// Records that the source with this index is not silent, if it is live and has sent a tick.
    pub(crate) fn note_alive(&self, index: usize, now: Now) {
        let source = self.list().get(index).cloned();
        let is_live = |source: &Source| {
            source.last_activity.load(Ordering::SeqCst) != 0 && !source.stale.load(Ordering::SeqCst)
        };
        if let Some(source) = source.filter(|source| is_live(source)) {
            self.note_activity(&source, now);
        }
    }

    /// Records that a source has sent ticks that were accepted.
    pub(crate) fn note_ticks(&self, source: SourceId, ticks: u64, now: Now) {
        let source = self.list().get(usize::from(source.0)).cloned();
        if let Some(source) = source {
            source.counters.accept(ticks);
            self.note_activity(&source, now);
        }
    }

    /// Records that a source has taken symbols over, like [`take_over`](Self::take_over).
    pub(crate) fn note_take_over(
        &self,
        (by, is_steady): (SourceId, bool),
        symbols: &[(Symbol, SourceId)],
        now: Time,
    ) {
        let source = self.list().get(usize::from(by.0)).cloned();
        if let Some(source) = source {
            self.take_over(symbols, (&source, is_steady), now);
        }
    }

    /// Sets the state of a symbol of the source with this index.
    pub(crate) fn set_symbol_at(
        &self,
        index: usize,
        symbol: Symbol,
        state: &SourceState,
        now: Time,
    ) {
        let source = self.list().get(index).cloned();
        if let Some(source) = source {
            self.set_symbol(&source, symbol, state, now);
        }
    }

    /// Sets the state of the source with this index.
    pub(crate) fn set_at(&self, index: usize, state: &SourceState, now: Now) {
        let source = self.list().get(index).cloned();
        if let Some(source) = source {
            self.set(&source, state, now);
        }
    }

    pub(crate) fn stats(&self) -> Vec<SourceStats> {
        self.list().iter().map(|source| source.stats()).collect()
    }

    /// Returns all sources, in order of registration.
    #[cfg(feature = "http")]
    pub(crate) fn all(&self) -> Vec<Arc<Source>> {
        self.list().clone()
    }

    /// Returns the number of state changes so far.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    /// Returns the number of changes of states so far. A take-over is none.
    pub(crate) fn state_changes(&self) -> u64 {
        self.state_changes.load(Ordering::SeqCst)
    }

    /// Counts a change of a state, and returns the version that has it.
    fn next_version(&self) -> u64 {
        self.state_changes.fetch_add(1, Ordering::SeqCst);
        self.version.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Returns the status of every source.
    pub(crate) fn statuses(&self) -> Vec<VersionedStatus> {
        self.list().iter().map(|source| source.status()).collect()
    }

    /// Records that a source has sent a tick.
    pub(crate) fn note_activity(&self, source: &Source, now: Now) {
        // Publishers that waited for the disk may come in another order.
        let at = now.uptime.as_millis() as u64 + 1;
        if source.last_activity.fetch_max(at, Ordering::SeqCst) == 0 {
            // The lanes have to know from now on when the source becomes stale.
            self.wake_lanes();
        }
        if source.stale.load(Ordering::SeqCst) {
            self.change_state(source, now.wall, |state| {
                matches!(state, SourceState::Stale).then_some(SourceState::Live)
            });
        }
    }

    /// Sets the state of a source, as the source reports it.
    pub(crate) fn set(&self, source: &Source, state: &SourceState, now: Now) {
        match state {
            // A source without a maximum silence never becomes stale.
            SourceState::Stale if source.stale_after.load(Ordering::Relaxed) == 0 => return,
            // The next tick will follow soon, so the silence of the source ends here.
            SourceState::Live if source.last_activity.load(Ordering::SeqCst) != 0 => {
                source
                    .last_activity
                    .store(now.uptime.as_millis() as u64 + 1, Ordering::SeqCst);
            }
            _ => {}
        }
        self.change_state(source, now.wall, |_| Some(state.clone()));
    }

    /// Sets the state of one symbol of a source, apart from the state of the source.
    pub(crate) fn set_symbol(
        &self,
        source: &Source,
        symbol: Symbol,
        state: &SourceState,
        now: Time,
    ) {
        let mut standing = source.lock();
        let known = standing
            .symbols
            .get(&symbol)
            .map_or(&SourceState::Live, |turn| &turn.state);
        if known == state {
            return;
        }
        let number = self.next_version();
        standing.symbols.insert(
            symbol,
            StateChange {
                state: state.clone(),
                since: now,
                version: number,
            },
        );
        drop(standing);
        self.wake_lanes();
    }

    /// Records that a source has sent ticks of symbols that belonged to other sources before. If
    /// their states differed, the new state is sent to readers. `is_steady` says whether no source has
    /// changed its state since: otherwise, readers may have been sent that of the other source.
    pub(crate) fn take_over(
        &self,
        symbols: &[(Symbol, SourceId)],
        (source, is_steady): (&Source, bool),
        now: Time,
    ) {
        for (symbol, before) in symbols {
            let Some(before) = self.list().get(usize::from(before.0)).cloned() else {
                continue;
            };
            if is_steady && before.state_of(symbol) == source.state_of(symbol) {
                continue;
            }
            let mut standing = source.lock();
            let state = standing
                .symbols
                .get(symbol)
                .map_or(SourceState::Live, |turn| turn.state.clone());
            let number = self.version.fetch_add(1, Ordering::SeqCst) + 1;
            standing.symbols.insert(
                *symbol,
                StateChange {
                    state,
                    since: now,
                    version: number,
                },
            );
            drop(standing);
            self.wake_lanes();
        }
    }

    /// Marks sources as stale that were silent for too long. Returns the uptime of the next check.
    pub(crate) fn check_staleness(&self, now: Now) -> Option<Duration> {
        self.list()
            .iter()
            .filter_map(|source| self.check_source(source, now))
            .min()
    }

    fn check_source(&self, source: &Source, now: Now) -> Option<Duration> {
        let heard = source.last_activity.load(Ordering::SeqCst);
        let stale_after = Duration::from_millis(source.stale_after.load(Ordering::Relaxed));
        if heard == 0 || stale_after.is_zero() || source.stale.load(Ordering::SeqCst) {
            return None;
        }
        let due = Duration::from_millis(heard - 1).saturating_add(stale_after);
        if now.uptime < due {
            return Some(due);
        }
        self.change_state(source, now.wall, |state| {
            matches!(state, SourceState::Live).then_some(SourceState::Stale)
        });
        // A tick that arrived during this check did not see the stale flag, so the source becomes
        // live here.
        if source.last_activity.load(Ordering::SeqCst) != heard {
            self.note_activity(source, now);
        }
        None
    }

    /// Changes a source's state to the result of `to`, if there is one, and wakes the lanes.
    fn change_state(
        &self,
        source: &Source,
        now: Time,
        to: impl FnOnce(&SourceState) -> Option<SourceState>,
    ) {
        let mut standing = source.lock();
        let Some(state) = to(&standing.own.state).filter(|state| *state != standing.own.state)
        else {
            return;
        };
        source
            .stale
            .store(state == SourceState::Stale, Ordering::SeqCst);
        let number = self.next_version();
        standing.own = StateChange {
            state,
            since: now,
            version: number,
        };
        drop(standing);
        self.wake_lanes();
    }

    fn wake_lanes(&self) {
        self.wakers
            .get()
            .into_iter()
            .flatten()
            .for_each(|doorbell| doorbell.wake());
    }

    fn list(&self) -> MutexGuard<'_, Vec<Arc<Source>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now {
            uptime: Duration::from_secs(seconds),
            ..Now::default()
        }
    }

    #[test]
    fn a_silent_source_becomes_stale_and_a_tick_makes_it_live() {
        let sources = Sources::default();
        let (_, source) = sources.register("feed", Time::default());
        assert_eq!(
            sources.check_staleness(at(100)),
            None,
            "what has not spoken yet is not silent"
        );
        sources.note_activity(&source, at(100));
        assert_eq!(
            sources.check_staleness(at(101)),
            Some(Duration::from_secs(115))
        );
        assert_eq!(
            (sources.check_staleness(at(115)), source.stats().state),
            (None, SourceState::Stale)
        );
        assert_eq!(sources.statuses()[0].version, 2);
        sources.note_activity(&source, at(120));
        assert_eq!(
            (sources.version(), source.stats().state),
            (3, SourceState::Live)
        );
        source.set_stale_after(Duration::ZERO);
        assert_eq!(
            (sources.check_staleness(at(999)), source.stats().state),
            (None, SourceState::Live)
        );
        sources.set(&source, &SourceState::Stale, at(999));
        assert_eq!(
            source.stats().state,
            SourceState::Live,
            "it may be silent for ever"
        );
    }

    #[test]
    fn a_source_that_has_just_recovered_is_not_silent() {
        let sources = Sources::default();
        let (_, source) = sources.register("feed", Time::default());
        sources.note_activity(&source, at(0));
        sources.set(&source, &SourceState::Down("cut".to_owned()), at(1));
        sources.set(&source, &SourceState::Live, at(100));
        assert_eq!(
            (sources.check_staleness(at(101)), source.stats().state),
            (Some(Duration::from_secs(115)), SourceState::Live)
        );
    }

    #[test]
    fn a_symbol_can_change_its_state_without_its_source() {
        let sources = Sources::default();
        let (_, source) = sources.register("feed", Time::default());
        let symbol = Symbol::new("FOO-BAR").unwrap();
        sources.set_symbol(&source, symbol, &SourceState::Live, Time::default());
        assert_eq!(
            sources.version(),
            1,
            "it is live until something else is said"
        );
        let down = SourceState::Down("not a product".to_owned());
        sources.set_symbol(&source, symbol, &down, Time::default());
        assert_eq!(
            (
                source.stats().state,
                source.stats().symbols[0].state.clone()
            ),
            (SourceState::Live, down)
        );
        sources.set_symbol(&source, symbol, &SourceState::Live, Time::default());
        assert_eq!(source.stats().symbols.len(), 0);
        let told = &sources.statuses()[0].symbols[0];
        assert_eq!(
            (told.state, told.version),
            (State::Live, 3),
            "readers have yet to hear of it"
        );
    }

    #[test]
    fn a_source_that_takes_over_an_unhealthy_symbol_reports_its_new_state() {
        let sources = Sources::default();
        let [(_, old), (_, new)] =
            ["old", "new"].map(|name| sources.register(name, Time::default()));
        let symbol = Symbol::new("A").unwrap();
        let taken = [(symbol, SourceId(0))];
        let take_over = || sources.take_over(&taken, (&new, true), Time::default());
        take_over();
        assert_eq!(sources.version(), 2, "nothing is said where both are well");
        sources.set(&old, &SourceState::Down("cut".to_owned()), at(1));
        take_over();
        let told = &sources.statuses()[1].symbols[0];
        assert_eq!(
            (told.symbol, told.state, told.version),
            (symbol, State::Live, 4)
        );
        sources.set(&old, &SourceState::Live, at(2));
        sources.set_symbol(
            &old,
            symbol,
            &SourceState::Ended("removed".to_owned()),
            Time::default(),
        );
        take_over();
        assert_eq!(sources.statuses()[1].symbols[0].version, 7);
        assert_eq!(old.stats().symbols.len(), 0, "what has ended is no trouble");
    }

    /// Readers may have been sent the state of the other source, and not hear of its change, because the
    /// symbol belongs to it no longer.
    #[test]
    fn a_state_that_changes_during_a_take_over_is_reported() {
        let sources = Sources::default();
        let [(_, old), (_, new)] =
            ["old", "new"].map(|name| sources.register(name, Time::default()));
        sources.set(&old, &SourceState::Down("cut".to_owned()), at(1));
        let (before, version) = (sources.state_changes(), sources.version());
        sources.set(&old, &SourceState::Live, at(2));
        let taken = [(Symbol::new("A").unwrap(), SourceId(0))];
        let take_over = || {
            let is_steady = sources.state_changes() == before;
            sources.take_over(&taken, (&new, is_steady), Time::default());
        };
        take_over();
        let told = &sources.statuses()[1].symbols[0];
        assert_eq!((told.state, told.version), (State::Live, version + 2));
        // A take-over is no change of a state itself.
        assert_eq!(sources.state_changes(), before + 1);
    }

    #[test]
    fn a_source_that_failed_is_down_and_not_stale() {
        let sources = Sources::default();
        let (_, source) = sources.register("feed", Time::default());
        sources.note_activity(&source, at(0));
        sources.set(&source, &SourceState::Down("gone".to_owned()), at(1));
        assert_eq!(sources.check_staleness(at(60)), None);
        assert_eq!(sources.statuses()[0].status.state, State::Down);
        sources.set(&source, &SourceState::Down("gone".to_owned()), at(61));
        assert_eq!(sources.version(), 2, "the same again is no turn");
    }
}
