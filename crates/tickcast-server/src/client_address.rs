//! The address of the client behind trusted proxies.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderMap;
use axum::middleware::{self, Next};
use axum::response::Response;
use ipnet::IpNet;
use rfc7239::NodeName;
use tickcast::access::ClientAddress;

use crate::cli::ForwardedHeader;
use crate::networks;

/// Where the addresses of clients come from, and what one of them may do.
pub(crate) struct AddressSettings {
    /// Maximum number of streams of one address, and of those that it opens in a second.
    pub(crate) max_streams: Option<u32>,
    pub(crate) max_opens: Option<u32>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// The header in which the trusted proxies name their clients.
    pub(crate) forwarded_header: ForwardedHeader,
    /// Whether connections of the trusted proxies begin with a header of the PROXY protocol.
    pub(crate) proxy_protocol: bool,
}

impl AddressSettings {
    /// Returns the proxies whose connections begin with a header.
    pub(crate) fn proxy_protocol_from(&self) -> &[IpNet] {
        match self.proxy_protocol {
            true => &self.trusted_proxies,
            false => &[],
        }
    }
}

/// Adds the address of the client to each request that comes from a trusted proxy.
pub(crate) fn add(router: Router, addresses: AddressSettings) -> Router {
    match addresses.trusted_proxies.is_empty() {
        true => router,
        false => router.layer(middleware::from_fn_with_state(
            Arc::new(addresses),
            identify,
        )),
    }
}

async fn identify(
    State(addresses): State<Arc<AddressSettings>>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    if let Some(peer) = peer.map(|ConnectInfo(peer)| peer.ip()) {
        let client = client(peer, request.headers(), &addresses);
        request.extensions_mut().insert(ClientAddress(client));
    }
    next.run(request).await
}

/// Returns the last address that is not that of a trusted proxy. Each proxy adds the address that
/// it was called from, so everything before that address can be forged. A client can send the
/// header, too, so only what trusted proxies have added counts.
fn client(peer: IpAddr, headers: &HeaderMap, addresses: &AddressSettings) -> IpAddr {
    let is_trusted = |address| networks::contain(&addresses.trusted_proxies, address);
    let header = addresses.forwarded_header;
    let lists = headers.get_all(header.name()).iter().rev();
    let lists = lists.map(|list| list.to_str().unwrap_or_default());
    let mut client = peer;
    for told in lists.flat_map(|list| list.rsplit(',')) {
        if !is_trusted(client) {
            break;
        }
        let address = match header {
            ForwardedHeader::XForwardedFor => address(told.trim()),
            ForwardedHeader::Forwarded => forwarded_for(told),
        };
        match address {
            Some(address) => client = address,
            // A proxy that we trust writes addresses. What is none, nobody has written for us.
            None => break,
        }
    }
    client
}

/// Reads the address in one element of the header `Forwarded`. An element may contain what the client
/// has written, such as its `host` in quotes. So one that is cut in a quote, or that has two
/// addresses, is not believed.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let names = element.split(';').filter_map(|pair| pair.split('=').next());
    let addresses = names.filter(|name| name.trim().eq_ignore_ascii_case("for"));
    if element.matches('"').count() % 2 == 1 || addresses.count() != 1 {
        return None;
    }
    let forwarded = rfc7239::parse(element).next()?.ok()?;
    match forwarded.forwarded_for?.name {
        NodeName::Ip(address) => Some(address),
        _ => None,
    }
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

    fn addresses(forwarded_header: ForwardedHeader) -> AddressSettings {
        AddressSettings {
            max_streams: None,
            max_opens: None,
            trusted_proxies: ["10.0.0.0/8", "fd00::/8"]
                .map(|net| net.parse().unwrap())
                .to_vec(),
            forwarded_header,
            proxy_protocol: false,
        }
    }

    #[test]
    fn the_header_of_the_settings_counts_and_no_other() {
        let found = |header, list: &str| {
            let mut headers = HeaderMap::new();
            headers.append("forwarded", list.parse().unwrap());
            client([10, 0, 0, 1].into(), &headers, &addresses(header)).to_string()
        };
        let list = r#"for=203.0.113.9, for="[2001:db8::7]:4711";proto=https, for=10.0.0.2"#;
        assert_eq!(found(ForwardedHeader::Forwarded, list), "2001:db8::7");
        assert_eq!(found(ForwardedHeader::XForwardedFor, list), "10.0.0.1");
        for none in ["for=unknown", "for=_hidden", "by=192.0.2.1", "nonsense", ""] {
            assert_eq!(
                found(ForwardedHeader::Forwarded, none),
                "10.0.0.1",
                "{none}"
            );
        }
        // A host that a client has chosen, and its proxy passed on in quotes.
        for forged in [
            r#"for=198.51.100.7;host="a;for=9.9.9.9""#,
            r#"for=198.51.100.7;host="a,for=9.9.9.9""#,
            r#"for=198.51.100.7;host="a; FOR=9.9.9.9";proto=http"#,
        ] {
            assert_eq!(
                found(ForwardedHeader::Forwarded, forged),
                "10.0.0.1",
                "{forged}"
            );
        }
        // What a client has opened, a proxy does not close.
        let quoted = r#"for=203.0.113.9;host=", for=198.51.100.7"#;
        assert_eq!(found(ForwardedHeader::Forwarded, quoted), "198.51.100.7");
    }

    #[test]
    fn only_what_trusted_proxies_have_added_counts() {
        let addresses = addresses(ForwardedHeader::XForwardedFor);
        let found = |peer: &str, lists: &[&str]| {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append("x-forwarded-for", list.parse().unwrap());
            }
            client(peer.parse().unwrap(), &headers, &addresses).to_string()
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
