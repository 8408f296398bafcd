//! Settings that are well each by itself, and cannot be together.

use std::net::IpAddr;

use http::Method;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, HOST};
use url::Host;

use crate::site::HttpVersion;
use crate::site::endpoint::{Endpoint, Kind};
use crate::site::{Site, SiteSettings};

/// A key, and what is wrong with it in `site`; `denies` tells whether there are networks that must not be connected to.
pub(super) fn contradiction(site: &Site, denies: bool) -> Option<(&'static str, String)> {
    let found = address(site).or_else(|| match site.endpoint.kind() {
        Kind::Http => http(site, denies),
        Kind::Tcp | Kind::Tls | Kind::Dns => None,
    });
    found.map(|(key, message)| (key, message.to_owned()))
}

fn address(site: &Site) -> Option<(&'static str, &'static str)> {
    let route = &site.settings.route;
    let literal = literal(&site.endpoint);
    if route.connect_to.is_some() && literal.is_some() && site.endpoint.kind() == Kind::Http {
        return Some((
            "connect_to",
            "stands in for what a name resolves to, and the URL has an address: write that into the URL",
        ));
    }
    if literal.is_some_and(|address| !route.family.contains(address)) {
        return Some(("ip_version", "is not that of the address in the URL"));
    }
    if route.connect_to.is_some_and(|to| !route.family.contains(to.ip)) {
        return Some(("ip_version", "is not that of the address in connect_to"));
    }
    None
}

fn http(site: &Site, denies: bool) -> Option<(&'static str, &'static str)> {
    let SiteSettings { request, transport, route, expect, .. } = &*site.settings;
    if site.authorization.is_some() && request.headers.contains_key(AUTHORIZATION) {
        return Some(("url", "has credentials, and an Authorization is configured too: keep one of the two"));
    }
    if transport.http_version == HttpVersion::Http2 && request.headers.contains_key(HOST) {
        return Some(("http_version", "2 takes no Host header of its own: leave out one of the two"));
    }
    if transport.http_version == HttpVersion::Http2 && route.connect_to.is_some_and(|to| to.port.is_some()) {
        return Some(("http_version", "2 cannot be had with a port in connect_to: leave out one of the two"));
    }
    if transport.proxy.is_some() {
        if denies {
            return Some((
                "proxy",
                "resolves names by itself, so that producer.deny_networks could not be enforced: remove one",
            ));
        }
        if route.connect_to.is_some() || route.resolver.is_some() {
            return Some(("proxy", "resolves names by itself: leave out connect_to and resolver, or the proxy"));
        }
    }
    if expect.headers.iter().any(|(name, _)| *name == CONTENT_ENCODING) {
        return Some((
            "expect.headers",
            "content-encoding is never seen, since bodies are decompressed before they are judged: leave it out",
        ));
    }
    let looks_at_body = expect.body.is_some() || !expect.json.is_empty();
    if request.method == Method::HEAD && looks_at_body {
        return Some(("method", "HEAD is answered without a body: leave out expect.body and expect.json, or use GET"));
    }
    None
}

fn literal(endpoint: &Endpoint) -> Option<IpAddr> {
    let host = match endpoint {
        Endpoint::Http(url) => url.host()?.to_owned(),
        Endpoint::Tcp(address) | Endpoint::Tls(address) => address.host.clone(),
        Endpoint::Dns(question) => question.server.host.clone(),
    };
    match host {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}
