//! The operators' listener, never the public one.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::metrics;
use crate::status::{self, Health};

/// `GET /metrics`, `/healthz`, `/readyz`.
pub(crate) fn router(health: &Arc<Health>) -> Router {
    let hub = health.hub.clone();
    Router::new()
        .route("/metrics", get(move || async move { metrics::response(&hub) }))
        .merge(status::health_router(health))
}
