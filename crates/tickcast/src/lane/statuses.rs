//! How the sources of the market are doing, as a lane last saw them.

use tickcast_core::{Notice, SourceId, SourceStatus, State, Symbol};

use crate::sources::{VersionedStatus, VersionedSymbolStatus};

/// How the sources of the market are doing.
#[derive(Default)]
pub(super) struct Statuses {
    pub(super) sources: Vec<SourceStatus>,
    /// The last turn of each.
    versions: Vec<u64>,
    /// Symbols of each that have turned by themselves, in order of their names.
    symbols: Vec<Vec<VersionedSymbolStatus>>,
    pub(super) version: u64,
}

impl Statuses {
    pub(super) fn new(turned: Vec<VersionedStatus>, turn: u64) -> Self {
        let (mut sources, mut turns, mut symbols) = (Vec::new(), Vec::new(), Vec::new());
        for VersionedStatus { status, version: turn, symbols: own } in turned {
            sources.push(status);
            turns.push(turn);
            symbols.push(own);
        }
        Self { sources, versions: turns, symbols, version: turn }
    }

    /// The symbols that have turned by themselves, and of which someone has yet to hear who was told up to turn `told`.
    pub(super) fn symbol_news(
        &self,
        told: Option<u64>,
    ) -> impl Iterator<Item = (SourceId, &VersionedSymbolStatus)> {
        let symbols = (0..).map(SourceId).zip(&self.symbols);
        let symbols = symbols.flat_map(|(origin, own)| own.iter().map(move |symbol| (origin, symbol)));
        symbols.filter(move |(_, symbol)| match told {
            Some(told) => symbol.version > told,
            None => symbol.state != State::Live,
        })
    }

    /// What is told of a symbol that has turned: one that is live by itself is as its source is.
    pub(super) fn symbol_status<'a>(
        &'a self,
        origin: SourceId,
        own: &'a VersionedSymbolStatus,
    ) -> Notice<'a> {
        let source = self.sources.get(usize::from(origin.0));
        let source = source.filter(|source| own.state == State::Live && source.state != State::Live);
        match source {
            Some(SourceStatus { state, since, .. }) => {
                Notice::SymbolStatus { symbol: own.symbol, state: *state, since: *since, reason: None }
            }
            None => Notice::SymbolStatus {
                symbol: own.symbol,
                state: own.state,
                since: own.since,
                reason: own.reason.as_deref(),
            },
        }
    }

    /// Whether a symbol is not as its source is.
    pub(super) fn is_apart(&self, origin: SourceId, symbol: &Symbol) -> bool {
        let Some(own) = self.symbols.get(usize::from(origin.0)) else { return false };
        let at = own.binary_search_by(|own| own.symbol.cmp(symbol));
        at.is_ok_and(|at| own[at].state != State::Live)
    }

    /// What someone has yet to hear who was told up to turn `told`; a newcomer hears of what is not as it should be.
    pub(super) fn news(&self, told: Option<u64>) -> impl Iterator<Item = (SourceId, &SourceStatus)> {
        let sources = (0..).map(SourceId).zip(self.sources.iter().zip(&self.versions));
        sources.filter_map(move |(origin, (source, turn))| match told {
            Some(told) => (*turn > told).then_some((origin, source)),
            None => (source.state != State::Live).then_some((origin, source)),
        })
    }
}
