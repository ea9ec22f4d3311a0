//! Sends plain HTTP to HTTPS.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tickcast::http::Problem;

use crate::access;

/// The port of HTTPS that addresses leave out.
const HTTPS: u16 = 443;

/// Returns the routes of a listener that sends every request to the same address over HTTPS, on
/// this port.
pub(crate) fn router(port: u16) -> Router {
    Router::new().fallback(redirect).with_state(port)
}

async fn redirect(State(port): State<u16>, request: Request) -> Response {
    if has_secret(&request) {
        // A client that is sent on would send the next secret in plain text, too.
        let detail = "a token was sent without TLS: use https://, and replace the token";
        return Problem::new(StatusCode::FORBIDDEN, detail).into_response();
    }
    let Some(host) = host(request.headers()) else {
        let detail = "the request names no host to continue at over https://";
        return Problem::new(StatusCode::BAD_REQUEST, detail).into_response();
    };
    let path = request.uri().path_and_query();
    let path = path.map_or("/", axum::http::uri::PathAndQuery::as_str);
    let location = match port {
        HTTPS => format!("https://{host}{path}"),
        port => format!("https://{host}:{port}{path}"),
    };
    (
        StatusCode::PERMANENT_REDIRECT,
        [(header::LOCATION, location)],
    )
        .into_response()
}

/// Returns the host of the request, without its port.
fn host(headers: &HeaderMap) -> Option<String> {
    let authority: Authority = headers.get(header::HOST)?.to_str().ok()?.parse().ok()?;
    let host = authority.host();
    (!host.is_empty() && !authority.as_str().contains('@')).then(|| host.to_owned())
}

/// Checks whether the request has a token, in a header or in its query.
fn has_secret(request: &Request) -> bool {
    request.headers().contains_key(header::AUTHORIZATION) || access::has_token(request.uri())
}
