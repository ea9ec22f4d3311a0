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
    /// The version of each of these changes, with the number of its source and its place there, in order
    /// of versions. Each change has a version of its own.
    changes: Vec<(u64, u16, u32)>,
    pub(super) version: u64,
}

impl Statuses {
    pub(super) fn new(statuses: Vec<VersionedStatus>, version: u64) -> Self {
        let (mut sources, mut versions, mut symbols) = (Vec::new(), Vec::new(), Vec::new());
        for VersionedStatus {
            status,
            version,
            symbols: source_symbols,
        } in statuses
        {
            sources.push(status);
            versions.push(version);
            symbols.push(source_symbols);
        }
        let by_source = (0..).zip(&symbols);
        let changes =
            by_source.flat_map(|(source, symbols): (u16, &Vec<VersionedSymbolStatus>)| {
                let statuses = (0..).zip(symbols);
                statuses.map(move |(at, status)| (status.version, source, at))
            });
        let mut changes: Vec<_> = changes.collect();
        changes.sort_unstable();
        Self {
            sources,
            versions,
            symbols,
            changes,
            version,
        }
    }

    /// Returns the statuses of symbols with state changes of their own after `sent_version`, in order of
    /// their versions. For `None`, returns those that are not live.
    pub(super) fn changed_symbols(
        &self,
        sent_version: Option<u64>,
    ) -> impl Iterator<Item = (SourceId, &VersionedSymbolStatus)> {
        let first = sent_version.map_or(0, |sent| {
            self.changes
                .partition_point(|(version, ..)| *version <= sent)
        });
        let changes = self.changes[first..].iter();
        let statuses = changes.filter_map(|(_, source, at)| {
            let status = self.symbols[usize::from(*source)].get(*at as usize)?;
            Some((SourceId(*source), status))
        });
        statuses.filter(move |(_, status)| sent_version.is_some() || status.state != State::Live)
    }

    /// Returns the notice for the status of a symbol. A symbol that is live by itself has the
    /// status of its source.
    pub(super) fn symbol_status<'a>(
        &'a self,
        source_id: SourceId,
        status: &'a VersionedSymbolStatus,
    ) -> Notice<'a> {
        let source = self.sources.get(usize::from(source_id.0));
        let source =
            source.filter(|source| status.state == State::Live && source.state != State::Live);
        match source {
            Some(SourceStatus { state, since, .. }) => Notice::SymbolStatus {
                symbol: status.symbol,
                state: *state,
                since: *since,
                reason: None,
            },
            None => Notice::SymbolStatus {
                symbol: status.symbol,
                state: status.state,
                since: status.since,
                reason: status.reason.as_deref(),
            },
        }
    }

    /// Checks whether a symbol has a state of its own that is not live.
    pub(super) fn has_own_state(&self, source_id: SourceId, symbol: &Symbol) -> bool {
        let own = self.own_status(source_id, symbol);
        own.is_some_and(|own| own.state != State::Live)
    }

    fn own_status(&self, source_id: SourceId, symbol: &Symbol) -> Option<&VersionedSymbolStatus> {
        let statuses = self.symbols.get(usize::from(source_id.0))?;
        let at = statuses.binary_search_by(|status| status.symbol.cmp(symbol));
        statuses.get(at.ok()?)
    }

    /// Returns the notice for the state of a symbol of a source, if it is not live: its own state, or
    /// that of the source.
    pub(super) fn trouble_of(&self, source_id: SourceId, symbol: Symbol) -> Option<Notice<'_>> {
        let own = self.own_status(source_id, &symbol);
        if let Some(own) = own.filter(|own| own.state != State::Live) {
            return Some(self.symbol_status(source_id, own));
        }
        let source = self.sources.get(usize::from(source_id.0))?;
        (source.state != State::Live).then_some(Notice::SymbolStatus {
            symbol,
            state: source.state,
            since: source.since,
            reason: None,
        })
    }

    /// Returns the statuses of sources that changed after `sent_version`. For `None` (a new
    /// stream), returns those that are not live.
    pub(super) fn changed_sources(
        &self,
        sent_version: Option<u64>,
    ) -> impl Iterator<Item = (SourceId, &SourceStatus)> {
        let sources = (0..)
            .map(SourceId)
            .zip(self.sources.iter().zip(&self.versions));
        sources.filter_map(move |(source_id, (source, version))| match sent_version {
            Some(sent_version) => (*version > sent_version).then_some((source_id, source)),
            None => (source.state != State::Live).then_some((source_id, source)),
        })
    }
}
