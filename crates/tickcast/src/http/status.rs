//! Health and status of a hub: `/v1/status`, `/healthz`, `/readyz`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::http::NoParameters;
use crate::http::view::View;
#[cfg(feature = "openapi")]
use crate::http::{Problem, schema};
use crate::hub::Hub;
use crate::stats::{SourceStats, SymbolStats, simulated};

/// Maximum number of symbols listed per source. Only symbols with a different state than the source
/// are listed.
const SYMBOLS_LISTED: usize = 100;

/// Liveness probe
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/healthz", tag = "server", responses(
    (status = 200, description = "The process is running", body = Alive),
    (status = 400, description = "The request has query parameters", body = Problem, content_type = "application/problem+json"),
)))]
pub(super) async fn alive(_: NoParameters) -> Json<Alive> {
    Json(Alive { alive: true })
}

/// Readiness probe for streams
#[cfg_attr(feature = "openapi", utoipa::path(
    get,
    path = "/readyz",
    tag = "server",
    responses(
        (status = 200, description = "The server is ready", body = Ready),
        (status = 400, description = "The request has query parameters", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The server is not ready", body = Ready),
    ),
))]
pub(super) async fn ready(State(hub): State<Hub>, _: NoParameters) -> Response {
    let reasons = hub.reasons_not_ready();
    let status = if reasons.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(Ready {
            ready: reasons.is_empty(),
            reasons,
        }),
    )
        .into_response()
}

/// Status of the server and of each source
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/v1/status", tag = "server", responses(
    (status = 200, description = "The server status", body = Status),
    (status = 400, description = "The request has query parameters", body = Problem, content_type = "application/problem+json"),
    (status = 401, response = schema::LoginNeeded),
)))]
pub(super) async fn status(view: View, _: NoParameters) -> impl IntoResponse {
    let whole = view.whole_market();
    let cursor = whole
        .as_ref()
        .map_or_else(|| view.cursor(), |stats| stats.cursor);
    let narrowed = whole.is_none().then(|| view.sources());
    let whole_sources = whole.as_ref().map(|stats| &stats.sources);
    let sources = narrowed
        .as_ref()
        .or(whole_sources)
        .map_or(&[][..], Vec::as_slice);
    let status = Status {
        version: env!("CARGO_PKG_VERSION"),
        epoch: cursor.epoch.to_string(),
        cursor: cursor.to_string(),
        uptime_s: view.now().uptime.as_secs(),
        delay: view.delay(),
        ready: view.is_ready(),
        simulated: simulated(sources),
        streams: whole.as_ref().map(|stats| stats.streams),
        symbols: whole.as_ref().map(|stats| stats.symbols),
        tape: whole.as_ref().map(|stats| Size {
            ticks: stats.tape_ticks as u64,
            bytes: stats.tape_bytes as u64,
        }),
        disk: whole.as_ref().map(|stats| {
            stats.disk.map(|disk| Disk {
                ticks: disk.ticks,
                bytes: disk.bytes,
                damaged_files: disk.damaged_files,
            })
        }),
        sources: sources
            .iter()
            .map(|source| Source::of(source, whole.is_some()))
            .collect(),
    };
    ([(header::CACHE_CONTROL, "no-store")], Json(status))
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Alive {
    alive: bool,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Ready {
    ready: bool,
    /// Reasons why the server is not ready.
    reasons: Vec<String>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Status {
    version: &'static str,
    /// The current epoch. Cursors are comparable within an epoch.
    epoch: String,
    /// The newest position on the tape.
    cursor: String,
    uptime_s: u64,
    /// How far the prices are behind the market, in seconds. Only for a reader of delayed prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    delay: Option<u64>,
    ready: bool,
    /// Whether some prices are simulated.
    simulated: bool,
    /// Number of open streams. Only for a reader of the whole market.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    streams: Option<u64>,
    /// Number of symbols ever seen. Only for a reader of the whole market.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    symbols: Option<usize>,
    /// Only for a reader of the whole market.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    tape: Option<Size>,
    /// Size of the tape on disk; `null`: the tape is in memory only. Only for a reader of the whole
    /// market.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Disk>, required = false))]
    disk: Option<Option<Disk>>,
    sources: Vec<Source>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Size {
    ticks: u64,
    bytes: u64,
}

/// Size and health of the tape on disk.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Disk {
    ticks: u64,
    bytes: u64,
    /// Number of files of which a part was found to be damaged since the start. Exports and streams
    /// that need this part end with an error.
    damaged_files: u64,
}

/// Status of a source.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Source {
    name: String,
    /// `live`, `stale`, `paused`, `ended` or `down`.
    state: &'static str,
    /// Start of the current state, in ms since 1970.
    since: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    reason: Option<String>,
    /// Number of ticks on the tape. Only for a reader of the whole market, like the counts below.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    accepted: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    late: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    unchanged: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    rejected: Option<u64>,
    /// Number of events of the feed by kind, if the source is a feed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(required = false))]
    feed: BTreeMap<&'static str, u64>,
    /// Number of symbols whose state differs from the state of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    unhealthy_symbols: Option<usize>,
    /// The first hundred of these symbols.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(required = false))]
    symbols: Vec<UnhealthySymbol>,
}

/// Status of a symbol whose state differs from the state of its source.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct UnhealthySymbol {
    symbol: String,
    state: &'static str,
    since: i64,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    reason: Option<String>,
}

impl Source {
    /// Returns the status of a source, with its counts if the reader may read the `whole` market.
    fn of(source: &SourceStats, whole: bool) -> Self {
        let SourceStats {
            name,
            accepted,
            late,
            unchanged,
            rejected,
            ..
        } = source;
        let count = |count: &u64| Some(*count).filter(|_| whole);
        let feed = source.feed.iter().map(|(kind, count)| (kind.name(), count));
        Self {
            name: name.clone(),
            state: source.state.name(),
            since: source.since.as_millis(),
            reason: source.state.reason().map(str::to_owned),
            accepted: count(accepted),
            late: count(late),
            unchanged: count(unchanged),
            rejected: count(rejected),
            feed: feed.filter(|_| whole && source.feed.any()).collect(),
            unhealthy_symbols: Some(source.symbols.len()).filter(|count| *count > 0),
            // A complete list could be as long as the market.
            symbols: source
                .symbols
                .iter()
                .take(SYMBOLS_LISTED)
                .map(UnhealthySymbol::of)
                .collect(),
        }
    }
}

impl UnhealthySymbol {
    fn of(stats: &SymbolStats) -> Self {
        Self {
            symbol: stats.symbol.to_string(),
            state: stats.state.name(),
            since: stats.since.as_millis(),
            reason: stats.state.reason().map(str::to_owned),
        }
    }
}
