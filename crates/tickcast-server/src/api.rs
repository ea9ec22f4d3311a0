//! The OpenAPI description of the public routes: `/openapi.json`.

use std::sync::LazyLock;

use axum::Router;
use axum::http::header;
use axum::routing::get;

/// The OpenAPI document as JSON. The first request creates the document, so that the start of the
/// server stays fast.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let mut all = tickcast::http::openapi();
    all.info.version = env!("CARGO_PKG_VERSION").to_owned();
    // The document holds only values that JSON can represent, so this cannot fail.
    all.to_pretty_json().unwrap_or_default()
});

/// Returns the route `/openapi.json`.
pub(crate) fn router() -> Router {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    Router::new().route(
        "/openapi.json",
        get(async move || (headers, DOCUMENT.as_str())),
    )
}
