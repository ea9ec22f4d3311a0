//! Names of this machine in requests.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tickcast::http::Problem;

/// Refuses requests to any other name than that of this machine. The owner of another name can let
/// it lead here (DNS rebinding), and then a browser takes our answers for those of their pages.
pub(crate) async fn require(request: Request, next: Next) -> Response {
    let authority = request.uri().authority().cloned();
    let authority = authority.or_else(|| host(request.headers()));
    match authority.is_none_or(|authority| is_local(authority.host())) {
        true => next.run(request).await,
        false => {
            let detail = "this listener is for this machine: ask for localhost, or for an address, as the host";
            Problem::new(StatusCode::FORBIDDEN, detail).into_response()
        }
    }
}

fn host(headers: &HeaderMap) -> Option<Authority> {
    // What is not readable is no name of this machine.
    let unreadable = Authority::from_static("unreadable");
    let host = headers.get(header::HOST)?.to_str().ok();
    Some(
        host.and_then(|host| host.parse().ok())
            .unwrap_or(unreadable),
    )
}

/// Checks whether a host is an address, or a name that always leads to this machine (RFC 6761).
fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || address.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for (host, local) in [
            ("localhost", true),
            ("LocalHost.", true),
            ("a.localhost", true),
            ("127.0.0.1", true),
            ("[::1]", true),
            ("10.0.0.7", true),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("evillocalhost", false),
            ("127.0.0.1.nip.example", false),
            ("unreadable", false),
        ] {
            assert_eq!(is_local(host), local, "{host}");
        }
    }
}
