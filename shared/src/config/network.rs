//! Networks by name or in CIDR notation, for rules on what may be connected to.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::Scalar;

/// One rule: a word such as `private`, or a network such as `192.0.2.0/24`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// As written.
    pub text: String,
    networks: Vec<IpNet>,
}

/// The words, and the networks they stand for.
const WORDS: [(&str, &[&str]); 5] = [
    // 0.0.0.0 and :: lead to this machine too.
    ("loopback", &["127.0.0.0/8", "0.0.0.0/8", "::1/128", "::/128"]),
    ("private", &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10"]),
    ("link-local", &["169.254.0.0/16", "fe80::/10"]),
    // Where clouds serve credentials to whoever asks from inside.
    (
        "metadata",
        &[
            "169.254.169.254/32",
            "169.254.170.2/32",
            "169.254.170.23/32",
            "168.63.129.16/32",
            "100.100.100.200/32",
            "192.0.0.192/32",
            "fd00:ec2::/32",
            "fd20:ce::254/128",
        ],
    ),
    ("multicast", &["224.0.0.0/4", "255.255.255.255/32", "ff00::/8"]),
];

impl Scalar for Network {
    const WHAT: &'static str =
        "loopback, private, link-local, metadata, multicast or a network such as 192.0.2.0/24 or 2001:db8::/32";

    fn parse(text: &str) -> Option<Self> {
        let networks = match WORDS.iter().find(|(word, _)| *word == text) {
            Some((_, networks)) => networks.iter().map(|network| network.parse().ok()).collect::<Option<Vec<_>>>()?,
            None => vec![text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()?],
        };
        Some(Self { text: text.to_owned(), networks })
    }
}

impl Network {
    /// Whether `address` lies in it, in whatever form it is written: an IPv6 address that stands for an IPv4 one leads there.
    pub fn contains(&self, address: IpAddr) -> bool {
        let lies_in = |address: IpAddr| self.networks.iter().any(|network| network.contains(&address));
        lies_in(address) || embedded(address).is_some_and(lies_in)
    }
}

/// The IPv4 address within an IPv6 one: mapped (`::ffff:0:0/96`), translated (`::ffff:0:0:0/96`), compatible (`::/96`), NAT64 (`64:ff9b::/96`) and 6to4
/// (`2002::/16`).
fn embedded(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address else { return None };
    let [a, b, c, d, e, f, high, low] = address.segments();
    let (high, low) = match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => (high, low),
        [0, 0, 0, 0, 0, 0] if address != Ipv6Addr::LOCALHOST && address != Ipv6Addr::UNSPECIFIED => (high, low),
        [0x2002, high, low, ..] => (high, low),
        _ => return None,
    };
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Some(IpAddr::from([a, b, c, d]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_a_network_in_whatever_form_it_is_written() {
        for (rule, address, is_in) in [
            ("loopback", "127.1.2.3", true),
            ("loopback", "0.0.0.0", true),
            ("loopback", "::1", true),
            ("loopback", "::ffff:127.0.0.1", true),
            ("loopback", "::127.0.0.1", true),
            ("loopback", "128.0.0.1", false),
            ("private", "192.168.1.1", true),
            ("private", "100.64.0.1", true),
            ("private", "64:ff9b::10.0.0.1", true),
            ("private", "2002:a00:1::1", true),
            ("private", "fd12::1", true),
            ("private", "172.32.0.1", false),
            ("link-local", "fe80::1", true),
            ("metadata", "::ffff:169.254.169.254", true),
            ("metadata", "fd00:ec2::254", true),
            ("metadata", "168.63.129.16", true),
            ("metadata", "::ffff:0:169.254.169.254", true),
            ("192.0.2.0/24", "192.0.2.255", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("192.0.2.7", "192.0.2.8", false),
        ] {
            let network = Network::parse(rule).unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), is_in, "{address} in {rule}");
        }
        assert!(Network::parse("everything").is_none());
        assert!(WORDS.iter().all(|(word, _)| Network::parse(word).is_some()));
    }
}
