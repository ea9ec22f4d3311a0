//! How a feed and each of its symbols are doing, and what is said of it.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tickcast::{FeedEventKind, Publisher, SourceState, Symbol, Tick};
use tokio::time::Instant;

use crate::{DecodeError, SymbolMap};

/// A symbol of which no price has come while it was subscribed to for so long is quiet, or perhaps none: some exchanges say
/// nothing.
const UNHEARD: Duration = Duration::from_secs(60);

/// Why there are no prices while a connection stands that has brought none.
const CONNECTED: &str = "connected, no price yet";

/// So many frames that made no sense are shown in the log, and so many unknown kinds; all are counted.
const MAX_LOGGED_ERRORS: u32 = 10;

/// How a feed and each of its symbols are doing.
pub(super) struct FeedStatus {
    publisher: Publisher,
    state: SourceState,
    /// The exchange said that it is closed, and no price has come since.
    halted: bool,
    /// Symbols that no price has come of.
    unheard: HashSet<Symbol>,
    given_up: bool,
    /// How long connections that are gone stood: those of a minute are many where each is cut after seconds.
    listened: Duration,
    /// Symbols that are said to be down, and why.
    down: HashMap<Symbol, String>,
    garbled: Cell<u32>,
    unknown: HashSet<String>,
}

impl FeedStatus {
    pub(super) fn new(names: &SymbolMap, publisher: Publisher) -> Self {
        // Those that an earlier run refused may be given now.
        names.local().for_each(|symbol| publisher.set_symbol_state(symbol, &SourceState::Live));
        Self {
            publisher,
            state: SourceState::Live,
            halted: false,
            unheard: names.local().collect(),
            given_up: false,
            listened: Duration::ZERO,
            down: HashMap::new(),
            garbled: Cell::new(0),
            unknown: HashSet::new(),
        }
    }

    /// The exchange is closed for a while, in its own words. That no prices come is no news then.
    pub(super) fn set_halted(&mut self, why: String) {
        self.halted = true;
        self.set_state(SourceState::Down(why));
    }

    /// The exchange is open, as far as it says: prices may come.
    pub(super) fn open(&mut self) {
        if std::mem::take(&mut self.halted) {
            self.connected();
        }
    }

    /// A connection stands, and has not brought any price.
    pub(super) fn connected(&mut self) {
        if !self.halted && matches!(self.state, SourceState::Down(_)) {
            tracing::info!(source = self.publisher.name(), "{CONNECTED}");
            self.set(SourceState::Down(CONNECTED.to_owned()));
        }
    }

    /// A connection is gone that stood for so long.
    pub(super) fn disconnected(&mut self, stood: Duration) {
        self.listened += stood;
    }

    /// The feed turns, if that is something new.
    pub(super) fn set_state(&mut self, state: SourceState) {
        self.halted &= state != SourceState::Live;
        if self.state == state || (self.halted && state == SourceState::Stale) {
            return;
        }
        let source = self.publisher.name();
        match &state {
            SourceState::Live => tracing::info!(source, "prices come"),
            SourceState::Stale => {
                tracing::warn!(source, "no prices come, though it is connected: another try");
            }
            SourceState::Down(why) => tracing::warn!(source, "down: {why}"),
            SourceState::Ended(_) | SourceState::Paused => {}
        }
        self.set(state);
    }

    fn set(&mut self, state: SourceState) {
        self.publisher.set_state(&state);
        self.state = state;
    }

    /// Whether it has fallen silent.
    pub(super) fn is_stale(&self) -> bool {
        self.state == SourceState::Stale
    }

    /// When to give up on symbols that nothing was heard of, over a connection that stands since `opened`.
    pub(super) fn deadline(&self, opened: Instant) -> Option<Instant> {
        (!self.given_up && !self.unheard.is_empty()).then(|| opened + UNHEARD.saturating_sub(self.listened))
    }

    /// Says that those are down of which nothing was heard.
    pub(super) fn mark_unheard_down(&mut self) {
        self.given_up = true;
        let why = format!("subscribed to, and no price came within {UNHEARD:?}: it is quiet, or not listed");
        for symbol in self.unheard.clone() {
            self.down(symbol, why.clone());
        }
    }

    /// The exchange does not give this symbol.
    pub(super) fn refused(&mut self, symbol: Symbol, why: String) {
        self.unheard.remove(&symbol);
        self.down(symbol, why);
    }

    fn down(&mut self, symbol: Symbol, why: String) {
        if self.down.insert(symbol, why.clone()).as_ref() != Some(&why) {
            tracing::warn!(source = self.publisher.name(), %symbol, "down: {why}");
            self.publisher.set_symbol_state(symbol, &SourceState::Down(why));
        }
    }

    /// Prices came.
    pub(super) fn set_priced(&mut self, ticks: &[Tick]) {
        if self.unheard.is_empty() && self.down.is_empty() {
            return;
        }
        for Tick { symbol, .. } in ticks {
            self.unheard.remove(symbol);
            if self.down.remove(symbol).is_some() {
                self.publisher.set_symbol_state(*symbol, &SourceState::Live);
            }
        }
    }

    /// Something made no sense.
    pub(super) fn log_decode_error(&self, garbled: &DecodeError) {
        self.publisher.count(FeedEventKind::Errors, 1);
        let shown = self.garbled.get() + 1;
        self.garbled.set(shown);
        let source = self.publisher.name();
        if shown <= MAX_LOGGED_ERRORS {
            tracing::warn!(source, "{garbled}");
        }
        if shown == MAX_LOGGED_ERRORS {
            tracing::warn!(source, "what else makes no sense is counted, not shown");
        }
    }

    /// Something of an unknown kind came.
    pub(super) fn log_unknown_frame(&mut self, kind: String) {
        self.publisher.count(FeedEventKind::Unknown, 1);
        if self.unknown.len() < MAX_LOGGED_ERRORS as usize && !self.unknown.contains(&kind) {
            tracing::warn!(source = self.publisher.name(), "unknown, and passed over: {kind}");
            self.unknown.insert(kind);
        }
    }
}
