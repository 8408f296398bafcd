//! The HTTP clients of one checker: one for what most sites have, and a few for sites that want something of their own.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::blocking::{Client, Request, Response};
use reqwest::header::AUTHORIZATION;
use reqwest::redirect::Policy;
use reqwest::{Method, Url, retry};

use super::connector::NextHop;
use super::hop::Hop;
use super::resolver::Resolver;
use super::transport::Transport;
use super::trust::Trust;
use crate::site::{Route, Site};

/// Clients of sites that want something of their own, as a checker keeps them; each has a thread and some 55 KiB.
const MOST_OWN: usize = 2;
/// As much as HTTP/1 allows for a head here; hyper's own bound for HTTP/2 is so low that well-known sites exceed it.
const MOST_HEADER_BYTES: u32 = 256 * 1024;
const USER_AGENT: &str = concat!("isitup/", env!("CARGO_PKG_VERSION"));

/// The clients of one checker, made when first needed.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) trust: Trust,
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
    resolver: Resolver,
    next: NextHop,
}

impl HopClient {
    fn new(trust: &Trust, transport: &Transport) -> Result<Self, String> {
        let next = NextHop::default();
        let config = trust.config_for(transport).map_err(|error| error.to_string())?;
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
        Ok(Self { client, resolver: trust.resolver.clone(), next })
    }

    /// Why an `address` that a URL names by itself may not be connected to by `route`; `None` where it may.
    pub(super) fn refusal(&self, address: IpAddr, route: Route) -> Option<String> {
        // While an address in a URL is not what `connect_to` stands in for, both must be allowed.
        let itself = Route { connect_to: None, ..route };
        self.resolver.literal_refusal(address, itself).or_else(|| self.resolver.literal_refusal(address, route))
    }

    /// Requests `url` on a fresh connection, told to `hop`; all of it, the body too, may take `timeout`. `site` is given
    /// where the URL is of the site's own origin: what is configured for it goes nowhere else.
    pub(super) fn get(
        &self,
        url: &Url,
        site: Option<&Site>,
        timeout: Duration,
        hop: &Arc<Hop>,
    ) -> reqwest::Result<Response> {
        self.next.set(Arc::clone(hop));
        let mut request = Request::new(Method::GET, url.clone());
        *request.timeout_mut() = Some(timeout);
        if let Some(site) = site {
            request.headers_mut().clone_from(&site.settings.request.headers);
            if let Some(authorization) = &site.authorization {
                request.headers_mut().insert(AUTHORIZATION, authorization.clone());
            }
        }
        self.client.execute(request)
    }
}
