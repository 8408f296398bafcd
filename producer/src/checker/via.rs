//! Through which proxy a URL is requested: by the same rules as the HTTP library's own, which does not tell.

use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use reqwest::Url;

use crate::site::Proxy;

/// The proxies of a client.
#[derive(Debug)]
pub(super) struct Proxies(Matcher);

/// The proxy on the way to a site.
#[derive(Clone, Debug)]
pub(super) struct Via {
    /// Its name or address.
    pub(super) host: String,
    /// That with its port, for people.
    pub(super) address: String,
    pub(super) kind: ViaKind,
    pub(super) has_credentials: bool,
}

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ViaKind {
    Http,
    Https,
    /// Names are resolved here.
    Socks,
    /// Names are resolved by the proxy.
    SocksByName,
}

impl Proxies {
    pub(super) fn of(proxy: &Proxy) -> Self {
        Self(match proxy {
            Proxy::Environment => Matcher::from_system(),
            Proxy::At { url, no_proxy } => {
                Matcher::builder().all(url.expose().to_owned()).no(no_proxy.join(",")).build()
            }
        })
    }

    /// The proxy through which `url` is requested; `None` where that is done directly.
    pub(super) fn via(&self, url: &Url) -> Option<Via> {
        self.0.intercept(&url.as_str().parse().ok()?).map(|proxy| Via::new(&proxy))
    }
}

impl Via {
    fn new(proxy: &Intercept) -> Self {
        let uri = proxy.uri();
        let (kind, default_port) = match uri.scheme_str() {
            Some("https") => (ViaKind::Https, 443),
            Some("socks5" | "socks4") => (ViaKind::Socks, 80),
            Some("socks5h" | "socks4a") => (ViaKind::SocksByName, 80),
            _ => (ViaKind::Http, 80),
        };
        let host = uri.host().unwrap_or_default().to_owned();
        let address = format!("{host}:{}", uri.port_u16().unwrap_or(default_port));
        Self { host, address, kind, has_credentials: proxy.basic_auth().is_some() || proxy.raw_auth().is_some() }
    }

    /// Whether the proxy is asked by requests, as against by SOCKS.
    pub(super) fn is_http(&self) -> bool {
        matches!(self.kind, ViaKind::Http | ViaKind::Https)
    }

    /// What is said of a proxy that will not serve us.
    pub(super) fn refusal(&self) -> String {
        let what = if self.has_credentials { "refuses the credentials" } else { "wants credentials" };
        let status = if self.is_http() { " (status 407)" } else { "" };
        format!("the proxy {} {what}{status}", self.address)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use isitup_shared::secret::Secret;

    use super::*;

    #[test]
    fn a_proxy_serves_all_but_the_hosts_that_are_excepted_and_shows_no_credentials() {
        let no_proxy = vec!["inside.test".to_owned(), "192.0.2.0/24".to_owned()];
        let url = Arc::new(Secret::new("http://user:s3cret@proxy.test:3128"));
        let proxies = Proxies::of(&Proxy::At { url, no_proxy });
        let via = |url: &str| proxies.via(&Url::parse(url).unwrap());
        for direct in ["http://inside.test/", "https://deep.inside.test:8443/x?y", "http://192.0.2.7/"] {
            assert!(via(direct).is_none(), "{direct}");
        }
        for served in ["http://outside.test/", "https://192.0.3.7/"] {
            assert_eq!(
                via(served).unwrap().refusal(),
                "the proxy proxy.test:3128 refuses the credentials (status 407)"
            );
        }
        assert!(!format!("{proxies:?} {:?}", via("http://outside.test/")).contains("s3cret"));
    }
}
