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
use tickcast::{Hub, SourceState, SourceStats};

/// What can be asked about a running server.
pub(crate) struct Health {
    pub(crate) hub: Hub,
    simulated: bool,
    draining: AtomicBool,
    started: Instant,
}

impl Health {
    pub(crate) fn new(hub: Hub, simulated: bool) -> Self {
        Self { hub, simulated, draining: AtomicBool::new(false), started: Instant::now() }
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
        "simulated": health.simulated,
        "streams": stats.streams,
        "symbols": stats.symbols,
        "tape": { "ticks": stats.tape_ticks, "bytes": stats.tape_bytes },
        "disk": stats.disk.map(|disk| json!({ "ticks": disk.ticks, "bytes": disk.bytes })),
        "sources": stats.sources.iter().map(source).collect::<Vec<_>>(),
    }))
}

fn source(source: &SourceStats) -> Value {
    let (state, reason) = match &source.state {
        SourceState::Live => ("live", None),
        SourceState::Stale => ("stale", None),
        SourceState::Ended(reason) => ("ended", Some(reason)),
        SourceState::Down(reason) => ("down", Some(reason)),
    };
    let SourceStats { name, taken, late, repeats, rejected, .. } = source;
    let mut value = json!({
        "name": name, "state": state, "taken": taken, "late": late, "repeats": repeats, "rejected": rejected,
    });
    if let Some(reason) = reason {
        value["reason"] = json!(reason);
    }
    value
}
