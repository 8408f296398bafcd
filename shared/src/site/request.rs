//! What is asked of a site, and where the connection is made to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::config::Scalar;
use crate::secret::Secret;
use http::Method;
use http::header::HeaderMap;

/// What is asked of an HTTP site.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Headers for the site's own origin and no other, `Host`, `User-Agent` and `Authorization` among them where they
    /// are configured. All are marked sensitive.
    pub headers: HeaderMap,
    /// The body.
    pub body: Option<Arc<Secret>>,
}

impl Request {
    pub(super) fn describe(&self, parts: &mut Vec<(&str, String)>) {
        let method = if self.method == Method::GET { String::new() } else { self.method.to_string() };
        parts.push(("method", method));
        parts
            .push(("body_length", self.body.as_ref().map_or_else(String::new, |body| body.expose().len().to_string())));
    }

    pub(super) fn secrets(&self) -> Vec<&[u8]> {
        let values = self.headers.values().map(|value| value.as_bytes());
        values.chain(self.body.as_ref().map(|body| body.expose().as_bytes())).collect()
    }
}

/// A method by its name.
pub(crate) struct MethodName(pub(crate) Method);

impl Scalar for MethodName {
    const WHAT: &'static str = "a method: GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS";
    const HARMLESS: bool = true;

    fn parse(text: &str) -> Option<Self> {
        let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(&text);
        Method::from_bytes(text.as_bytes()).ok().filter(|_| known).map(Self)
    }
}

/// Which redirects are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirects {
    /// The most of them; with none, a redirect is an answer like any other.
    pub most: u32,
    /// Whether one from https to http is a failure.
    pub forbid_downgrade: bool,
}

impl Default for Redirects {
    fn default() -> Self {
        Self { most: Self::MOST, forbid_downgrade: false }
    }
}

impl Redirects {
    /// As many as are followed where nothing else is said.
    pub const MOST: u32 = 10;

    pub(super) fn describe(self, parts: &mut Vec<(&str, String)>) {
        if self.most != Self::MOST {
            parts.push(("follow_redirects", self.most.to_string()));
        }
        if self.forbid_downgrade {
            parts.push(("forbid_downgrade", "true".into()));
        }
    }
}

/// `true`, `false` or a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FollowRedirects(pub(crate) u32);

impl Scalar for FollowRedirects {
    const WHAT: &'static str = "true, false or how many to follow, 0 to 50";
    const HARMLESS: bool = true;

    fn parse(text: &str) -> Option<Self> {
        match text {
            "true" => Some(Self(Redirects::MOST)),
            "false" => Some(Self(0)),
            number => number.parse().ok().filter(|most| *most <= 50).map(Self),
        }
    }
}

/// Where connections are made to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// Which of a name's addresses are used.
    pub family: IpFamily,
    /// Where to connect whatever the URL's host resolves to; for that host alone.
    pub connect_to: Option<ConnectTo>,
    /// The name server that is asked instead of the system's resolver.
    pub resolver: Option<SocketAddr>,
}

impl Route {
    pub(super) fn describe(self, parts: &mut Vec<(&str, String)>) {
        match self.family {
            IpFamily::Any => {}
            IpFamily::V4 => parts.push(("ip_version", "4".into())),
            IpFamily::V6 => parts.push(("ip_version", "6".into())),
        }
        if let Some(ConnectTo { ip, port }) = self.connect_to {
            parts.push(("connect_to", format!("{ip} {}", port.unwrap_or(0))));
        }
        if let Some(resolver) = self.resolver {
            parts.push(("resolver", resolver.to_string()));
        }
    }
}

/// Versions of the Internet Protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpFamily {
    /// Whichever connects first.
    #[default]
    Any,
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
}

impl IpFamily {
    /// Whether `address` is of this family.
    pub fn contains(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

impl Scalar for IpFamily {
    const WHAT: &'static str = "any, 4 or 6";
    const HARMLESS: bool = true;

    fn parse(text: &str) -> Option<Self> {
        match text {
            "any" => Some(Self::Any),
            "4" => Some(Self::V4),
            "6" => Some(Self::V6),
            _ => None,
        }
    }
}

/// An address that stands in for what the URL's host resolves to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectTo {
    /// The address.
    pub ip: IpAddr,
    /// The port, where it is not the URL's.
    pub port: Option<u16>,
}

impl Scalar for ConnectTo {
    const WHAT: &'static str = "an address to connect to, such as 192.0.2.1, 192.0.2.1:8443 or [2001:db8::1]:443";

    fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Some(Self { ip: address.ip(), port: Some(address.port()) });
        }
        text.trim_matches(['[', ']']).parse().ok().map(|ip| Self { ip, port: None })
    }
}

/// A name server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameServer(pub(crate) SocketAddr);

impl Scalar for NameServer {
    const WHAT: &'static str = "the address of a name server, such as 192.0.2.53 or 192.0.2.53:5353";

    fn parse(text: &str) -> Option<Self> {
        let with_port = || Some(SocketAddr::new(text.trim_matches(['[', ']']).parse().ok()?, 53));
        text.parse().ok().or_else(with_port).map(Self)
    }
}
