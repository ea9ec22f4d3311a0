//! The current market: the price of one symbol, and the list of symbols.

use axum::extract::RawQuery;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use tickcast_core::{Price, Quote, SourceId, Symbol, Time};

use super::Problem;
use super::entity_tag::EntityTag;
use super::json::json;
use super::query::{NoParameters, Query};
#[cfg(feature = "openapi")]
use super::schema;
use super::symbol_path::{SymbolPath, parse_symbol};
use super::view::{MarketSymbol, SymbolStates, View};

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
        schema::KnownAnswer,
        ("q" = Option<String>, Query, description = "Text to search for anywhere in the name of a symbol. The case is ignored."),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 1000, description = "Maximum number of symbols. Default: 100."),
        ("after" = Option<String>, Query, description = "The `next` of the previous page."),
    ),
    responses(
        (status = 200, description = "A page of symbols", body = SymbolsPage, headers(("ETag" = String, description = "The tag of the answer: a hash of its bytes."))),
        (status = 304, response = schema::NotModified),
        (status = 400, response = schema::BadRequest),
        (status = 401, response = schema::LoginNeeded),
        (status = 503, response = schema::ServerBusy),
    ),
))]
pub(super) async fn symbols(
    view: View,
    RawQuery(query): RawQuery,
    asked: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["q", "limit", "after"])?;
    let limit = query
        .number("limit", &(1..=MAX_PAGE), "symbols")?
        .unwrap_or(DEFAULT_PAGE);
    let wanted = query.get("q").unwrap_or_default();
    let after = query.get("after").unwrap_or_default();
    // One symbol more than requested shows whether there is a next page.
    let mut found = find_symbols(&view, (wanted, after), limit + 1).await;
    let more = found.len() > limit;
    found.truncate(limit);
    let states = view.states();
    let summaries = found
        .iter()
        .filter_map(|(symbol, quote)| symbol_summary(symbol, quote, &states));
    let last = found.last().filter(|_| more);
    // Serialization cannot fail: all keys are text.
    let page = serde_json::to_vec(&SymbolsPage {
        symbols: summaries.collect(),
        next: last.map(|(last, _)| last.name().to_owned()),
    })
    .unwrap_or_default();
    // The times and the states change without a new entry on the tape, so only the bytes tell
    // whether the page is the same.
    let hash = view.answers().fingerprint(&page);
    let tag = EntityTag::new(format_args!("{hash:016x}"));
    if tag.is_known(&asked) {
        return Ok(tag.not_modified());
    }
    Ok(tag.on(json(view.answers().written(page)?)))
}

/// Returns the first `max` symbols after a name whose names contain a text, in order of names.
async fn find_symbols(
    view: &View,
    (wanted, after): (&str, &str),
    max: usize,
) -> Vec<(MarketSymbol, QuoteSummary)> {
    // A value of `after` that is not a valid name is allowed, because names have an order among all
    // texts.
    let mut symbols = view.symbols(Symbol::new(after).ok());
    let mut found = Vec::new();
    while found.len() < max
        && let Some(mut chunk) = symbols.next().await
    {
        chunk.retain(|symbol| symbol.name() > after && contains(symbol.name(), wanted));
        let rest = max - found.len();
        view.look(|look| {
            let quotes = chunk.iter().filter_map(|symbol| {
                let is_gone = look.newest(symbol).is_none();
                let quote = QuoteSummary::new(look.quote(symbol)?, is_gone);
                Some((*symbol, quote))
            });
            found.extend(quotes.take(rest));
        });
    }
    found
}

/// Checks whether a name contains a text, in any case.
fn contains(name: &str, text: &str) -> bool {
    let (name, text) = (name.as_bytes(), text.as_bytes());
    let mut parts = name.windows(text.len().max(1));
    text.is_empty() || parts.any(|part| part.eq_ignore_ascii_case(text))
}

/// What a page says of a symbol, copied under the lock.
struct QuoteSummary {
    source: SourceId,
    is_gone: bool,
    ticks: u64,
    times: (Time, Time),
    reference: Price,
}

impl QuoteSummary {
    fn new(quote: &Quote, is_gone: bool) -> Self {
        Self {
            source: quote.source,
            is_gone,
            ticks: quote.n,
            times: (quote.first_time, quote.time),
            reference: quote.reference.price(),
        }
    }
}

fn symbol_summary(
    symbol: &MarketSymbol,
    quote: &QuoteSummary,
    states: &SymbolStates,
) -> Option<SymbolSummary> {
    let source = states.of(quote.source, symbol);
    let state = match source {
        _ if quote.is_gone => "gone",
        Some((_, state)) => state,
        // After a restart, no source has sent a state for this symbol yet.
        None => "stale",
    };
    let (first_time, last_time) = quote.times;
    Some(SymbolSummary {
        symbol: symbol.name().to_owned(),
        source: source.map(|(name, _)| name.to_owned()).unwrap_or_default(),
        state,
        ticks: quote.ticks,
        first_time: first_time.as_millis(),
        last_time: last_time.as_millis(),
        reference: RawValue::from_string(quote.reference.to_string()).ok()?,
    })
}
