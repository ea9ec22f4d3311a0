//! The HTTP listener for operators, separate from the public listener.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use tickcast::Hub;
use tickcast::http::Problem;

use crate::drain;
use crate::metrics;
use crate::open_streams;
use crate::overload::LastPressure;
use crate::reload::{self, Reload};

/// Returns the routes `GET /metrics`, `/healthz`, `/readyz`, `/v1/streams`, `POST /reload` and `POST /drain`.
pub(crate) fn router(hub: &Hub, reload: &Arc<Reload>, pressure: LastPressure) -> Router {
    let health = hub.health_router();
    let hub = hub.clone();
    Router::new()
        .route(
            "/metrics",
            get({
                let hub = hub.clone();
                move || async move { metrics::response(&hub, pressure.get()) }
            }),
        )
        .merge(health)
        .merge(reload::router(reload))
        .merge(drain::router(&hub))
        .merge(open_streams::router(&hub))
        .fallback(async || Problem::no_route())
        .method_not_allowed_fallback(async || Problem::no_method())
}
