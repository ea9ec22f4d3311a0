//! The statuses of the sources, as a lane last read them.

use tickcast_core::{Notice, SourceId, SourceStatus, State, Symbol};

use crate::sources::{VersionedStatus, VersionedSymbolStatus};

/// The statuses of the sources.
#[derive(Default)]
pub(super) struct Statuses {
    pub(super) sources: Vec<SourceStatus>,
    /// The version of the last status change of each source.
    versions: Vec<u64>,
    /// Symbols of each source with state changes of their own, in order of names.
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

    /// Returns the statuses of symbols with state changes of their own after version `told`. For `None`,
    /// returns those that are not live.
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

    /// Returns the notice for the status of a symbol. A symbol that is live by itself has the status of its
    /// source.
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

    /// Checks whether a symbol has a state of its own that is not live.
    pub(super) fn is_apart(&self, origin: SourceId, symbol: &Symbol) -> bool {
        let Some(own) = self.symbols.get(usize::from(origin.0)) else { return false };
        let at = own.binary_search_by(|own| own.symbol.cmp(symbol));
        at.is_ok_and(|at| own[at].state != State::Live)
    }

    /// Returns the statuses of sources that changed after version `told`. For `None` (a new stream), returns
    /// those that are not live.
    pub(super) fn news(&self, told: Option<u64>) -> impl Iterator<Item = (SourceId, &SourceStatus)> {
        let sources = (0..).map(SourceId).zip(self.sources.iter().zip(&self.versions));
        sources.filter_map(move |(origin, (source, turn))| match told {
            Some(told) => (*turn > told).then_some((origin, source)),
            None => (source.state != State::Live).then_some((origin, source)),
        })
    }
}
