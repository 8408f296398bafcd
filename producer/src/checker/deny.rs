//! Keeps checks from networks that are not theirs to look into, whatever a name or a redirect says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use isitup_shared::config::DeniedNetwork;

/// Networks that no check may connect to; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Denied(Arc<[DeniedNetwork]>);

impl Denied {
    pub(super) fn new(networks: Vec<DeniedNetwork>) -> Self {
        Self(networks.into())
    }

    /// The network for which `address` may not be connected to, in whatever form it is written.
    pub(super) fn network_of(&self, address: IpAddr) -> Option<DeniedNetwork> {
        if self.0.is_empty() {
            return None;
        }
        let inside = |address: IpAddr| self.0.iter().find(|network| network.contains(address)).copied();
        inside(address).or_else(|| match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => stood_for(v6).into_iter().flatten().find_map(|v4| inside(v4.into())),
        })
    }

    /// Why `address` may not be connected to; `None` where it may.
    pub(super) fn refusal(&self, address: IpAddr) -> Option<String> {
        let network = self.network_of(address)?;
        Some(format!("{address} may not be connected to: deny_networks has {network}"))
    }
}

/// The IPv4 addresses to which packets for `address` may be led, on a machine or in a network set up for that.
fn stood_for(address: Ipv6Addr) -> [Option<Ipv4Addr>; 3] {
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match address.segments() {
        // Mapped and (long given up) compatible addresses: RFC 4291; translated ones: RFC 2765.
        [0, 0, 0, 0, 0, 0 | 0xffff, a, b] | [0, 0, 0, 0, 0xffff, 0, a, b] => [v4(a, b), None, None],
        // NAT64: RFC 6052.
        [0x64, 0xff9b, 0, 0, 0, 0, a, b] => [v4(a, b), None, None],
        // NAT64 within a network, RFC 8215: the address follows one of several lengths of prefix.
        [0x64, 0xff9b, 1, a, b, c, d, e] => {
            let after_48 = v4(a, ((b & 0xff) << 8) | (c >> 8));
            let after_64 = v4(((b & 0xff) << 8) | (c >> 8), ((c & 0xff) << 8) | (d >> 8));
            [after_48, after_64, v4(d, e)]
        }
        // 6to4: RFC 3056.
        [0x2002, a, b, ..] => [v4(a, b), None, None],
        // Teredo, RFC 4380: the server, and the client in reverse bits.
        [0x2001, 0, a, b, _, _, c, d] => [v4(a, b), v4(!c, !d), None],
        _ => [None; 3],
    }
}

#[cfg(test)]
mod tests {
    use isitup_shared::config::Scalar;

    use super::*;

    #[test]
    fn an_address_is_known_in_all_forms_in_which_packets_may_be_led_there() {
        let denied = Denied::new(vec![DeniedNetwork::Metadata, DeniedNetwork::parse("192.0.2.33").unwrap()]);
        for address in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "2001:0:a9fe:a9fe::",
            "2001:0:102:304:0:0:5601:5601",
            // The examples of RFC 6052 for 192.0.2.33, by prefixes of 48, 64 and 96 bits.
            "64:ff9b:1:c000:2:2100::",
            "64:ff9b:1:0:c0:2:2100::",
            "64:ff9b:1::192.0.2.33",
        ] {
            assert!(denied.network_of(address.parse().unwrap()).is_some(), "{address}");
        }
        for address in ["169.254.169.253", "64:ff9b::1.2.3.4", "2003:a9fe:a9fe::1", "2001:db8::a9fe:a9fe"] {
            assert_eq!(denied.network_of(address.parse().unwrap()), None, "{address}");
        }
        let told = denied.refusal("::ffff:192.0.2.33".parse().unwrap()).unwrap();
        assert_eq!(told, "::ffff:192.0.2.33 may not be connected to: deny_networks has 192.0.2.33/32");
        assert_eq!(Denied::default().network_of(Ipv4Addr::LOCALHOST.into()), None);
    }
}
