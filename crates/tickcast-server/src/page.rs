//! The page at `/`: live prices, and where they come from.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

/// Nothing is loaded from elsewhere and nothing runs that is not served here.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// The page and what it is made of.
pub(crate) fn router() -> Router {
    let html = include_str!("page/index.html");
    Router::new()
        .route("/", asset("text/html; charset=utf-8", html))
        .route("/page.css", asset("text/css; charset=utf-8", include_str!("page/page.css")))
        .route("/page.js", asset("text/javascript; charset=utf-8", include_str!("page/page.js")))
}

fn asset(kind: &'static str, body: &'static str) -> axum::routing::MethodRouter {
    get(move || async move {
        let headers = [
            (header::CONTENT_TYPE, kind),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            // Changes with the program only; asked for again, it is short.
            (header::CACHE_CONTROL, "no-cache"),
        ];
        (headers, body).into_response()
    })
}
