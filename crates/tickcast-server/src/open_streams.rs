//! `GET /v1/streams` on the admin listener: the open streams.

use axum::Json;
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tickcast::Hub;
use tickcast::http::Problem;
use tickcast::stats::StreamStats;
use tickcast_core::Mode;

use crate::{access, fetch_site};

/// Number of streams that are listed unless the request says otherwise, and the maximum.
const LISTED: usize = 100;
const MAX_LISTED: usize = 10_000;

/// Number of characters that are shown of the name of a stream. The whole name would be a
/// permission.
const SHOWN_OF_ID: usize = 8;

/// Returns the route.
pub(crate) fn router(hub: &Hub) -> Router {
    Router::new()
        .route("/v1/streams", get(respond))
        .with_state(hub.clone())
}

async fn respond(
    State(hub): State<Hub>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    fetch_site::refuse_pages(&headers, "list the streams")?;
    let limit = limit(query.as_deref().unwrap_or_default())?;
    let listed: Vec<_> = hub.streams(limit).await.iter().map(shown).collect();
    Ok(Json(json!({"open": hub.stats().streams, "streams": listed})).into_response())
}

fn limit(query: &str) -> Result<usize, Problem> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let limit = match (pairs.next(), pairs.next()) {
        (None, _) => return Ok(LISTED),
        (Some((name, limit)), None) if name == "limit" => limit.parse().ok(),
        _ => None,
    };
    limit
        .filter(|limit| (1..=MAX_LISTED).contains(limit))
        .ok_or_else(|| {
            let detail = format!("the only parameter is limit, from 1 to {MAX_LISTED}");
            Problem::new(StatusCode::BAD_REQUEST, detail)
        })
}

fn shown(stream: &StreamStats) -> Value {
    let (issuer, sub) = match &stream.subject {
        Some(subject) => access::issuer_and_sub(subject),
        None => (None, ""),
    };
    json!({
        "stream": stream.id.as_deref().and_then(|id| id.get(..SHOWN_OF_ID)),
        "issuer": issuer,
        "sub": Some(sub).filter(|sub| !sub.is_empty()),
        "prepared": stream.prepared,
        "mode": stream.mode.map(Mode::as_str),
        "rate": stream.rate,
        "behind": stream.behind,
        "stalled_ms": u64::try_from(stream.stalled.as_millis()).unwrap_or(u64::MAX),
        "delay": stream.delay.as_secs(),
    })
}
