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
mod failure;
mod handshake;
mod hop;
mod judge;
mod redirect;
mod resolver;
mod timings;
mod trust;
mod visit;
mod words;

use std::time::Instant;

use isitup_shared::event::{Check, Outcome};
use isitup_shared::time::UtcTime;

use crate::site::Site;
use body::Buffers;
use clients::Clients;
use visit::Visit;

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
        // Before the clock starts: a client that must be made first is no part of the site's time.
        let client = self.clients.get(site.ca.as_deref());
        let (started_at, began) = (UtcTime::now(), Instant::now());
        let visit = match client {
            Ok(client) => {
                let visit = visit::visit(client, site, began, &mut self.buffers);
                if visit.is_client_suspect {
                    self.clients.discard(site.ca.as_deref());
                }
                visit
            }
            Err(reason) => Visit::impossible(site, began, reason),
        };
        report(site, visit, scheduled_at, started_at)
    }
}

fn report(site: &Site, visit: Visit<'_>, scheduled_at: UtcTime, started_at: UtcTime) -> Check {
    let failure = visit.failure.clone().or_else(|| judge::judge(&site.expect, &visit, started_at));
    Check {
        group: site.group.clone(),
        started_at,
        // Measured by the monotonic clock: a step of the wall clock must not make a check end before it began.
        finished_at: started_at.after(visit.total),
        outcome: failure.map_or(Outcome::Up, |failure| Outcome::Down { failure }),
        status: visit.status,
        body_matched: visit.body_matched,
        body_bytes: visit.body_bytes,
        http_version: visit.http_version.map(str::to_owned),
        remote_addr: visit.remote_addr.map(|address| address.to_string()),
        final_url: (visit.redirects > 0).then(|| visit.url.to_string()),
        redirects: visit.redirects,
        timings_us: visit.phases.with_total(visit.total),
        certificate_expires_at: visit.certificate.map(|certificate| certificate.expires_at),
        config_hash: site.config_hash.clone(),
        ..Check::up(&*site.name, &*site.shown_url, scheduled_at)
    }
}
