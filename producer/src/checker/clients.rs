//! The HTTP clients of one checker: one for the system's certificates, and a few for sites with certificates of their own.

use std::sync::Arc;
use std::time::Duration;

use reqwest::blocking::{Client, Request, Response};
use reqwest::redirect::Policy;
use reqwest::{Method, Url, retry};

use super::connector::NextHop;
use super::hop::Hop;
use super::trust::{OwnCa, Trust};
use reqwest::header::HeaderMap;

/// Clients for own certificates that a checker keeps; each has a thread and some 55 KiB.
const MOST_OWN: usize = 2;
/// As much as HTTP/1 allows for a head here; hyper's own bound for HTTP/2 is so low that well-known sites exceed it.
const MOST_HEADER_BYTES: u32 = 256 * 1024;
const USER_AGENT: &str = concat!("isitup/", env!("CARGO_PKG_VERSION"));

/// The clients of one checker, made when first needed.
#[derive(Debug)]
pub(super) struct Clients {
    trust: Trust,
    system: Option<HopClient>,
    /// By fingerprint, the one used last at the end.
    own: Vec<(String, HopClient)>,
}

impl Clients {
    pub(super) fn new(trust: &Trust) -> Self {
        Self { trust: trust.clone(), system: None, own: Vec::new() }
    }

    /// The client for a site with `ca`; the error says why this machine has none to give.
    pub(super) fn get(&mut self, ca: Option<&OwnCa>) -> Result<&HopClient, String> {
        let Some(ca) = ca else {
            if self.system.is_none() {
                self.system = Some(HopClient::new(&self.trust, None)?);
            }
            return self.system.as_ref().ok_or_else(String::new);
        };
        let found = match self.own.iter().position(|(fingerprint, _)| fingerprint == ca.fingerprint()) {
            Some(known) => self.own.remove(known),
            None => (ca.fingerprint().to_owned(), HopClient::new(&self.trust, Some(ca))?),
        };
        if self.own.len() == MOST_OWN {
            self.own.remove(0);
        }
        self.own.push(found);
        self.own.last().map(|(_, client)| client).ok_or_else(String::new)
    }

    /// Throws away the client for a site with `ca`.
    pub(super) fn discard(&mut self, ca: Option<&OwnCa>) {
        match ca {
            None => self.system = None,
            Some(ca) => self.own.retain(|(fingerprint, _)| fingerprint != ca.fingerprint()),
        }
    }
}

/// A client that ties each request to its [`Hop`], and adds nothing of its own: no redirects, pool, proxy or retries.
#[derive(Debug)]
pub(super) struct HopClient {
    client: Client,
    next: NextHop,
}

impl HopClient {
    fn new(trust: &Trust, ca: Option<&OwnCa>) -> Result<Self, String> {
        let next = NextHop::default();
        let config = trust.config_for(ca).map_err(|error| error.to_string())?;
        let client = Client::builder()
            .tls_backend_preconfigured(config)
            .dns_resolver(Arc::new(trust.resolver.clone()))
            .connector_layer(next.clone())
            .redirect(Policy::none())
            .referer(false)
            .retry(retry::never())
            .no_proxy()
            .pool_max_idle_per_host(0)
            // Each request brings its own; the client's would begin anew at each piece of the body.
            .timeout(None)
            // A check ends long before these could matter, and each costs a system call.
            .tcp_keepalive(None)
            .tcp_user_timeout(None)
            .http2_max_header_list_size(MOST_HEADER_BYTES)
            .user_agent(USER_AGENT)
            .build();
        let client = client.map_err(|error| format!("this machine cannot start another client: {error}"))?;
        Ok(Self { client, next })
    }

    /// Requests `url` on a fresh connection, told to `hop`; all of it, the body too, may take `timeout`.
    pub(super) fn get(
        &self,
        url: &Url,
        headers: Option<&HeaderMap>,
        timeout: Duration,
        hop: &Arc<Hop>,
    ) -> reqwest::Result<Response> {
        self.next.set(Arc::clone(hop));
        let mut request = Request::new(Method::GET, url.clone());
        *request.timeout_mut() = Some(timeout);
        if let Some(headers) = headers {
            request.headers_mut().clone_from(headers);
        }
        self.client.execute(request)
    }
}
