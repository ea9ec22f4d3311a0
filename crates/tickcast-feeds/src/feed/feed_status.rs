//! The status of a feed and of each of its symbols.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tickcast::stats::FeedEventKind;
use tickcast::{Publisher, SourceState, Symbol, Tick};
use tokio::time::Instant;

use crate::{DecodeError, SymbolMap};

/// Maximum time without a price for a subscribed symbol. After this time the symbol is quiet, or
/// not listed: some exchanges do not report unknown symbols.
const UNHEARD: Duration = Duration::from_secs(60);

/// The reason for missing prices while a connection is open and has brought no price.
const CONNECTED: &str = "connected, no price yet";

/// Maximum number of invalid frames in the log, and of unknown kinds. All of them are counted.
const MAX_LOGGED_ERRORS: u32 = 10;

/// The status of a feed and of each of its symbols.
pub(super) struct FeedStatus {
    publisher: Publisher,
    state: SourceState,
    /// Whether the exchange said that the exchange is closed, and no price arrived since then.
    halted: bool,
    /// Symbols without any price so far.
    unheard: HashSet<Symbol>,
    given_up: bool,
    /// Total time that closed connections were open. If each connection is cut after seconds, a
    /// minute takes many connections.
    listened: Duration,
    /// Symbols that are reported as down, with the reason.
    down: HashMap<Symbol, String>,
    garbled: Cell<u32>,
    unknown: HashSet<String>,
}

impl FeedStatus {
    pub(super) fn new(names: &SymbolMap, publisher: Publisher) -> Self {
        // The exchange may now offer symbols from an earlier run's refusals.
        names
            .local()
            .for_each(|symbol| publisher.set_symbol_state(symbol, &SourceState::Live));
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

    /// Records that the exchange is closed for a while, with the exchange's reason. While the
    /// exchange is closed, missing prices are expected.
    pub(super) fn set_halted(&mut self, why: String) {
        self.halted = true;
        self.set_state(SourceState::Down(why));
    }

    /// Records that the exchange reports to be open. Prices may come.
    pub(super) fn open(&mut self) {
        if std::mem::take(&mut self.halted) {
            self.connected();
        }
    }

    /// Records that a connection is open and has not brought a price.
    pub(super) fn connected(&mut self) {
        if !self.halted && matches!(self.state, SourceState::Down(_)) {
            tracing::info!(source = self.publisher.name(), "{CONNECTED}");
            self.set(SourceState::Down(CONNECTED.to_owned()));
        }
    }

    /// Records that a connection is closed, and how long the connection was open.
    pub(super) fn disconnected(&mut self, stood: Duration) {
        self.listened += stood;
    }

    /// Sets the state of the feed if the state is new.
    pub(super) fn set_state(&mut self, state: SourceState) {
        self.halted &= state != SourceState::Live;
        if self.state == state || (self.halted && state == SourceState::Stale) {
            return;
        }
        let source = self.publisher.name();
        match &state {
            SourceState::Live => tracing::info!(source, "prices are arriving"),
            SourceState::Stale => {
                tracing::warn!(
                    source,
                    "no prices received although connected; reconnecting"
                );
            }
            SourceState::Down(why) => tracing::warn!(source, "down: {why}"),
            _ => {}
        }
        self.set(state);
    }

    fn set(&mut self, state: SourceState) {
        self.publisher.set_state(&state);
        self.state = state;
    }

    /// Returns whether the feed is stale.
    pub(super) fn is_stale(&self) -> bool {
        self.state == SourceState::Stale
    }

    /// Returns when symbols without a price are reported as down. `opened` is the time when the
    /// current connection opened.
    pub(super) fn deadline(&self, opened: Instant) -> Option<Instant> {
        (!self.given_up && !self.unheard.is_empty())
            .then(|| opened + UNHEARD.saturating_sub(self.listened))
    }

    /// Reports symbols without any price as down.
    pub(super) fn mark_unheard_down(&mut self) {
        self.given_up = true;
        let why = format!(
            "no price received within {UNHEARD:?} after the subscription; the symbol may be quiet or not listed"
        );
        for symbol in self.unheard.clone() {
            self.down(symbol, why.clone());
        }
    }

    /// Records that the exchange does not offer this symbol.
    pub(super) fn refused(&mut self, symbol: Symbol, why: String) {
        self.unheard.remove(&symbol);
        self.down(symbol, why);
    }

    fn down(&mut self, symbol: Symbol, why: String) {
        if self.down.insert(symbol, why.clone()).as_ref() != Some(&why) {
            tracing::warn!(source = self.publisher.name(), %symbol, "down: {why}");
            self.publisher
                .set_symbol_state(symbol, &SourceState::Down(why));
        }
    }

    /// Records that these symbols have prices.
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

    /// Counts an invalid message, and logs the message up to the limit.
    pub(super) fn log_decode_error(&self, garbled: &DecodeError) {
        self.publisher.reporter().count(FeedEventKind::Errors, 1);
        let shown = self.garbled.get() + 1;
        self.garbled.set(shown);
        let source = self.publisher.name();
        if shown <= MAX_LOGGED_ERRORS {
            tracing::warn!(source, "{garbled}");
        }
        if shown == MAX_LOGGED_ERRORS {
            tracing::warn!(source, "further decode errors are counted but not logged");
        }
    }

    /// Counts a message of an unknown kind, and logs each kind up to the limit.
    pub(super) fn log_unknown_frame(&mut self, kind: String) {
        self.publisher.reporter().count(FeedEventKind::Unknown, 1);
        if self.unknown.len() < MAX_LOGGED_ERRORS as usize && !self.unknown.contains(&kind) {
            tracing::warn!(
                source = self.publisher.name(),
                "ignored a message of an unknown kind: {kind}"
            );
            self.unknown.insert(kind);
        }
    }
}
