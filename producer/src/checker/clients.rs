//! The HTTP clients of one checker: one for what most sites have, and a few for sites that want something of their own.

use std::sync::Arc;

use reqwest::blocking::{Client, Request, Response};
use reqwest::redirect::Policy;
use reqwest::{NoProxy, Url, retry};
use rustls::ClientConfig;

use super::connector::NextHop;
use super::hop::Hop;
use super::resolver::Resolver;
use super::trust::Trust;
use super::via::{Proxies, Via};
use crate::site::{HttpVersion, Proxy, Transport};

/// Clients of sites that want something of their own, as a checker keeps them; each has a thread and some 55 KiB.
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

    /// The client for connections by `transport`; the error says why this machine has none to give.
    pub(super) fn get(&mut self, transport: &Transport) -> Result<&HopClient, String> {
        let fingerprint = transport.secret_fingerprint();
        if fingerprint.is_empty() {
            if self.system.is_none() {
                self.system = Some(HopClient::new(&self.trust, transport)?);
            }
            return self.system.as_ref().ok_or_else(String::new);
        }
        let found = match self.own.iter().position(|(known, _)| known == fingerprint) {
            Some(known) => self.own.remove(known),
            None => (fingerprint.to_owned(), HopClient::new(&self.trust, transport)?),
        };
        if self.own.len() == MOST_OWN {
            self.own.remove(0);
        }
        self.own.push(found);
        self.own.last().map(|(_, client)| client).ok_or_else(String::new)
    }

    /// The threads that resolve names.
    pub(super) fn resolver(&self) -> &Resolver {
        &self.trust.resolver
    }

    /// The TLS settings for connections by `transport`; the error says why there are none.
    pub(super) fn tls_config(&self, transport: &Transport) -> Result<ClientConfig, String> {
        self.trust.config_for(transport).map_err(|error| error.to_string())
    }

    /// Throws away the client for connections by `transport`.
    pub(super) fn discard(&mut self, transport: &Transport) {
        match transport.secret_fingerprint() {
            "" => self.system = None,
            fingerprint => self.own.retain(|(known, _)| known != fingerprint),
        }
    }
}

/// A client that ties each request to its [`Hop`], and adds nothing of its own: no redirects, pool, proxy or retries.
#[derive(Debug)]
pub(super) struct HopClient {
    client: Client,
    next: NextHop,
    proxies: Option<Proxies>,
}

impl HopClient {
    fn new(trust: &Trust, transport: &Transport) -> Result<Self, String> {
        let next = NextHop::default();
        let failed = |error: &dyn std::fmt::Display| format!("this machine cannot start another client: {error}");
        let config = trust.config_for(transport).map_err(|error| failed(&error))?;
        let mut builder = Client::builder()
            .tls_backend_preconfigured(config)
            .dns_resolver(Arc::new(trust.resolver.clone()))
            .connector_layer(next.clone())
            .redirect(Policy::none())
            .referer(false)
            .retry(retry::never())
            .pool_max_idle_per_host(0)
            // Each request brings its own; the client's would begin anew at each piece of the body.
            .timeout(None)
            // A check ends long before these could matter, and each costs a system call.
            .tcp_keepalive(None)
            .tcp_user_timeout(None)
            .http2_max_header_list_size(MOST_HEADER_BYTES)
            // Not that anybody would want them: they show what it was that was no HTTP.
            .http09_responses()
            .user_agent(USER_AGENT);
        builder = match transport.http_version {
            HttpVersion::Any => builder,
            HttpVersion::Http1 => builder.http1_only(),
            HttpVersion::Http2 => builder.http2_prior_knowledge(),
        };
        builder = match &transport.proxy {
            None => builder.no_proxy(),
            Some(Proxy::Environment) => builder,
            Some(Proxy::At { url, no_proxy }) => {
                let proxy = reqwest::Proxy::all(url.expose()).map_err(|_| failed(&"its proxy cannot be used"))?;
                builder.proxy(proxy.no_proxy(NoProxy::from_string(&no_proxy.join(","))))
            }
        };
        let client = builder.build().map_err(|error| failed(&error))?;
        Ok(Self { client, next, proxies: transport.proxy.as_ref().map(Proxies::of) })
    }

    /// The proxy through which it requests `url`.
    pub(super) fn via(&self, url: &Url) -> Option<Via> {
        self.proxies.as_ref()?.via(url)
    }

    /// Sends `request` on a fresh connection, told to `hop`.
    pub(super) fn send(&self, request: Request, hop: &Arc<Hop>) -> reqwest::Result<Response> {
        self.next.set(Arc::clone(hop));
        self.client.execute(request)
    }
}
