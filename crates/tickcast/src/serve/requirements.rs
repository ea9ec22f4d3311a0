//! Requirements of HTTP on every request that hyper does not check.

use axum::http::{HeaderValue, Request, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};

use super::framing;
use crate::http::Problem;

/// Returns the answer to a request that breaks a requirement. An HTTP/1.1 request must name a host
/// (RFC 9112, 3.2). A request must not expect anything that is not supported (RFC 9110, 10.1.1). A
/// body must not have an unknown transfer coding. The answer is the last on its connection.
pub(super) fn refusal<B>(request: &Request<B>) -> Option<Response> {
    let headers = request.headers();
    let strange = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    let codings = || headers.get_all(header::TRANSFER_ENCODING).iter();
    let chunked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    let problem = if request.version() == Version::HTTP_11 && !headers.contains_key(header::HOST) {
        Problem::new(StatusCode::BAD_REQUEST, "the request has no host")
    } else if headers.get_all(header::EXPECT).iter().any(strange) {
        Problem::new(
            StatusCode::EXPECTATION_FAILED,
            "expect: only 100-continue is supported",
        )
    } else if !codings().all(chunked) || codings().count() > 1 {
        Problem::new(StatusCode::BAD_REQUEST, framing::CHUNKED_ONLY)
    } else {
        return None;
    };
    let mut response = problem.into_response();
    if request.version() < Version::HTTP_2 {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Some(response)
}
