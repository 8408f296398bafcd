//! One visit to a site: hop by hop along its redirects, then the body, all within one deadline.

use std::borrow::Cow;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use isitup_shared::event::{Failure, FailureKind};
use reqwest::blocking::Response;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{StatusCode, Url, Version};

use super::body::{Buffers, Unread};
use super::certificate::Certificate;
use super::clients::HopClient;
use super::failure::{self, Step};
use super::hop::{Hop, Phase, Reached};
use super::redirect;
use super::timings::Phases;
use super::words;
use crate::site::Site;

/// What a visit met.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    /// The URL requested last.
    pub(super) url: Cow<'a, Url>,
    pub(super) redirects: u32,
    pub(super) status: Option<u16>,
    pub(super) http_version: Option<&'static str>,
    pub(super) remote_addr: Option<SocketAddr>,
    /// That of the last TLS connection.
    pub(super) certificate: Option<Certificate>,
    pub(super) body_bytes: Option<u64>,
    pub(super) body_matched: Option<bool>,
    pub(super) phases: Phases,
    pub(super) total: Duration,
    /// What ended the visit before its time.
    pub(super) failure: Option<Failure>,
    /// The client may still be about to connect for this visit.
    pub(super) is_client_suspect: bool,
}

/// Visits `site` with `client`; the visit `began` just now.
pub(super) fn visit<'a>(client: &HopClient, site: &'a Site, began: Instant, buffers: &mut Buffers) -> Visit<'a> {
    let mut visit = Visit::new(site);
    let deadline = began + site.timeout;
    if let Some(response) = visit.follow(client, site, deadline) {
        visit.read(response, site, deadline, buffers);
    }
    visit.total = began.elapsed();
    visit
}

impl<'a> Visit<'a> {
    fn new(site: &'a Site) -> Self {
        Self {
            url: Cow::Borrowed(&site.url),
            redirects: 0,
            status: None,
            http_version: None,
            remote_addr: None,
            certificate: None,
            body_bytes: None,
            body_matched: None,
            phases: Phases::default(),
            total: Duration::ZERO,
            failure: None,
            is_client_suspect: false,
        }
    }

    /// A visit that this machine could not even begin.
    pub(super) fn impossible(site: &'a Site, began: Instant, reason: String) -> Self {
        let failure = Some(Failure { kind: FailureKind::ConnectRefused, detail: reason });
        Self { failure, total: began.elapsed(), ..Self::new(site) }
    }

    fn fail(&mut self, kind: FailureKind, detail: impl Into<String>) {
        self.failure = Some(Failure { kind, detail: detail.into() });
    }

    /// Requests the site's URL and follows redirects to the answer that counts.
    fn follow(&mut self, client: &HopClient, site: &Site, deadline: Instant) -> Option<Response> {
        loop {
            let response = self.hop(client, site, deadline)?;
            let status = response.status();
            if status == StatusCode::SWITCHING_PROTOCOLS {
                self.fail(FailureKind::Protocol, "the server switched to another protocol (status 101)");
                return None;
            }
            if !redirect::is_redirect(status.as_u16()) || site.expect.status.contains(status.as_u16()) {
                return Some(response);
            }
            match redirect::target(&self.url, status.as_u16(), response.headers().get(LOCATION)) {
                Ok(url) if self.redirects == redirect::MOST => {
                    let shown = words::short(url.as_str());
                    self.fail(FailureKind::Redirect, format!("more than {} redirects, now to {shown}", redirect::MOST));
                    return None;
                }
                Ok(url) => {
                    self.redirects += 1;
                    self.url = Cow::Owned(url);
                }
                Err(detail) => {
                    self.fail(FailureKind::Redirect, detail);
                    return None;
                }
            }
        }
    }

    /// One request, until the head of its answer.
    fn hop(&mut self, client: &HopClient, site: &Site, deadline: Instant) -> Option<Response> {
        let hop = Arc::new(Hop::default());
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // Only redirects can have used it up.
            let detail = format!("redirects did not end within {}", words::duration(site.timeout));
            self.fail(FailureKind::Timeout, detail);
            return None;
        }
        // Headers and credentials go to the origin they were given for, and to no other.
        let headers = (self.url.origin() == site.url.origin()).then_some(&site.headers);
        let answer = client.get(&self.url, headers, left, &hop);
        let reached = mem::take(&mut *hop.reached());
        self.phases.add(&reached, Instant::now());
        if let Some(certificate) = &reached.certificate {
            self.certificate = Certificate::read(certificate);
        }
        match answer {
            Ok(response) => {
                self.status = Some(response.status().as_u16());
                self.http_version = Some(version(response.version()));
                self.remote_addr = response.remote_addr();
                Some(response)
            }
            Err(error) => {
                self.remote_addr = sole_address(&self.url, &reached);
                let step = Step { url: &self.url, reached: &reached, timeout: site.timeout };
                self.failure = Some(failure::of_request(&error, &step, self.certificate, self.redirects > 0));
                self.is_client_suspect = reached.phase() == Phase::Waiting && error.is_timeout();
                None
            }
        }
    }

    fn read(&mut self, mut response: Response, site: &Site, deadline: Instant, buffers: &mut Buffers) {
        let began = Instant::now();
        let content_type = response.headers().get(CONTENT_TYPE).cloned();
        let pattern = site.expect.body.as_ref();
        let (size, end) = buffers.read(&mut response, site.max_body_size, deadline, pattern.is_some());
        self.phases.body = Some(began.elapsed());
        self.body_bytes = Some(size);
        if let Err(unread) = end {
            // An unexpected status says more than what then became of its page.
            if self.status.is_some_and(|status| site.expect.status.contains(status)) {
                self.failure = Some(failure::of_body(&unread, site.max_body_size, site.timeout));
            }
            // What was read of it is no body to be judged.
            if matches!(unread, Unread::TooLarge) {
                buffers.shrink();
            }
            return;
        }
        self.body_matched = pattern.map(|pattern| pattern.is_in(&buffers.text(content_type.as_ref())));
        buffers.shrink();
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

/// The address that was connected to when there was no answer to tell it: known where there was but one to choose from.
fn sole_address(url: &Url, reached: &Reached) -> Option<SocketAddr> {
    if reached.phase() < Phase::Tls {
        return None;
    }
    match failure::addresses(url, reached).as_slice() {
        [sole] => Some(*sole),
        _ => None,
    }
}

/// The address that a URL names by itself.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        url::Host::Ipv4(address) => Some(address.into()),
        url::Host::Ipv6(address) => Some(address.into()),
        url::Host::Domain(_) => None,
    }
}
