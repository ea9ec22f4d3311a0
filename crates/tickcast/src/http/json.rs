//! JSON answers.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};

/// Builds an answer from a JSON text. The answer must not be cached, because the next answer may
/// differ.
pub(super) fn json(body: impl Into<Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, body.into()).into_response()
}
