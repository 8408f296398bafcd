//! Checks a site: requests it as a new visitor would, and tells what came of it.
//!
//! A check never fails as such: an outage is data. It follows redirects by hand within one deadline (`visit`), each
//! hop on a fresh connection that tells how far it got (`hop`). What was found is held against what is expected
//! (`judge`); when several things are wrong, all of them are told.

mod answer;
mod body;
pub(crate) mod certificate;
mod clients;
mod connector;
mod dial;
mod dns;
mod failure;
mod findings;
mod handshake;
mod hop;
mod json;
mod judge;
mod lookup;
mod lookups;
mod nameserver;
mod redirect;
mod request;
mod resolver;
mod tcp;
mod timings;
mod tls;
mod trust;
mod via;
mod visit;
mod words;

use std::time::Instant;

use isitup_shared::event::{Check, Label, Name, Outcome};
use isitup_shared::time::UtcTime;

use crate::endpoint::Endpoint;
use crate::site::{Searches, Site};
use body::Buffers;
use clients::Clients;
use dial::Dial;
use findings::Findings;
use judge::Judging;

pub use crate::site::{HttpVersion, Identity, OwnCa, Proxy, TlsOptions, Transport};
pub use judge::Verdict;
pub use trust::{Trust, TrustError};

/// Checks sites one after the other. Each worker thread has its own, so that nothing is shared on the way and the
/// phases are exact.
///
/// Never make, use or drop one inside of an async runtime.
#[derive(Debug)]
pub struct Checker {
    clients: Clients,
    buffers: Buffers,
    searches: Searches,
}

impl Checker {
    /// A checker that trusts `trust`. It starts its threads with the first check.
    pub fn new(trust: &Trust) -> Self {
        Self { clients: Clients::new(trust), buffers: Buffers::new(&trust.bodies), searches: Searches::default() }
    }

    /// Checks `site` for the slot `scheduled_at`.
    ///
    /// Whatever the site does, it ends as a [`Check`]. A panic can only be a defect of ours; it is left to the worker,
    /// which knows better than to call the site down for it, and which then makes a new checker.
    pub fn check(&mut self, site: &Site, scheduled_at: UtcTime) -> Check {
        let (mut found, started_at) = self.find(site);
        report(site, &mut found, scheduled_at, started_at)
    }

    /// Checks `site` now, and tells of each expectation what came of it.
    pub fn examine(&mut self, site: &Site) -> Examination {
        let (mut found, started_at) = self.find(site);
        let check = report(site, &mut found, started_at, started_at);
        let verdicts = judge::verdicts(site.endpoint.kind(), &site.settings.expect, &found);
        Examination { check, verdicts }
    }

    fn find(&mut self, site: &Site) -> (Findings, UtcTime) {
        if matches!(site.endpoint, Endpoint::Http(_)) {
            // Before the clock starts: a client that must be made first is no part of the site's time.
            let _ = self.clients.get(&site.settings.transport);
        }
        let (started_at, began) = (UtcTime::now(), Instant::now());
        let (timeout, searches) = (site.settings.timeout, &mut self.searches);
        let mut judging = Judging { deadline: began + timeout, timeout, searches };
        let mut found = match &site.endpoint {
            Endpoint::Http(url) => visit::visit(&mut self.clients, site, url, began, &mut self.buffers, &mut judging),
            Endpoint::Tcp(address) => tcp::probe(&dial(&self.clients, site, began), address, &mut judging),
            Endpoint::Tls(address) => match self.clients.tls_config(&site.settings.transport) {
                Ok(config) => tls::probe(&dial(&self.clients, site, began), address, config),
                Err(reason) => Findings::impossible(reason),
            },
            Endpoint::Dns(question) => dns::probe(&dial(&self.clients, site, began), question),
        };
        found.total = began.elapsed();
        found.judge_whole(&site.settings.expect, started_at);
        (found, started_at)
    }
}

fn dial<'a>(clients: &'a Clients, site: &'a Site, began: Instant) -> Dial<'a> {
    Dial { site, resolver: clients.resolver(), deadline: began + site.settings.timeout }
}

/// A check, and what came of each expectation.
#[derive(Clone, Debug)]
pub struct Examination {
    /// The check.
    pub check: Check,
    /// All that is expected of its site, in the order in which it is judged.
    pub verdicts: Vec<Verdict>,
}

fn report(site: &Site, found: &mut Findings, scheduled_at: UtcTime, started_at: UtcTime) -> Check {
    let mut failures = found.failures().into_iter();
    let outcome = failures.next().map_or(Outcome::Up, |failure| Outcome::Down { failure });
    let certificate = found.certificate.take();
    // A redirect may have led from a plain site to one that is encrypted.
    let insecure = site.settings.transport.tls.insecure && (site.endpoint.is_encrypted() || certificate.is_some());
    Check {
        group: site.settings.group.as_deref().map(Name::from),
        started_at,
        // Measured by the monotonic clock: a step of the wall clock must not make a check end before it began.
        finished_at: started_at.after(found.total),
        outcome,
        further_failures: judge::bounded(failures.collect()),
        status: found.status,
        body_matched: found.body_matched,
        body_bytes: found.body_bytes,
        http_version: found.http_version.map(Label::from),
        remote_addr: found.remote_addr.map(|address| address.to_string().into()),
        final_url: found.final_url.take(),
        redirects: found.redirects,
        timings_us: found.phases.with_total(found.total),
        hops: std::mem::take(&mut found.hops),
        certificate_expires_at: certificate.as_ref().map(|certificate| certificate.expires_at),
        certificate_subject: certificate.as_ref().map(|certificate| certificate.subject.clone()),
        certificate_issuer: certificate.map(|certificate| certificate.issuer),
        insecure,
        dns_code: found.dns_code.clone(),
        prober_fault: found.prober_fault.take(),
        config_hash: (&*site.config_hash).into(),
        ..Check::up(&*site.name, &*site.shown_url, scheduled_at)
    }
}
