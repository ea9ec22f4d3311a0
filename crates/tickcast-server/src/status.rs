//! How the server is doing: `/v1/status`, `/healthz`, `/readyz`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tickcast::{FeedCount, Hub, SourceStats, SymbolStats};

use crate::source::Running;

/// Most symbols listed of a source that are not as it is.
const SYMBOLS_LISTED: usize = 100;

/// What can be asked about a running server.
pub(crate) struct Health {
    pub(crate) hub: Hub,
    sources: Arc<Running>,
    draining: AtomicBool,
    started: Instant,
}

impl Health {
    pub(crate) fn new(hub: Hub, sources: Arc<Running>) -> Self {
        Self { hub, sources, draining: AtomicBool::new(false), started: Instant::now() }
    }

    /// From now on the server is not ready for streams.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    fn reasons_not_ready(&self) -> Vec<&'static str> {
        if self.draining.load(Ordering::SeqCst) { vec!["draining"] } else { Vec::new() }
    }
}

/// `/v1/status` and the health routes.
pub(crate) fn router(health: &Arc<Health>) -> Router {
    Router::new().route("/v1/status", get(status)).with_state(Arc::clone(health)).merge(health_router(health))
}

/// The health routes alone.
pub(crate) fn health_router(health: &Arc<Health>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { Json(json!({ "alive": true })) }))
        .route("/readyz", get(ready))
        .with_state(Arc::clone(health))
}

async fn ready(State(health): State<Arc<Health>>) -> Response {
    let reasons = health.reasons_not_ready();
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": reasons.is_empty(), "reasons": reasons }))).into_response()
}

async fn status(State(health): State<Arc<Health>>) -> Json<Value> {
    let stats = health.hub.stats();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "epoch": stats.cursor.epoch.to_string(),
        "cursor": stats.cursor.to_string(),
        "uptime_s": health.started.elapsed().as_secs(),
        "ready": health.reasons_not_ready().is_empty(),
        "simulated": health.sources.simulated(),
        "streams": stats.streams,
        "symbols": stats.symbols,
        "tape": { "ticks": stats.tape_ticks, "bytes": stats.tape_bytes },
        "disk": stats.disk.map(|disk| json!({ "ticks": disk.ticks, "bytes": disk.bytes })),
        "sources": stats.sources.iter().map(source).collect::<Vec<_>>(),
    }))
}

fn source(source: &SourceStats) -> Value {
    let SourceStats { name, taken, late, repeats, rejected, .. } = source;
    let mut value = json!({
        "name": name, "state": source.state.name(), "since": source.since.as_millis(),
        "taken": taken, "late": late, "repeats": repeats, "rejected": rejected,
    });
    if let Some(reason) = source.state.reason() {
        value["reason"] = json!(reason);
    }
    if source.feed.any() {
        let counts =
            FeedCount::ALL.iter().map(|count| (count.name().to_owned(), json!(source.feed.get(*count))));
        value["feed"] = Value::Object(counts.collect());
    }
    // A list of them all could be as long as the market.
    if !source.symbols.is_empty() {
        value["troubled"] = json!(source.symbols.len());
        value["symbols"] = source.symbols.iter().take(SYMBOLS_LISTED).map(symbol).collect();
    }
    value
}

fn symbol(stats: &SymbolStats) -> Value {
    json!({
        "symbol": stats.symbol.as_str(), "state": stats.state.name(), "since": stats.since.as_millis(),
        "reason": stats.state.reason(),
    })
}
