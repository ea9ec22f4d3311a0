//! What one publisher may publish.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tickcast_core::{Filter, Matcher, Symbol, TickError};

use super::Viewer;
use crate::source_name::SourceName;

/// How many ticks may come at once: as many as in this time at the maximum rate.
const BURST: Duration = Duration::from_secs(1);

/// What one publisher may publish over HTTP: which symbols, at most how many ticks a second, and
/// how many new symbols.
///
/// Insert a grant into the extensions of a request, in a layer in front of
/// [`Publisher::router`](crate::Publisher::router). The ticks of the request are then a source of
/// their own, `http:NAME`. A symbol that the grant does not permit is rejected, tick by tick, and
/// the rest is published. A request without a grant may publish everything. A grant is cheap to clone;
/// clones share the counts.
///
/// ```
/// use std::num::NonZeroU32;
/// use axum::extract::Request;
/// use tickcast::access::Grant;
/// use tickcast::Filter;
///
/// # fn example(mut request: Request) -> Result<(), Box<dyn std::error::Error>> {
/// // Make the grant once, not for each request: it counts.
/// let desk = Grant::of("desk".parse()?, Filter::parse(["AAPL", "BTC*"])?)
///     .max_rate(NonZeroU32::MIN.saturating_add(99))
///     .max_new_symbols(10);
/// request.extensions_mut().insert(desk.clone());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Grant {
    permitted: Arc<Permitted>,
    used: Arc<Mutex<Used>>,
}

#[derive(Debug, Clone)]
struct Permitted {
    name: SourceName,
    symbols: Filter,
    max_rate: Option<NonZeroU32>,
    max_new_symbols: Option<u32>,
}

/// What the publisher has used of its grant.
#[derive(Debug, Default)]
struct Used {
    /// The time up to which the ticks so far use the rate, by the uptime clock.
    until: Duration,
    new_symbols: HashSet<Symbol>,
}

/// The check of the ticks of one request.
pub(crate) struct Admission<'g> {
    grant: &'g Grant,
    symbols: Matcher<'g>,
}

impl Grant {
    /// Makes a grant for the publisher `name`, for the symbols that `symbols` selects.
    #[must_use]
    pub fn of(name: SourceName, symbols: Filter) -> Self {
        Self {
            permitted: Arc::new(Permitted {
                name,
                symbols,
                max_rate: None,
                max_new_symbols: None,
            }),
            used: Arc::default(),
        }
    }

    /// Limits the number of ticks a second. As many as in one second may come at once. The
    /// first tick above the limit ends its request, with the status 429. Default: no limit.
    #[must_use]
    pub fn max_rate(mut self, ticks: NonZeroU32) -> Self {
        Arc::make_mut(&mut self.permitted).max_rate = Some(ticks);
        self
    }

    /// Limits the number of symbols that the publisher brings to the market, for as long as the
    /// grant exists. Ticks of further new symbols are rejected. Default: no limit.
    #[must_use]
    pub fn max_new_symbols(mut self, symbols: u32) -> Self {
        Arc::make_mut(&mut self.permitted).max_new_symbols = Some(symbols);
        self
    }

    pub(crate) fn name(&self) -> &SourceName {
        &self.permitted.name
    }

    /// Returns the check of the ticks of a request.
    pub(crate) fn admission(&self) -> Admission<'_> {
        Admission {
            grant: self,
            symbols: self.permitted.symbols.matcher(),
        }
    }

    /// Returns the viewer of what the publisher may know of the market: the symbols that it may
    /// publish.
    pub(crate) fn viewer(&self) -> Viewer {
        Viewer::of(self.permitted.symbols.clone())
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one tick at `now` by the uptime clock, unless there are too many.
    fn count(&self, now: Duration) -> Result<(), TickError> {
        let Some(max) = self.permitted.max_rate else {
            return Ok(());
        };
        let interval = Duration::from_secs(1) / max.get();
        let mut used = self.used();
        let until = used.until.max(now) + interval;
        if until > now + BURST.max(interval) {
            return Err(TickError::TooFast(max.get()));
        }
        used.until = until;
        Ok(())
    }
}

impl Admission<'_> {
    /// Checks whether the publisher may publish or remove `symbol` at `now`, by the uptime clock.
    /// The symbol comes first: the answer does not depend on whether it exists.
    pub(crate) fn admit(&self, symbol: &Symbol, now: Duration) -> Result<(), TickError> {
        if !self.symbols.matches(symbol) {
            return Err(TickError::NotPermitted);
        }
        self.grant.count(now)
    }

    /// Returns whether the number of new symbols is limited.
    pub(crate) fn limits_new_symbols(&self) -> bool {
        self.grant.permitted.max_new_symbols.is_some()
    }

    /// Counts a symbol that is not on the market, unless there are too many.
    pub(crate) fn admit_new(&self, symbol: Symbol) -> Result<(), TickError> {
        let Some(max) = self.grant.permitted.max_new_symbols else {
            return Ok(());
        };
        let mut used = self.grant.used();
        if used.new_symbols.len() >= max as usize && !used.new_symbols.contains(&symbol) {
            return Err(TickError::TooManyNewSymbols(max));
        }
        used.new_symbols.insert(symbol);
        Ok(())
    }

    /// Takes back a new symbol whose tick was not accepted.
    pub(crate) fn forget_new(&self, symbol: &Symbol) {
        self.grant.used().new_symbols.remove(symbol);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(name: &str) -> Symbol {
        Symbol::new(name).unwrap()
    }

    fn grant() -> Grant {
        let symbols = Filter::parse(["AAPL", "BTC*"]).unwrap();
        Grant::of("desk".parse().unwrap(), symbols)
    }

    #[test]
    fn only_the_symbols_of_the_grant_are_admitted() {
        let grant = grant();
        let admission = grant.admission();
        let admit = |name| admission.admit(&symbol(name), Duration::ZERO);
        assert_eq!((admit("AAPL"), admit("BTC-USD")), (Ok(()), Ok(())));
        assert_eq!(admit("MSFT"), Err(TickError::NotPermitted));
    }

    #[test]
    fn a_rate_allows_a_second_at_once_and_then_its_pace() {
        let quick = grant().max_rate(NonZeroU32::new(4).unwrap());
        let admission = quick.admission();
        let admitted = |at: u64, tries: usize| {
            let now = Duration::from_millis(at);
            let all = (0..tries).filter(|_| admission.admit(&symbol("AAPL"), now).is_ok());
            all.count()
        };
        assert_eq!(admitted(0, 10), 4);
        assert_eq!(admitted(249, 10), 0);
        assert_eq!(admitted(250, 10), 1);
        assert_eq!(admitted(10_000, 10), 4);
        let slow = grant().max_rate(NonZeroU32::MIN);
        let slow = slow.admission();
        assert_eq!(slow.admit(&symbol("AAPL"), Duration::ZERO), Ok(()));
        let again = slow.admit(&symbol("AAPL"), Duration::from_millis(999));
        assert_eq!(again, Err(TickError::TooFast(1)));
        assert_eq!(slow.admit(&symbol("AAPL"), Duration::from_secs(1)), Ok(()));
    }

    #[test]
    fn new_symbols_are_counted_once_and_over_all_clones() {
        let grant = grant().max_new_symbols(2);
        let other = grant.clone();
        let (first, second) = (grant.admission(), other.admission());
        for name in ["BTC1", "BTC1", "BTC2"] {
            assert_eq!(first.admit_new(symbol(name)), Ok(()));
        }
        let third = || second.admit_new(symbol("BTC3"));
        assert_eq!(third(), Err(TickError::TooManyNewSymbols(2)));
        assert_eq!(second.admit_new(symbol("BTC1")), Ok(()));
        first.forget_new(&symbol("BTC2"));
        assert_eq!(third(), Ok(()));
    }
}
