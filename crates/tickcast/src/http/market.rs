//! The market as it stands: prices and symbols.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use tickcast_core::{Frame, Sequencer, Symbol, SymbolId};
use utoipa::ToSchema;

use super::query::{NoParameters, Query};
use super::{Problem, SymbolPath, named, openapi};
use crate::hub::Hub;
use crate::stats::SourceStats;

/// How many symbols one page lists, unless asked otherwise, and at most.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// The newest tick of each symbol
///
/// In order of names, and the place they are as of: a stream `since` that cursor goes on without a gap.
#[utoipa::path(
    get,
    path = "/v1/prices",
    tag = "market",
    params(("symbols" = Option<String>, Query, pattern = "^[A-Za-z0-9._/:^=&*-]{1,32}(,[A-Za-z0-9._/:^=&*-]{1,32}){0,255}$", description = "Names and patterns, as in `AAPL,BTC*`. Default: all.", example = "AAPL,BTC*")),
    responses(
        (status = 200, description = "The ticks", body = openapi::Prices),
        (status = 400, response = openapi::Refused),
    ),
)]
pub(super) async fn prices(State(hub): State<Hub>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let filter = Query::parse(query.as_deref(), &["symbols"])?.filter()?;
    let Wanted { mut names, seen } = select(&hub, |symbol| filter.matches(symbol));
    let (cursor, mut frames) = hub.log().with(|log| {
        let market = log.market();
        // A symbol that has come since the names were copied belongs to the market as of the cursor, too.
        let fresh = market.ids_from(seen).map(|id| (market.symbol(id), id));
        names.extend(fresh.filter(|(name, _)| filter.matches(name)));
        let frame = |(name, id): &(Symbol, SymbolId)| Some((*name, market.newest(*id)?.clone()));
        (log.cursor(), names.iter().filter_map(frame).collect::<Vec<(Symbol, Frame)>>())
    });
    frames.sort_unstable_by_key(|(name, _)| *name);
    let mut body = format!("{{\"cursor\":\"{cursor}\",\"prices\":[").into_bytes();
    for (i, (_, frame)) in frames.iter().enumerate() {
        if i > 0 {
            body.push(b',');
        }
        body.extend_from_slice(frame.json());
    }
    body.extend_from_slice(b"]}");
    Ok(json(body))
}

/// A symbol's newest tick
#[utoipa::path(
    get,
    path = "/v1/prices/{symbol}",
    tag = "market",
    params(openapi::OfSymbol),
    responses(
        (status = 200, description = "The tick", body = openapi::PriceTick),
        (status = 400, response = openapi::Refused),
        (status = 404, response = openapi::NoSymbol),
    ),
)]
pub(super) async fn price(
    State(hub): State<Hub>,
    _: NoParameters,
    path: SymbolPath,
) -> Result<Response, Problem> {
    let symbol = named(&path)?;
    let frame = hub.log().with(|log| log.market().newest(log.market().id(&symbol)?).cloned());
    Ok(json(frame.ok_or_else(|| no_symbol(&hub, symbol))?.json().to_vec()))
}

/// Returns 404 for a symbol that is not on the market. It names a symbol that differs only in case, if there is one.
pub(super) fn no_symbol(hub: &Hub, symbol: Symbol) -> Problem {
    let Wanted { names, .. } = select(hub, |name| name.as_str().eq_ignore_ascii_case(symbol.as_str()));
    let there = |(_, id): &&(Symbol, SymbolId)| hub.log().with(|log| log.market().newest(*id).is_some());
    Problem::no_symbol(symbol, names.iter().find(there).map(|(name, _)| *name))
}

/// The symbols that are wanted, of the first `seen` of the market.
struct Wanted {
    names: Vec<(Symbol, SymbolId)>,
    seen: usize,
}

/// Under the lock names are only copied: judging them takes its time.
fn select(hub: &Hub, wanted: impl Fn(&Symbol) -> bool) -> Wanted {
    let copy =
        |log: &mut Sequencer| log.market().ids_from(0).map(|id| (log.market().symbol(id), id)).collect();
    let mut names: Vec<_> = hub.log().with(copy);
    let seen = names.len();
    names.retain(|(name, _)| wanted(name));
    Wanted { names, seen }
}

pub(super) fn json(body: Vec<u8>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, body).into_response()
}

/// One page of symbols.
#[derive(Serialize, ToSchema)]
pub(super) struct SymbolsPage {
    symbols: Vec<SymbolStanding>,
    /// What to ask for as `after` to get the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// How a symbol stands.
#[derive(Serialize, ToSchema)]
struct SymbolStanding {
    symbol: String,
    /// Whose its newest tick is; empty where that is not known.
    source: String,
    /// `live`, `stale`, `paused`, `ended`, `down` or `gone`.
    state: &'static str,
    /// How many there have been.
    ticks: u64,
    /// In ms since 1970.
    first_time: i64,
    last_time: i64,
    /// What the change is measured from: a decimal, digit for digit.
    #[schema(value_type = f64)]
    reference: Box<RawValue>,
}

/// The symbols there are
///
/// In order of names, a page at a time.
#[utoipa::path(
    get,
    path = "/v1/symbols",
    tag = "market",
    params(
        ("q" = Option<String>, Query, description = "To be found anywhere in a name, whatever its case."),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 1000, description = "How many at most. Default: 100."),
        ("after" = Option<String>, Query, description = "The `next` of the page before."),
    ),
    responses(
        (status = 200, description = "A page of them", body = SymbolsPage),
        (status = 400, response = openapi::Refused),
    ),
)]
pub(super) async fn symbols(
    State(hub): State<Hub>,
    RawQuery(query): RawQuery,
) -> Result<Json<SymbolsPage>, Problem> {
    let query = Query::parse(query.as_deref(), &["q", "limit", "after"])?;
    let limit = query.number("limit")?.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(Problem::parameter("limit", format!("1 to {LARGEST_PAGE} is expected")));
    }
    let wanted = query.get("q").unwrap_or_default().to_ascii_lowercase();
    let after = query.get("after").unwrap_or_default();
    let sources = hub.sources();
    let Wanted { mut names, .. } = select(&hub, |name| {
        name.as_str() > after && (wanted.is_empty() || name.as_str().to_ascii_lowercase().contains(&wanted))
    });
    names.sort_unstable();
    // One more than asked for says whether there is a next page.
    let mut page: Vec<_> = hub.log().with(|log| {
        names.into_iter().filter_map(|(name, id)| standing(log, &sources, name, id)).take(limit + 1).collect()
    });
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|last| last.symbol.clone());
    Ok(Json(SymbolsPage { symbols: page, next }))
}

fn standing(
    log: &Sequencer,
    sources: &[SourceStats],
    symbol: Symbol,
    id: SymbolId,
) -> Option<SymbolStanding> {
    let quote = log.quote(id)?;
    let source = sources.get(usize::from(quote.origin.0));
    let own = source.and_then(|source| source.symbols.iter().find(|own| own.symbol == symbol));
    let state = match own.map(|own| &own.state).or(source.map(|source| &source.state)) {
        _ if log.market().newest(id).is_none() => "gone",
        Some(state) => state.name(),
        // From before a restart: nobody has said anything since.
        None => "stale",
    };
    Some(SymbolStanding {
        symbol: symbol.to_string(),
        source: source.map(|source| source.name.clone()).unwrap_or_default(),
        state,
        ticks: quote.n,
        first_time: quote.first_time.as_millis(),
        last_time: quote.time.as_millis(),
        reference: RawValue::from_string(quote.reference.price().to_string()).ok()?,
    })
}
