//! Redirects for paths with extra slashes, which result when people join addresses by hand.

use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tickcast::http::Problem;

use crate::access;

/// Answers a request that matches no route. If the path has extra slashes, the answer is a redirect
/// to the path without them. Otherwise the answer is 404.
pub(crate) async fn fallback(method: Method, uri: Uri) -> Response {
    // A redirect that repeats a token would put it into caches and histories.
    let plain = without_slashes(&uri)
        .filter(|_| !access::has_token(&uri))
        .and_then(|place| HeaderValue::try_from(place).ok());
    match plain.filter(|_| method == Method::GET || method == Method::HEAD) {
        Some(place) => {
            (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, place)]).into_response()
        }
        None => Problem::no_route().into_response(),
    }
}

/// Returns the same path without doubled and trailing slashes, or `None` if there are no such
/// slashes. The result is relative, so that a redirect also works below a proxy's prefix and never
/// leads to another host.
fn without_slashes(uri: &Uri) -> Option<String> {
    let path = uri.path();
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    let plain = parts.join("/");
    if path.len() == plain.len() + 1 {
        return None;
    }
    let up = "../".repeat(path.matches('/').count() - 1);
    let query = uri
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    Some(format!("{up}{plain}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_extra_slashes_are_removed() {
        for (path, expected) in [
            ("/docs/", Some("../docs")),
            ("//v1/prices?symbols=A", Some("../../v1/prices?symbols=A")),
            ("/v1//stream//", Some("../../../../v1/stream")),
            ("//", Some("../")),
            ("//evil.example/", Some("../../evil.example")),
            ("/docs", None),
            ("/v1/prices/A%2FB", None),
        ] {
            assert_eq!(
                without_slashes(&path.parse().unwrap()).as_deref(),
                expected,
                "{path}"
            );
        }
    }
}
