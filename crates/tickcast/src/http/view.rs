//! The view: the only way from a handler that reads to the market. A view knows its viewer, so a
//! handler cannot return what the viewer may not read.

mod streams;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use tickcast_core::{
    Cursor, Epoch, Filter, Frame, Now, Quote, Seq, Sequencer, SourceId, Symbol, SymbolId, Time,
};

use super::Problem;
use super::entity_tag::EntityTag;
use super::export::Export;
use super::tick_format::TickFormat;
use crate::access::{ClientAddress, UnknownYet, Viewer};
use crate::answers::{Answers, Snapshot};
use crate::hub::Hub;
use crate::sources::Source;
use crate::stats::{HubStats, SourceStats};
pub(super) use streams::{AcceptedStream, OpenStreams, WantedStream};

/// Maximum number of names that are copied before other tasks run.
const NAMES_PER_CHUNK: usize = 1024;

/// Delay before a client that is not known yet comes back, in seconds.
const UNKNOWN_RETRY_AFTER: u32 = 5;

/// Maximum number of comparisons of names with the patterns of a viewer before other tasks run.
const COMPARISONS: usize = 2_000;

/// The state of the routes for readers. Only a [`View`] and the [`OpenStreams`] can be made of it.
#[derive(Clone)]
pub(super) struct ReadState(Hub);

/// What the reader of a request may see of a hub. An extractor.
#[derive(Clone)]
pub(super) struct View {
    /// The market that the viewer reads: the live one, or a delayed one.
    hub: Hub,
    /// The live market.
    server: Hub,
    viewer: Viewer,
    address: Option<ClientAddress>,
}

/// A symbol that the viewer may read, whether or not the symbol is on the market.
#[derive(Clone, Copy)]
pub(super) struct Permitted(Symbol);

/// A filter that selects only symbols that the viewer may read.
pub(super) struct Narrowed(Filter);

/// The ticks of an answer.
pub(super) enum Ticks {
    /// All ticks of a snapshot that the requests for all ticks share.
    All(Arc<Snapshot>),
    /// The ticks of a snapshot that the filter selects.
    Among(Arc<Snapshot>, Filter),
}

/// A symbol of the market that the viewer may read.
#[derive(Clone, Copy)]
pub(super) struct MarketSymbol {
    symbol: Symbol,
    id: SymbolId,
}

/// The sources of a market, to look up the states of symbols that the viewer may read.
pub(super) struct SymbolStates(Vec<Arc<Source>>);

/// The market under the lock. Publishers wait meanwhile.
pub(super) struct Look<'l>(&'l Sequencer);

/// An iteration over the symbols of the market that the viewer may read, in order of names. Each
/// chunk is copied under the lock and examined after the lock.
pub(super) struct Symbols<'v> {
    view: &'v View,
    /// The name to continue after. `None` after the last chunk.
    after: Option<Option<Symbol>>,
}

impl ReadState {
    pub(super) const fn new(hub: Hub) -> Self {
        Self(hub)
    }
}

impl FromRequestParts<ReadState> for View {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ReadState) -> Result<Self, Problem> {
        let viewer = viewer_of(parts, &state.0)?;
        if viewer.is_none() && state.0.requires_viewer() {
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "reading needs a login",
            ));
        }
        let viewer = viewer.unwrap_or_default();
        let hub = state.0.behind(viewer.least_delay())?;
        let address = ClientAddress::of(parts);
        Ok(Self {
            hub,
            server: state.0.clone(),
            viewer,
            address,
        })
    }
}

/// The view of a reader of streams. A browser would not reconnect after a 503, so a stream of a
/// market without data is told to come back later. An extractor.
pub(super) enum StreamView {
    View(View),
    NotYet,
}

impl FromRequestParts<ReadState> for StreamView {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ReadState) -> Result<Self, Problem> {
        match View::from_request_parts(parts, state).await {
            Ok(view) => Ok(Self::View(view)),
            Err(refused) if refused.is(StatusCode::SERVICE_UNAVAILABLE) => Ok(Self::NotYet),
            Err(refused) => Err(refused),
        }
    }
}

/// Returns the viewer of a request, if it has one that may still read.
fn viewer_of(parts: &Parts, hub: &Hub) -> Result<Option<Viewer>, Problem> {
    if let Some(UnknownYet(why)) = parts.extensions.get() {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, why.clone());
        return Err(problem.retry_after(UNKNOWN_RETRY_AFTER));
    }
    let viewer = parts.extensions.get::<Viewer>();
    match viewer.and_then(Viewer::expiry) {
        Some(at) if at <= hub.steady_time() => Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "the login has expired",
        )),
        _ if viewer.is_some_and(|viewer| hub.revocation().concerns(viewer)) => Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "the login has been revoked",
        )),
        _ => Ok(viewer.cloned()),
    }
}

impl View {
    /// Returns the view of a publisher, who knows what it publishes: `viewer`.
    pub(super) fn of_publisher(hub: &Hub, viewer: Viewer) -> Self {
        Self {
            hub: hub.clone(),
            server: hub.clone(),
            viewer,
            address: None,
        }
    }

    /// Checks that the viewer may read `symbol`, before anyone looks for the symbol: the answer
    /// does not depend on whether the symbol exists.
    pub(super) fn permit(&self, symbol: Symbol) -> Result<Permitted, Problem> {
        self.viewer.filter(&Filter::from(symbol))?;
        Ok(Permitted(symbol))
    }

    /// Looks at the market. Publishers wait meanwhile, so `look` must be fast.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Look<'_>) -> T) -> T {
        self.hub.log().read(|log| look(&Look(log)))
    }

    /// Returns 404 for a symbol that is not on the market. The answer suggests a symbol that
    /// differs only in upper and lower case, if there is one.
    pub(super) async fn missing(&self, Permitted(symbol): Permitted) -> Problem {
        let (mut symbols, mut meant) = (self.symbols(None), None);
        while meant.is_none()
            && let Some(chunk) = symbols.next().await
        {
            let alike = chunk
                .into_iter()
                .find(|found| found.name().eq_ignore_ascii_case(symbol.as_str()));
            meant = alike.filter(|found| self.look(|look| look.newest(found).is_some()));
        }
        Problem::no_symbol(symbol, meant.map(|found| found.symbol))
    }

    /// Returns the symbols of the market after a name.
    pub(super) const fn symbols(&self, after: Option<Symbol>) -> Symbols<'_> {
        Symbols {
            view: self,
            after: Some(after),
        }
    }

    /// Returns what `wanted` selects of the symbols that the viewer may read, before anyone looks at
    /// the market.
    pub(super) fn narrow(&self, wanted: &Filter) -> Result<Narrowed, Problem> {
        Ok(Narrowed(self.viewer.filter(wanted)?))
    }

    /// Returns the tag of the newest ticks that a filter selects, as of a cursor of the market. These
    /// and nothing else decide what the answer contains.
    pub(super) fn tag(&self, Narrowed(filter): &Narrowed, cursor: Cursor) -> EntityTag {
        let filter = self.answers().fingerprint(filter);
        EntityTag::new(format_args!("{cursor}.{filter:016x}"))
    }

    /// Returns the newest ticks of the symbols that a filter selects.
    pub(super) async fn ticks(&self, Narrowed(filter): &Narrowed) -> Result<Ticks, Problem> {
        if !filter.has_patterns() {
            let named = Snapshot::get(&self.hub, filter.names());
            return Ok(Ticks::Among(Arc::new(named), Filter::all()));
        }
        let snapshot = self.answers().snapshot(&self.hub).await?;
        Ok(match filter.is_all() {
            true => Ticks::All(snapshot),
            false => Ticks::Among(snapshot, filter.clone()),
        })
    }

    /// Returns an export of the ticks of a symbol.
    ///
    /// # Errors
    /// If too many exports are in progress.
    pub(super) fn export(
        &self,
        of: MarketSymbol,
        range: (Time, Time),
        format: TickFormat,
    ) -> Result<Export, Problem> {
        let place = self.answers().export()?;
        let symbol = (of.symbol, of.id);
        Ok(Export::new(self.hub.clone(), symbol, range, format, place))
    }

    /// Returns the hub for the stream of a subscription that [`subscribe`](Self::subscribe) has
    /// narrowed.
    pub(super) const fn streams(&self) -> &Hub {
        &self.hub
    }

    /// Returns the epoch and the newest sequence number.
    pub(super) fn head(&self) -> (Epoch, Seq) {
        self.hub.head()
    }

    pub(super) fn answers(&self) -> &Answers {
        self.hub.answers()
    }

    pub(super) fn now(&self) -> Now {
        self.hub.now()
    }

    /// Returns the time up to which the market has everything.
    pub(super) fn complete_until(&self) -> Time {
        self.hub.complete_until()
    }

    /// Returns the latest time that an accepted tick can have now.
    pub(super) fn horizon(&self) -> Time {
        self.hub.horizon()
    }

    /// Returns the statistics of each source. Of the symbols with a state of their own, only those
    /// that the viewer may read are listed.
    pub(super) fn sources(&self) -> Vec<SourceStats> {
        self.narrowed(self.hub.sources())
    }

    /// Returns the sources as they are now, to look up the states of symbols.
    pub(super) fn states(&self) -> SymbolStates {
        let sources = self.hub.source_list();
        sources.check_staleness(self.now());
        SymbolStates(sources.all())
    }

    /// Returns how far the market is behind, in seconds, or `None` if it is live.
    pub(super) fn delay(&self) -> Option<u64> {
        self.hub.delay().map(|delay| delay.as_secs())
    }

    /// Returns the cursor of the newest entry.
    pub(super) fn cursor(&self) -> Cursor {
        self.hub.cursor()
    }

    /// Returns the statistics of the hub, or `None` if the viewer may not read the whole market:
    /// counts of ticks would then tell about other symbols.
    pub(super) fn whole_market(&self) -> Option<HubStats> {
        self.viewer.symbols().is_none().then(|| self.hub.stats())
    }

    /// Checks whether the server accepts new streams.
    pub(super) fn is_ready(&self) -> bool {
        self.server.reasons_not_ready().is_empty()
    }

    fn narrowed(&self, mut sources: Vec<SourceStats>) -> Vec<SourceStats> {
        if let Some(permitted) = self.viewer.symbols() {
            let matcher = permitted.matcher();
            for source in &mut sources {
                source.symbols.retain(|own| matcher.matches(&own.symbol));
            }
        }
        sources
    }
}

impl Look<'_> {
    /// Returns a symbol if it was ever on the market.
    pub(super) fn find(&self, Permitted(symbol): Permitted) -> Option<MarketSymbol> {
        let id = self.0.market().seen_id(&symbol)?;
        Some(MarketSymbol { symbol, id })
    }

    /// Returns the newest tick, or `None` if the symbol was removed.
    pub(super) fn newest(&self, of: &MarketSymbol) -> Option<&Frame> {
        self.0.market().newest(of.id)
    }

    /// Returns the candles of a symbol.
    pub(super) fn candles(&self, of: &MarketSymbol) -> &tickcast_core::Candles {
        self.0.candles(of.id)
    }

    /// Returns the state of a symbol.
    pub(super) fn quote(&self, of: &MarketSymbol) -> Option<&Quote> {
        self.0.quote(of.id)
    }
}

impl Ticks {
    /// Returns the cursor as of which the ticks are the newest.
    pub(super) fn cursor(&self) -> Cursor {
        let (Self::All(snapshot) | Self::Among(snapshot, _)) = self;
        snapshot.cursor
    }
}

impl SymbolStates {
    /// Returns the name of a source, and the name of the state of one of its symbols.
    pub(super) fn of(&self, source: SourceId, of: &MarketSymbol) -> Option<(&str, &'static str)> {
        let source = self.0.get(usize::from(source.0))?;
        Some((&source.name, source.state_name(&of.symbol)))
    }
}

impl MarketSymbol {
    pub(super) fn name(&self) -> &str {
        self.symbol.as_str()
    }
}

impl Symbols<'_> {
    /// Returns the next chunk. Other tasks run between two chunks.
    pub(super) async fn next(&mut self) -> Option<Vec<MarketSymbol>> {
        let after = self.after?;
        tokio::task::yield_now().await;
        let permitted = self.view.viewer.symbols();
        if let Some(permitted) = permitted.filter(|permitted| !permitted.has_patterns()) {
            return self.named(after, permitted.names());
        }
        let patterns = permitted.map_or(0, Filter::patterns);
        let most = COMPARISONS.checked_div(patterns).unwrap_or(NAMES_PER_CHUNK);
        let names = self.view.hub.log().names().after(after);
        let names = names.take(most.clamp(1, NAMES_PER_CHUNK));
        let chunk: Vec<_> = names
            .map(|(symbol, id)| MarketSymbol { symbol, id })
            .collect();
        self.after = chunk.last().map(|last| Some(last.symbol));
        if chunk.is_empty() {
            return None;
        }
        let Some(permitted) = permitted else {
            return Some(chunk);
        };
        let matcher = permitted.matcher();
        let permitted = chunk
            .into_iter()
            .filter(|found| matcher.matches(&found.symbol));
        Some(permitted.collect())
    }
}

impl Symbols<'_> {
    /// Returns all symbols of the market among `names` after a name, in one chunk.
    fn named(&mut self, after: Option<Symbol>, names: &[Symbol]) -> Option<Vec<MarketSymbol>> {
        self.after = None;
        let start = after.map_or(0, |after| names.partition_point(|name| *name <= after));
        let look = |look: &Look<'_>| {
            let names = names[start..].iter().copied();
            names
                .filter_map(|name| look.find(Permitted(name)))
                .collect()
        };
        Some(self.view.look(look))
    }
}
