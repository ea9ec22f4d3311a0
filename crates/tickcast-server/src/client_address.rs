//! The address of the client behind trusted proxies.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::{self, Next};
use axum::response::Response;
use ipnet::IpNet;
use tickcast::access::ClientAddress;

/// The header in which proxies tell the addresses, one after the other. A client can send it too,
/// so only what trusted proxies have added counts.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Adds the address of the client to each request that comes from a trusted proxy.
pub(crate) fn add(router: Router, proxies: Vec<IpNet>) -> Router {
    match proxies.is_empty() {
        true => router,
        false => router.layer(middleware::from_fn_with_state(Arc::new(proxies), identify)),
    }
}

async fn identify(
    State(proxies): State<Arc<Vec<IpNet>>>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    if let Some(peer) = peer.map(|ConnectInfo(peer)| peer.ip()) {
        let client = client(peer, request.headers(), &proxies);
        request.extensions_mut().insert(ClientAddress(client));
    }
    next.run(request).await
}

/// Returns the last address that is not that of a trusted proxy. Each proxy adds the address that
/// it was called from, so everything before that address can be forged.
fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| {
        let address = address.to_canonical();
        proxies.iter().any(|proxy| proxy.contains(&address))
    };
    let lists = headers.get_all(FORWARDED_FOR).iter().rev();
    let told = lists.flat_map(|list| list.to_str().unwrap_or_default().rsplit(','));
    let mut client = peer;
    for text in told {
        if !is_trusted(&client) {
            break;
        }
        match address(text.trim()) {
            Some(address) => client = address,
            // A proxy that we trust writes addresses. What is none, nobody has written for us.
            None => break,
        }
    }
    client
}

/// Reads an address, which some proxies write with a port.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(with_port).or_else(in_brackets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_trusted_proxies_have_added_counts() {
        let proxies: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"]
            .map(|net| net.parse().unwrap())
            .to_vec();
        let found = |peer: &str, lists: &[&str]| {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append(FORWARDED_FOR, list.parse().unwrap());
            }
            client(peer.parse().unwrap(), &headers, &proxies).to_string()
        };
        assert_eq!(found("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(found("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(found("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(found("::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        // The client has forged the first address; the second was added by the proxy.
        let forged = found("10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.0.0.2"]);
        assert_eq!(forged, "198.51.100.7");
        assert_eq!(
            found("10.0.0.1", &["203.0.113.9", "198.51.100.7"]),
            "198.51.100.7"
        );
        assert_eq!(found("10.0.0.1", &["203.0.113.9, unknown"]), "10.0.0.1");
        assert_eq!(found("10.0.0.1", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(found("fd00::1", &["[2001:db8::7]:4711"]), "2001:db8::7");
    }
}
