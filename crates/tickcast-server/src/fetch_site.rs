//! What browsers say about the page that sends a request.

use axum::http::{HeaderMap, HeaderValue};

/// Checks whether a browser sends the request for a page of another origin (`Sec-Fetch-Site`).
pub(crate) fn is_foreign(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    !matches!(site, None | Some(b"none" | b"same-origin"))
}
