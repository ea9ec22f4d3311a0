//! Iteration over symbol names without long locks.

use tickcast_core::{Symbol, SymbolId};

use super::Problem;
use crate::hub::Hub;

/// Maximum number of names that are copied at once. The market is locked during the copy.
const NAMES_PER_LOCK: usize = 1024;

/// Returns 404 for a symbol that is not on the market. The answer suggests a symbol that differs
/// only in upper and lower case, if there is one.
pub(super) async fn no_symbol(hub: &Hub, symbol: Symbol) -> Problem {
    let (mut names, mut meant) = (Names::after(None), None);
    while meant.is_none()
        && let Some(chunk) = names.next(hub).await
    {
        let alike = chunk
            .into_iter()
            .find(|(name, _)| name.as_str().eq_ignore_ascii_case(symbol.as_str()));
        meant = alike.filter(|(_, id)| hub.log().read(|log| log.market().newest(*id).is_some()));
    }
    Problem::no_symbol(symbol, meant.map(|(name, _)| name))
}

/// An iteration over the names of the market, in order. Each chunk is copied under the lock and
/// examined after the lock.
pub(super) struct Names {
    /// The name to continue after. `None` after the last chunk.
    after: Option<Option<Symbol>>,
}

impl Names {
    pub(super) const fn after(after: Option<Symbol>) -> Self {
        Self { after: Some(after) }
    }

    /// Returns the next chunk of names. Other tasks run between two chunks.
    pub(super) async fn next(&mut self, hub: &Hub) -> Option<Vec<(Symbol, SymbolId)>> {
        let after = self.after?;
        tokio::task::yield_now().await;
        let chunk: Vec<_> = hub.log().read(|log| {
            log.market()
                .names_after(after)
                .take(NAMES_PER_LOCK)
                .collect()
        });
        self.after = chunk.last().map(|(name, _)| Some(*name));
        Some(chunk).filter(|chunk| !chunk.is_empty())
    }
}
