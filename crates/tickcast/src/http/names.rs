//! Names of symbols, looked through without keeping anyone waiting.

use tickcast_core::{Symbol, SymbolId};

use super::Problem;
use crate::hub::Hub;

/// Most names that are copied in one go: the market is locked that long.
const NAMES_PER_LOCK: usize = 1024;

/// Returns 404 for a symbol that is not on the market. It names a symbol that differs only in case, if there is one.
pub(super) async fn no_symbol(hub: &Hub, symbol: Symbol) -> Problem {
    let (mut names, mut meant) = (Names::after(None), None);
    while meant.is_none()
        && let Some(chunk) = names.next(hub).await
    {
        let alike = chunk.into_iter().find(|(name, _)| name.as_str().eq_ignore_ascii_case(symbol.as_str()));
        meant = alike.filter(|(_, id)| hub.log().with(|log| log.market().newest(*id).is_some()));
    }
    Problem::no_symbol(symbol, meant.map(|(name, _)| name))
}

/// A walk over the names of the market, in order: a chunk is copied under the lock, and judged after.
pub(super) struct Names {
    /// Up to where it has come; `None` once that was all.
    after: Option<Option<Symbol>>,
}

impl Names {
    pub(super) const fn after(after: Option<Symbol>) -> Self {
        Self { after: Some(after) }
    }

    /// The next ones. Everybody else has a turn in between.
    pub(super) async fn next(&mut self, hub: &Hub) -> Option<Vec<(Symbol, SymbolId)>> {
        let after = self.after?;
        tokio::task::yield_now().await;
        let chunk: Vec<_> =
            hub.log().with(|log| log.market().names_after(after).take(NAMES_PER_LOCK).collect());
        self.after = chunk.last().map(|(name, _)| Some(*name));
        Some(chunk).filter(|chunk| !chunk.is_empty())
    }
}
