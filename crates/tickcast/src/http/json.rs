//! Answers in JSON.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};

/// Makes an answer of a JSON text. Nobody may keep it: the next one is another.
pub(super) fn json(body: impl Into<Body>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, body.into()).into_response()
}
