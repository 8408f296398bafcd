//! Checks a site: requests it as a new visitor would, and tells what came of it.
//!
//! A check never fails as such: an outage is data. It follows redirects by hand within one deadline (`visit`), each
//! hop on a fresh connection that tells how far it got (`hop`), and the judgement comes last (`judge`). When several
//! things are wrong, the first of these is the failure, and the others are told beside it: the status when there was an
//! answer, or else what ended the visit; then the body, headers, JSON, the certificate, the time.

mod body;
mod certificate;
mod clients;
mod connector;
mod failure;
mod findings;
mod handshake;
mod hop;
mod judge;
mod redirect;
mod resolver;
mod timings;
mod transport;
mod trust;
mod visit;
mod words;

use std::time::Instant;

use isitup_shared::event::{Check, Outcome};
use isitup_shared::time::UtcTime;
use url::Url;

use crate::site::Site;
use crate::target::Endpoint;
use body::Buffers;
use clients::Clients;
use findings::Findings;

pub use judge::verdict::{Examination, Verdict};
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
        let (started_at, found) = self.find(site);
        report(site, found, scheduled_at, started_at)
    }

    /// Checks `site` for the slot `scheduled_at`, and tells how it met each expectation.
    pub fn examine(&mut self, site: &Site, scheduled_at: UtcTime) -> Examination {
        let (started_at, found) = self.find(site);
        let verdicts = judge::verdict::verdicts(site, &found);
        Examination { check: report(site, found, scheduled_at, started_at), verdicts }
    }

    /// What is found at `site`, judged, and when it began.
    fn find(&mut self, site: &Site) -> (UtcTime, Findings) {
        let (started_at, began, mut found) = match &site.endpoint {
            Endpoint::Http(url) => self.http(site, url),
            Endpoint::Tcp(_) | Endpoint::Tls(_) | Endpoint::Dns(_) => {
                (UtcTime::now(), Instant::now(), Findings::impossible("not implemented".into()))
            }
        };
        found.total = began.elapsed();
        // What ended before its time is not held against what was expected of the end.
        if found.failure.is_none() {
            judge::end(&site.settings.expect, &mut found, started_at);
        }
        (started_at, found)
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
}

fn report(site: &Site, found: Findings, scheduled_at: UtcTime, started_at: UtcTime) -> Check {
    // An unexpected status says more than what then became of its page.
    let mut failures = found.unmet.into_iter().map(|(_, failure)| failure).chain(found.failure);
    let failure = failures.next();
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
        further_failures: failures.collect(),
        certificate_expires_at: found.certificate.as_ref().map(|certificate| certificate.expires_at),
        dns_code: found.dns_code,
        prober_fault: found.prober_fault,
        config_hash: site.config_hash.to_string(),
        ..Check::up(&*site.name, &*site.shown_url, scheduled_at)
    }
}
