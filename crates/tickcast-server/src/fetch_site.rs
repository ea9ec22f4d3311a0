//! What browsers say about the page that sends a request.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use tickcast::http::Problem;

/// Checks whether a browser sends the request for a page of another origin (`Sec-Fetch-Site`).
pub(crate) fn is_foreign(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    !matches!(site, None | Some(b"none" | b"same-origin"))
}

/// Checks whether a web page sent the request. Browsers say so in headers that no script can
/// remove. Forms and scripts of any site can reach an operator's own machine, although they cannot
/// read the answer.
fn is_from_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || is_foreign(headers)
}

/// Refuses a request of a web page, which cannot do `what`.
pub(crate) fn refuse_pages(headers: &HeaderMap, what: &str) -> Result<(), Problem> {
    match is_from_browser(headers) {
        true => Err(Problem::new(
            StatusCode::FORBIDDEN,
            format!("web pages cannot {what}"),
        )),
        false => Ok(()),
    }
}
