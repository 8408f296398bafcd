//! Networks by their names and in CIDR notation.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::Scalar;

/// A network that checks may be kept from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeniedNetwork {
    /// This machine: `127.0.0.0/8`, `::1`, and what stands for it, `0.0.0.0/8` and `::`.
    Loopback,
    /// RFC 1918, the shared addresses of providers (RFC 6598), unique and the former site-local ones of IPv6.
    Private,
    /// `169.254.0.0/16` and `fe80::/10`.
    LinkLocal,
    /// Where clouds tell a machine about itself, credentials included.
    Metadata,
    /// `224.0.0.0/4`, `ff00::/8` and the broadcast address.
    Multicast,
    /// Another one.
    Network(IpNet),
}

/// As documented by AWS (instances, containers, pods), Google, Azure, Alibaba and Oracle; most others use the first.
const METADATA: [IpAddr; 9] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

impl DeniedNetwork {
    /// Whether `address`, as it is written, lies in it. An IPv6 address that stands for one of IPv4 is the caller's to
    /// unfold.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::Loopback, IpAddr::V4(v4)) => v4.is_loopback() || v4.octets()[0] == 0,
            (Self::Loopback, IpAddr::V6(v6)) => v6.is_loopback() || v6.is_unspecified(),
            (Self::Private, IpAddr::V4(v4)) => v4.is_private() || matches!(v4.octets(), [100, 64..=127, ..]),
            (Self::Private, IpAddr::V6(v6)) => v6.is_unique_local() || v6.segments()[0] & 0xffc0 == 0xfec0,
            (Self::LinkLocal, IpAddr::V4(v4)) => v4.is_link_local(),
            (Self::LinkLocal, IpAddr::V6(v6)) => v6.is_unicast_link_local(),
            (Self::Metadata, address) => METADATA.contains(&address),
            (Self::Multicast, IpAddr::V4(v4)) => v4.is_multicast() || v4.is_broadcast(),
            (Self::Multicast, IpAddr::V6(v6)) => v6.is_multicast(),
            (Self::Network(network), address) => network.contains(&address),
        }
    }
}

/// As it is written.
impl fmt::Display for DeniedNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Metadata => "metadata",
            Self::Multicast => "multicast",
            Self::Network(network) => return network.fmt(f),
        })
    }
}

impl Scalar for DeniedNetwork {
    const WHAT: &'static str =
        "a network: loopback, private, link-local, metadata, multicast, or one such as 192.0.2.0/24 or 2001:db8::/32";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "loopback" => Some(Self::Loopback),
            "private" => Some(Self::Private),
            "link-local" => Some(Self::LinkLocal),
            "metadata" => Some(Self::Metadata),
            "multicast" => Some(Self::Multicast),
            other => {
                let network = other.parse().ok().or_else(|| other.parse::<IpAddr>().ok().map(IpNet::from));
                network.map(|network| Self::Network(network.trunc()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_means_its_networks_and_no_more() {
        let cases = [
            ("loopback", "127.0.0.1 127.255.0.9 0.0.0.0 0.1.2.3 ::1 ::", "128.0.0.1 1.0.0.0 ::2 fe80::1"),
            (
                "private",
                "10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.127.9.9 fc00::1 fdff::1 fec0::1",
                "11.0.0.1 172.32.0.1 192.169.0.1 100.63.0.1 100.128.0.1 fe80::1 2001:db8::1",
            ),
            ("link-local", "169.254.0.1 fe80::1 febf::1", "169.253.0.1 fec0::1"),
            ("metadata", "169.254.169.254 fd00:ec2::254 100.100.100.200 168.63.129.16", "169.254.169.253 fd00:ec2::1"),
            ("multicast", "224.0.0.1 239.9.9.9 255.255.255.255 ff02::1", "240.0.0.1 fe80::1"),
            ("192.0.2.9/24", "192.0.2.1", "192.0.3.1 2001:db8::1"),
            ("2001:db8::/32", "2001:db8:9::1", "2001:db9::1 192.0.2.1"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ];
        for (written, inside, outside) in cases {
            let network = DeniedNetwork::parse(written).unwrap();
            for (addresses, expected) in [(inside, true), (outside, false)] {
                for address in addresses.split(' ') {
                    assert_eq!(network.contains(address.parse().unwrap()), expected, "{written} {address}");
                }
            }
        }
        assert_eq!(DeniedNetwork::parse("192.0.2.9/24").unwrap().to_string(), "192.0.2.0/24");
        assert_eq!(DeniedNetwork::parse("192.0.2.0/33"), None);
        assert_eq!(DeniedNetwork::parse("lan"), None);
    }
}
