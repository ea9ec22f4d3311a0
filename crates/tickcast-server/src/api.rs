//! What the public routes take and give, as a machine reads it: `/openapi.json`.

use std::sync::LazyLock;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use utoipa::OpenApi;

use crate::status;

/// Made when first asked for: a start should take no time.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let mut all = tickcast::openapi();
    all.merge(status::ApiDoc::openapi());
    all.info.version = env!("CARGO_PKG_VERSION").to_owned();
    // It holds nothing that could not be written.
    all.to_pretty_json().unwrap_or_default()
});

/// `/openapi.json`.
pub(crate) fn router() -> Router {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    Router::new().route("/openapi.json", get(async move || (headers, DOCUMENT.as_str())))
}
