//! Checks a site: requests it as a new visitor would, and tells what came of it.
//!
//! A check never fails as such: an outage is data. It follows redirects by hand within one deadline (`visit`), each
//! hop on a fresh connection that tells how far it got (`hop`), and the judgement comes last (`judge`). When several
//! things are wrong, the first of these is told: what ended the visit, or the status when there was an answer; then
//! the body, the certificate, the time.

mod body;
mod certificate;
mod clients;
mod connector;
mod deny;
mod dial;
mod dns;
mod failure;
mod findings;
mod handshake;
mod hop;
mod judge;
mod nameserver;
mod redirect;
mod resolver;
mod tcp;
mod timings;
mod tls_probe;
mod transport;
mod trust;
mod visit;
mod words;

use std::time::Instant;

use isitup_shared::event::{Check, Outcome};
use isitup_shared::time::UtcTime;
use url::Url;

use crate::site::Site;
use crate::target::{Address, Endpoint};
use body::Buffers;
use clients::Clients;
use findings::Findings;

pub use transport::{HttpVersion, Identity, IdentityError, Proxy, TlsOptions, Transport};
pub use trust::{OwnCa, Trust, TrustError};

/// Checks sites one after the other. Each worker thread has its own, so that nothing is shared on the way and the
/// phases are exact.
///
/// Never make, use or drop one inside of an async runtime.
#[derive(Debug)]
pub struct Checker {
    clients: Clients,
    buffers: Buffers,
}

impl Checker {
    /// A checker that trusts `trust`. It starts its threads with the first check.
    pub fn new(trust: &Trust) -> Self {
        Self { clients: Clients::new(trust), buffers: Buffers::default() }
    }

    /// Checks `site` for the slot `scheduled_at`.
    ///
    /// Whatever the site does, it ends as a [`Check`]. A panic can only be a defect of ours; it is left to the worker,
    /// which knows better than to call the site down for it, and which then makes a new checker.
    pub fn check(&mut self, site: &Site, scheduled_at: UtcTime) -> Check {
        let resolver = &self.clients.trust.resolver;
        let (started_at, began, mut found) = match &site.endpoint {
            Endpoint::Http(url) => self.http(site, url),
            Endpoint::Tcp(address) => timed(|began| tcp::probe(site, address, resolver, began)),
            Endpoint::Tls(address) => self.tls(site, address),
            Endpoint::Dns(question) => timed(|began| dns::probe(site, question, resolver, began)),
        };
        found.total = began.elapsed();
        report(site, found, scheduled_at, started_at)
    }

    fn http(&mut self, site: &Site, url: &Url) -> (UtcTime, Instant, Findings) {
        let transport = &site.settings.transport;
        // Before the clock starts: a client that must be made first is no part of the site's time.
        let client = self.clients.get(transport);
        let (started_at, began) = (UtcTime::now(), Instant::now());
        let found = match client {
            Ok(client) => {
                let (found, is_client_suspect) = visit::visit(client, site, url, began, &mut self.buffers);
                if is_client_suspect {
                    self.clients.discard(transport);
                }
                found
            }
            Err(reason) => Findings::impossible(reason),
        };
        (started_at, began, found)
    }

    fn tls(&self, site: &Site, address: &Address) -> (UtcTime, Instant, Findings) {
        let trust = &self.clients.trust;
        let config = trust.config_for(&site.settings.transport);
        timed(|began| match config {
            Ok(config) => tls_probe::probe(site, address, config, &trust.resolver, began),
            Err(error) => Findings::impossible(error.to_string()),
        })
    }
}

/// When `probe` began, and what it found.
fn timed(probe: impl FnOnce(Instant) -> Findings) -> (UtcTime, Instant, Findings) {
    let (started_at, began) = (UtcTime::now(), Instant::now());
    (started_at, began, probe(began))
}

fn report(site: &Site, mut found: Findings, scheduled_at: UtcTime, started_at: UtcTime) -> Check {
    let failure = found.failure.take().or_else(|| judge::judge(&site.settings.expect, &found, started_at));
    Check {
        group: site.settings.group.as_deref().map(str::to_owned),
        started_at,
        // Measured by the monotonic clock: a step of the wall clock must not make a check end before it began.
        finished_at: started_at.after(found.total),
        outcome: failure.map_or(Outcome::Up, |failure| Outcome::Down { failure }),
        status: found.status,
        body_matched: found.body_matched,
        body_bytes: found.body_bytes,
        http_version: found.http_version.map(str::to_owned),
        remote_addr: found.remote_addr.map(|address| address.to_string()),
        final_url: found.final_url,
        redirects: found.redirects,
        timings_us: found.phases.with_total(found.total),
        hops: found.hops,
        certificate_expires_at: found.certificate.map(|certificate| certificate.expires_at),
        dns_code: found.dns_code,
        config_hash: site.config_hash.to_string(),
        ..Check::up(&*site.name, &*site.shown_url, scheduled_at)
    }
}
