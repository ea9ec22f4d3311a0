//! The current market: the price of one symbol, and the list of symbols.

use axum::extract::RawQuery;
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use tickcast_core::Symbol;

use super::Problem;
use super::json::json;
use super::query::{NoParameters, Query};
#[cfg(feature = "openapi")]
use super::schema;
use super::symbol_path::{SymbolPath, parse_symbol};
use super::view::{Look, MarketSymbol, View};
use crate::stats::SourceStats;

/// The default and the maximum number of symbols on one page.
const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

/// Latest price of one symbol
#[cfg_attr(feature = "openapi", utoipa::path(
    get,
    path = "/v1/prices/{symbol}",
    tag = "market",
    params(schema::SymbolParameter),
    responses(
        (status = 200, description = "The tick", body = schema::PublishedTick),
        (status = 400, response = schema::BadRequest),
        (status = 401, response = schema::LoginNeeded),
        (status = 403, response = schema::Forbidden),
        (status = 404, response = schema::SymbolNotFound),
    ),
))]
pub(super) async fn price(
    view: View,
    _: NoParameters,
    path: SymbolPath,
) -> Result<Response, Problem> {
    let symbol = view.permit(parse_symbol(&path)?)?;
    match view.look(|look| look.newest(&look.find(symbol)?).cloned()) {
        Some(frame) => Ok(json(frame.json().to_vec())),
        None => Err(view.missing(symbol).await),
    }
}

/// One page of symbols.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct SymbolsPage {
    symbols: Vec<SymbolSummary>,
    /// The value of `after` that returns the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The current state of a symbol.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct SymbolSummary {
    symbol: String,
    /// The source of the latest tick. Empty if the source is not known.
    source: String,
    /// One of `live`, `stale`, `paused`, `ended`, `down` and `gone`.
    state: &'static str,
    /// The number of ticks so far.
    ticks: u64,
    /// The time of the first tick, in ms since 1970.
    first_time: i64,
    last_time: i64,
    /// The reference price of the change: a decimal with its exact digits.
    #[cfg_attr(feature = "openapi", schema(value_type = f64))]
    reference: Box<RawValue>,
}

/// List of symbols
///
/// The list is in order of names and comes in pages.
#[cfg_attr(feature = "openapi", utoipa::path(
    get,
    path = "/v1/symbols",
    tag = "market",
    params(
        ("q" = Option<String>, Query, description = "Text to search for anywhere in the name of a symbol. The case is ignored."),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 1000, description = "Maximum number of symbols. Default: 100."),
        ("after" = Option<String>, Query, description = "The `next` of the previous page."),
    ),
    responses(
        (status = 200, description = "A page of symbols", body = SymbolsPage),
        (status = 400, response = schema::BadRequest),
        (status = 401, response = schema::LoginNeeded),
        (status = 503, response = schema::ServerBusy),
    ),
))]
pub(super) async fn symbols(view: View, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["q", "limit", "after"])?;
    let limit = query
        .number("limit", &(1..=MAX_PAGE), "symbols")?
        .unwrap_or(DEFAULT_PAGE);
    let wanted = query.get("q").unwrap_or_default().to_ascii_lowercase();
    let after = query.get("after").unwrap_or_default();
    let sources = view.sources();
    // A value of `after` that is not a valid name is allowed, because names have an order among all
    // texts.
    let mut symbols = view.symbols(Symbol::new(after).ok());
    let mut page = Vec::new();
    while page.len() <= limit
        && let Some(mut chunk) = symbols.next().await
    {
        chunk.retain(|found| {
            let name = found.name();
            name > after && (wanted.is_empty() || name.to_ascii_lowercase().contains(&wanted))
        });
        // One symbol more than requested shows whether there is a next page.
        let rest = limit + 1 - page.len();
        view.look(|look| {
            let summaries = chunk
                .iter()
                .filter_map(|found| symbol_summary(look, &sources, found));
            page.extend(summaries.take(rest));
        });
    }
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|last| last.symbol.clone());
    // Serialization cannot fail: all keys are text.
    let page = serde_json::to_vec(&SymbolsPage {
        symbols: page,
        next,
    })
    .unwrap_or_default();
    Ok(json(view.answers().written(page)?))
}

fn symbol_summary(
    look: &Look<'_>,
    sources: &[SourceStats],
    found: &MarketSymbol,
) -> Option<SymbolSummary> {
    let (symbol, quote) = (found.symbol(), look.quote(found)?);
    let source = sources.get(usize::from(quote.source.0));
    let own = source.and_then(|source| source.symbols.iter().find(|own| own.symbol == symbol));
    let state = match own
        .map(|own| &own.state)
        .or(source.map(|source| &source.state))
    {
        _ if look.newest(found).is_none() => "gone",
        Some(state) => state.name(),
        // After a restart, no source has sent a state for this symbol yet.
        None => "stale",
    };
    Some(SymbolSummary {
        symbol: symbol.to_string(),
        source: source.map(|source| source.name.clone()).unwrap_or_default(),
        state,
        ticks: quote.n,
        first_time: quote.first_time.as_millis(),
        last_time: quote.time.as_millis(),
        reference: RawValue::from_string(quote.reference.price().to_string()).ok()?,
    })
}
