//! `deny_networks`: kept from where nobody may look, by every kind of site, name, redirect and form of address.

use std::net::SocketAddr;

use isitup_producer::site::{ConnectTo, Route, SiteSettings};
use isitup_shared::config::{Network, Scalar};

use crate::name_server::zone;
use crate::server::{answering, check_by, failure, ok, patient, redirect, trusting};
use crate::stalls::hasty;

fn told(networks: &[&str], url: &str, settings: SiteSettings) -> String {
    let networks: Vec<Network> = networks.iter().map(|network| Network::parse(network).unwrap()).collect();
    failure(&check_by(&trusting(Vec::new()).denying(&networks), url, settings))
}

/// Redirects to what `location` makes of the port of a server that answers well.
fn redirecting(location: impl Fn(u16) -> String) -> SocketAddr {
    let well = answering(ok("", "hello"));
    let target = location(well.port());
    answering(redirect(302, target))
}

#[test]
fn no_kind_of_site_connects_to_a_denied_network_by_address_or_by_name() {
    let loopback = "127.0.0.1 may not be connected to: deny_networks has loopback";
    let port = answering(ok("", "hello")).port();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("tcp://127.0.0.1:{port}"),
        format!("tls://127.0.0.1:{port}"),
        format!("dns://127.0.0.1:{port}/a.test"),
    ] {
        assert_eq!(told(&["private", "loopback"], &url, patient()), format!("invalid_url: {loopback}"), "{url}");
    }
    for scheme in ["http", "https", "tcp", "tls"] {
        let url = format!("{scheme}://site.test:{port}");
        assert_eq!(told(&["loopback"], &url, patient()), format!("invalid_url: site.test: {loopback}"));
    }
    let asking = format!("dns://ns.test:{port}/a.test");
    assert_eq!(told(&["loopback"], &asking, patient()), format!("invalid_url: ns.test: {loopback}"));
    let mapped = told(&["metadata"], "http://[::ffff:169.254.169.254]/", patient());
    assert_eq!(mapped, "invalid_url: ::ffff:169.254.169.254 may not be connected to: deny_networks has metadata");
    let cidr = told(&["127.0.0.0/30"], &format!("tcp://[::ffff:127.0.0.1]:{port}"), patient());
    assert_eq!(cidr, "invalid_url: ::ffff:127.0.0.1 may not be connected to: deny_networks has 127.0.0.0/30");
    assert_eq!(told(&["private", "metadata"], &format!("http://127.0.0.1:{port}/"), patient()), "up");
}

#[test]
fn a_redirect_into_a_denied_network_is_not_followed() {
    // Browsers take the numbers for 127.0.0.2 as well.
    for host in ["127.0.0.2", "2130706434", "0x7f.2"] {
        let first = redirecting(move |port| format!("http://{host}:{port}/"));
        let to_address = told(&["127.0.0.2"], &format!("http://{first}"), patient());
        assert_eq!(to_address, "redirect: 127.0.0.2 may not be connected to: deny_networks has 127.0.0.2", "{host}");
    }
    // A name that stands for loopback, from a site that connects elsewhere: here by an address that is let through.
    let first = redirecting(|port| format!("http://inner.test:{port}/"));
    let trust = trusting(Vec::new())
        .resolving_by(|_| Ok(vec![([127, 0, 0, 2], 0).into()]))
        .denying(&[Network::parse("127.0.0.2").unwrap()]);
    let to_name = failure(&check_by(&trust, &format!("http://{first}"), patient()));
    assert_eq!(to_name, "redirect: inner.test: 127.0.0.2 may not be connected to: deny_networks has 127.0.0.2");
}

#[test]
fn of_several_addresses_of_a_name_only_those_that_are_let_through_are_used() {
    let well = answering(ok("", "hello"));
    let trust = trusting(Vec::new())
        .resolving_by(|_| Ok(vec![([10, 0, 0, 1], 0).into(), ([127, 0, 0, 1], 0).into()]))
        .denying(&[Network::parse("private").unwrap()]);
    for url in [format!("http://two.test:{}", well.port()), format!("tcp://two.test:{}", well.port())] {
        let check = check_by(&trust, &url, hasty());
        assert_eq!((failure(&check).as_str(), check.remote_addr), ("up", Some(well.to_string().into())));
    }
}

#[test]
fn what_stands_in_for_a_host_and_its_name_server_are_kept_out_too() {
    let loopback = "127.0.0.1 may not be connected to: deny_networks has loopback";
    let connect_to = Some(ConnectTo { ip: [127, 0, 0, 1].into(), port: None });
    for url in ["http://site.test/", "tcp://site.test:1", "tls://site.test:1"] {
        let settings = SiteSettings { route: Route { connect_to, ..Route::default() }, ..patient() };
        assert_eq!(told(&["loopback"], url, settings), format!("invalid_url: site.test: {loopback}"));
        let settings = SiteSettings { route: Route { resolver: Some(zone()), ..Route::default() }, ..patient() };
        assert_eq!(told(&["loopback"], url, settings), format!("invalid_url: name server: {loopback}"));
    }
}
