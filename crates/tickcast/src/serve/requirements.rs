//! What HTTP asks of every request, and hyper leaves to others.

use axum::http::{HeaderValue, Request, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};

use super::framing;
use crate::http::Problem;

/// The answer to a request that names no host, as HTTP/1.1 must (RFC 9112, 3.2), expects something that there is not
/// (RFC 9110, 10.1.1), or has a body in a coding that there is not. It is the last on its connection.
pub(super) fn refusal<B>(request: &Request<B>) -> Option<Response> {
    let headers = request.headers();
    let strange = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    let codings = || headers.get_all(header::TRANSFER_ENCODING).iter();
    let chunked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    let problem = if request.version() == Version::HTTP_11 && !headers.contains_key(header::HOST) {
        Problem::new(StatusCode::BAD_REQUEST, "the request names no host")
    } else if headers.get_all(header::EXPECT).iter().any(strange) {
        Problem::new(StatusCode::EXPECTATION_FAILED, "only 100-continue can be expected")
    } else if !codings().all(chunked) || codings().count() > 1 {
        Problem::new(StatusCode::BAD_REQUEST, framing::CHUNKED_ONLY)
    } else {
        return None;
    };
    let mut response = problem.into_response();
    if request.version() < Version::HTTP_2 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Some(response)
}
