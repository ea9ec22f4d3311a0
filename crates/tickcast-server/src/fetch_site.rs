//! What browsers say about the page that sends a request.

use axum::http::{HeaderMap, HeaderValue, header};

/// Checks whether a browser sends the request for a page of another origin (`Sec-Fetch-Site`).
pub(crate) fn is_foreign(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    !matches!(site, None | Some(b"none" | b"same-origin"))
}

/// Checks whether a web page sent the request. Browsers say so in headers that no script can
/// remove. Forms and scripts of any site can reach an operator's own machine, although they cannot
/// read the answer.
pub(crate) fn is_from_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || is_foreign(headers)
}
