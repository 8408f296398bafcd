//! One visit to a site: hop by hop along its redirects, then the body, all within one deadline.

use std::borrow::Cow;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use isitup_shared::event::FailureKind;
use reqwest::blocking::Response;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{StatusCode, Url, Version};

use super::body::Buffers;
use super::certificate::Certificate;
use super::clients::HopClient;
use super::failure::{self, Step};
use super::findings::Findings;
use super::hop::{Hop, Phase, Reached};
use super::judge;
use super::redirect;
use super::words;
use crate::site::Site;

/// A visit under way.
#[derive(Debug)]
struct Visit<'a> {
    site: &'a Site,
    /// The site's own URL.
    home: &'a Url,
    /// The URL requested last.
    url: Cow<'a, Url>,
    deadline: Instant,
    found: Findings,
    /// The client may still be about to connect for this visit.
    is_client_suspect: bool,
}

/// Visits `site` at `url` with `client`; the visit `began` just now. Gives what it found, and whether the client must be
/// thrown away, since it may still be about to connect.
pub(super) fn visit(
    client: &HopClient,
    site: &Site,
    url: &Url,
    began: Instant,
    buffers: &mut Buffers,
) -> (Findings, bool) {
    let mut visit = Visit {
        site,
        home: url,
        url: Cow::Borrowed(url),
        deadline: began + site.settings.timeout,
        found: Findings::default(),
        is_client_suspect: false,
    };
    if let Some(response) = visit.follow(client) {
        visit.read(response, buffers);
    }
    visit.found.final_url = (visit.found.redirects > 0).then(|| visit.url.to_string());
    (visit.found, visit.is_client_suspect)
}

impl Visit<'_> {
    /// Requests the site's URL and follows redirects to the answer that counts.
    fn follow(&mut self, client: &HopClient) -> Option<Response> {
        loop {
            let response = self.hop(client)?;
            let status = response.status();
            if status == StatusCode::SWITCHING_PROTOCOLS {
                self.found.fail(FailureKind::Protocol, "the server switched to another protocol (status 101)");
                return None;
            }
            if !redirect::is_redirect(status.as_u16()) || self.site.settings.expect.status.contains(status.as_u16()) {
                return Some(response);
            }
            match redirect::target(&self.url, status.as_u16(), response.headers().get(LOCATION)) {
                Ok(url) if self.found.redirects == redirect::MOST => {
                    let shown = words::short(url.as_str());
                    self.found
                        .fail(FailureKind::Redirect, format!("more than {} redirects, now to {shown}", redirect::MOST));
                    return None;
                }
                Ok(url) => {
                    self.found.redirects += 1;
                    self.url = Cow::Owned(url);
                }
                Err(detail) => {
                    self.found.fail(FailureKind::Redirect, detail);
                    return None;
                }
            }
        }
    }

    /// One request, until the head of its answer.
    fn hop(&mut self, client: &HopClient) -> Option<Response> {
        let hop = Arc::new(Hop::default());
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // Only redirects can have used it up.
            let detail = format!("redirects did not end within {}", words::duration(self.site.settings.timeout));
            self.found.fail(FailureKind::Timeout, detail);
            return None;
        }
        // Headers and credentials go to the origin they were given for, and to no other.
        let site = (self.url.origin() == self.home.origin()).then_some(self.site);
        let answer = client.get(&self.url, site, left, &hop);
        let reached = mem::take(&mut *hop.reached());
        self.found.phases.add(&reached, Instant::now());
        if let Some(certificate) = &reached.certificate {
            self.found.certificate = Certificate::read(certificate);
        }
        match answer {
            Ok(response) => {
                self.found.status = Some(response.status().as_u16());
                self.found.http_version = Some(version(response.version()));
                self.found.remote_addr = response.remote_addr();
                Some(response)
            }
            Err(error) => {
                self.found.remote_addr = sole_address(&self.url, &reached);
                let step = Step { url: &self.url, reached: &reached, timeout: self.site.settings.timeout };
                self.found.failure =
                    Some(failure::of_request(&error, &step, self.found.certificate.as_ref(), self.found.redirects > 0));
                self.is_client_suspect = reached.phase() == Phase::Waiting && error.is_timeout();
                None
            }
        }
    }

    /// Reads the body of the answer that counts, and judges the answer.
    fn read(&mut self, mut response: Response, buffers: &mut Buffers) {
        let settings = &self.site.settings;
        let expect = &settings.expect;
        let began = Instant::now();
        let wants_text = judge::wants_text(expect);
        let (size, end) = buffers.read(&mut response, settings.max_body_size, self.deadline, wants_text);
        self.found.phases.body = Some(began.elapsed());
        self.found.body_bytes = Some(size);
        self.found.is_answered = true;
        judge::status(expect, &mut self.found);
        match end {
            Ok(()) if wants_text => {
                let text = buffers.text(response.headers().get(CONTENT_TYPE));
                judge::text(expect, &text, &mut self.found);
                judge::headers(expect, response.headers(), &mut self.found);
                judge::json(expect, &text, &mut self.found);
            }
            Ok(()) => judge::headers(expect, response.headers(), &mut self.found),
            // What was read of it is no body to be judged.
            Err(unread) => {
                self.found.failure = Some(failure::of_body(&unread, settings.max_body_size, settings.timeout));
            }
        }
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
