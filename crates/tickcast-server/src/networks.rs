//! Networks of addresses.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// Number of bits in front of an IPv4 address that is written as IPv6.
const MAPPED_PREFIX: u8 = 96;

/// Returns the network of IPv4 that is written as IPv6 (`::ffff:10.0.0.0/104`). Other networks are
/// returned unchanged.
pub(crate) fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else {
        return network;
    };
    let address = mapped.addr().to_ipv4_mapped();
    let prefix = mapped.prefix_len().checked_sub(MAPPED_PREFIX);
    let found = address
        .zip(prefix)
        .map(|(address, prefix)| Ipv4Net::new(address, prefix));
    found.and_then(Result::ok).map_or(network, IpNet::V4)
}

/// Checks whether an address lies in one of the networks. An IPv4 address that is written as IPv6
/// counts as IPv4.
pub(crate) fn contain(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv4_can_be_written_as_ipv6() {
        for (written, meant) in [
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:192.0.2.1/128", "192.0.2.1/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("::ffff:0:0/95", "::ffff:0:0/95"),
            ("fd00::/8", "fd00::/8"),
            ("10.0.0.0/8", "10.0.0.0/8"),
        ] {
            let network = canonical(written.parse().unwrap());
            assert_eq!(network, meant.parse().unwrap(), "{written}");
        }
        let network = [canonical("::ffff:10.0.0.0/104".parse().unwrap())];
        assert!(contain(&network, "::ffff:10.1.2.3".parse().unwrap()));
        assert!(contain(&network, "10.1.2.3".parse().unwrap()));
    }
}
