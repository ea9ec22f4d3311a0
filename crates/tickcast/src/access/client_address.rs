//! The address of the client of a request.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;

/// The address of the client of a request, as a proxy has told it. Insert it into the extensions of
/// a request, in a layer that knows which proxies to believe. Without it, the address of the peer
/// of the connection counts. See
/// [`HubBuilder::max_streams_per_address`](crate::HubBuilder::max_streams_per_address).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// Who shares a limit: one IPv4 address, or one IPv6 network of 64 bits, which is what one customer
/// of a provider has at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AddressGroup(IpAddr);

impl ClientAddress {
    /// Returns the address of a request, if it is known.
    pub(crate) fn of(parts: &Parts) -> Option<Self> {
        let told = parts.extensions.get::<Self>().copied();
        let peer = || parts.extensions.get::<ConnectInfo<SocketAddr>>();
        told.or_else(|| peer().map(|ConnectInfo(peer)| Self(peer.ip())))
    }

    /// Returns who shares a limit with this address.
    pub(crate) fn group(self) -> AddressGroup {
        AddressGroup(match self.0.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() >> 64 << 64;
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

impl std::fmt::Display for AddressGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_of_64_bits_counts_together() {
        let group = |text: &str| ClientAddress(text.parse().unwrap()).group();
        assert_eq!(group("2001:db8:1:2::1"), group("2001:db8:1:2:ffff::9"));
        assert_ne!(group("2001:db8:1:2::1"), group("2001:db8:1:3::1"));
        assert_eq!(group("::ffff:192.0.2.7"), group("192.0.2.7"));
        assert_ne!(group("192.0.2.7"), group("192.0.2.8"));
    }
}
