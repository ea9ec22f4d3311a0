//! Networks of addresses.

use std::net::IpAddr;

use ipnet::IpNet;

/// Checks whether an address lies in one of the networks. An IPv4 address that is written as IPv6
/// counts as IPv4.
pub(crate) fn contain(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}
