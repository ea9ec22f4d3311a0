//! The counters of a source, of which the models need nothing.

use tickcast_core::Time;

use crate::source_state::SourceState;

#[derive(Debug, Default)]
pub(crate) struct SourceCounters(());

/// The state of a source.
#[derive(Debug)]
pub(crate) struct SourceStats {
    pub(crate) state: SourceState,
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "no model has states of symbols")
    )]
    pub(crate) symbols: Vec<SymbolStats>,
}

#[derive(Debug)]
#[expect(dead_code, reason = "no model has states of symbols")]
pub(crate) struct SymbolStats {
    pub(crate) symbol: tickcast_core::Symbol,
    pub(crate) state: SourceState,
    pub(crate) since: Time,
}

impl SourceCounters {
    pub(crate) fn accept(&self, _ticks: u64) {}

    pub(crate) fn stats(
        &self,
        _name: &str,
        state: SourceState,
        _since: Time,
        symbols: Vec<SymbolStats>,
        _simulated: bool,
    ) -> SourceStats {
        SourceStats { state, symbols }
    }
}
