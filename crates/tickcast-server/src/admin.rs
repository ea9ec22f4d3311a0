//! The HTTP listener for operators, separate from the public listener.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use tickcast::Problem;

use crate::metrics;
use crate::reload::{self, Reload};
use crate::status::{self, Health};

/// Returns the routes `GET /metrics`, `/healthz`, `/readyz` and `POST /reload`.
pub(crate) fn router(health: &Arc<Health>, reload: &Arc<Reload>) -> Router {
    let hub = health.hub.clone();
    Router::new()
        .route("/metrics", get(move || async move { metrics::response(&hub) }))
        .merge(status::health_router(health))
        .merge(reload::router(reload))
        .fallback(async || Problem::no_route())
        .method_not_allowed_fallback(async || Problem::no_method())
}
