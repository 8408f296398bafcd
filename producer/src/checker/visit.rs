//! One visit to a site: hop by hop along its redirects, then the body, all within one deadline.

use std::borrow::Cow;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isitup_shared::event::{FailureKind, HopReport};
use reqwest::blocking::Response;
use reqwest::cookie::{CookieStore, Jar};
use reqwest::header::{CONTENT_TYPE, HeaderValue, LOCATION, SET_COOKIE};
use reqwest::{StatusCode, Url, Version};

use super::answer;
use super::body::{Buffers, Unread};
use super::certificate::Certificate;
use super::clients::Clients;
use super::failure::{self, Step};
use super::findings::Findings;
use super::hop::{Hop, Phase, Reached};
use super::judge::Judging;
use super::redirect;
use super::request::{self, Hopping};
use super::timings::Phases;
use super::via::{Via, ViaKind};
use super::words;
use crate::site::Site;

/// A visit under way.
struct Visit<'a> {
    site: &'a Site,
    /// The site's own URL.
    home: &'a Url,
    /// What is requested next, or was requested last.
    request: Hopping<'a>,
    /// What was requested before, to tell loops.
    trail: Vec<Hopping<'a>>,
    /// What the site gave along with redirects, to be shown where they lead, as a visitor's browser does it. Sites that
    /// want to see whether there is one send their visitors back to where they were.
    cookies: Option<Jar>,
    deadline: Instant,
    found: Findings,
    /// The phases of the last hop, and when it began.
    hop: Phases,
    hop_began: Instant,
    /// The client may still be about to connect for this visit.
    is_client_suspect: bool,
}

/// Visits `site` at `url`; the visit `began` just now. Gives what it found.
pub(super) fn visit(
    clients: &mut Clients,
    site: &Site,
    url: &Url,
    began: Instant,
    buffers: &mut Buffers,
    judging: &mut Judging<'_>,
) -> Findings {
    let request = &site.settings.request;
    let mut visit = Visit {
        site,
        home: url,
        request: Hopping {
            method: request.method.clone(),
            url: Cow::Borrowed(url),
            has_body: request.body.is_some(),
            cookies: None,
        },
        trail: Vec::new(),
        cookies: None,
        deadline: began + site.settings.timeout,
        found: Findings::default(),
        hop: Phases::default(),
        hop_began: began,
        is_client_suspect: false,
    };
    if let Some(response) = visit.follow(clients) {
        visit.read(response, buffers, judging);
    }
    visit.end_hop();
    if visit.found.redirects > 0 {
        visit.report_hop();
        visit.found.final_url = Some(visit.request.url.as_str().into());
    }
    visit.found
}

impl Visit<'_> {
    /// Requests the site's URL and follows redirects to the answer that counts.
    fn follow(&mut self, clients: &mut Clients) -> Option<Response> {
        let redirects = self.site.settings.redirects;
        loop {
            let response = self.hop(clients)?;
            let status = response.status();
            if status == StatusCode::SWITCHING_PROTOCOLS {
                self.found.fail(FailureKind::Protocol, "the server switched to another protocol (status 101)");
                return None;
            }
            let is_expected = self.site.settings.expect.status.contains(status.as_u16());
            if redirects.most == 0 || is_expected || !redirect::is_redirect(status.as_u16()) {
                return Some(response);
            }
            if let Err(detail) = self.redirect(&response) {
                self.found.fail(FailureKind::Redirect, detail);
                return None;
            }
        }
    }

    /// Makes the next request that which `response` leads to; else what is wrong with that.
    fn redirect(&mut self, response: &Response) -> Result<(), String> {
        let (most, status) = (self.site.settings.redirects.most, response.status().as_u16());
        let from = &self.request;
        let url = redirect::target(&from.url, status, response.headers().get(LOCATION))?;
        if self.site.settings.redirects.forbid_downgrade && from.url.scheme() == "https" && url.scheme() == "http" {
            return Err(format!("redirected from https to {}", words::short(url.as_str())));
        }
        let (method, has_body) = redirect::method(status, &from.method, from.has_body);
        if !request::is_same_origin(&url, self.home)
            && let Some(what) = request::kept_at_home(&method, has_body)
        {
            let shown = words::short(url.as_str());
            return Err(format!("status {status} would send {what} to another origin: {shown}"));
        }
        let cookies = self.cookies_for(&url, response);
        let next = Hopping { method, url: Cow::Owned(url), has_body, cookies };
        if let Some(detail) = self.looped(&next) {
            return Err(detail);
        }
        if self.found.redirects == most {
            let shown = words::short(next.url.as_str());
            let s = if most == 1 { "" } else { "s" };
            return Err(format!("more than {most} redirect{s}, now to {shown}"));
        }
        self.end_hop();
        self.report_hop();
        // Of the next answer, should there be one.
        (self.found.status, self.found.http_version, self.found.remote_addr) = (None, None, None);
        self.found.redirects += 1;
        self.hop_began = Instant::now();
        self.trail.push(mem::replace(&mut self.request, next));
        Ok(())
    }

    /// What is told when `next` was requested before.
    fn looped(&self, next: &Hopping<'_>) -> Option<String> {
        let shown = || words::short(next.url.as_str());
        if self.request == *next {
            return Some(format!("{} redirects to itself", shown()));
        }
        let steps = self.trail.iter().rev().position(|asked| asked == next)? + 2;
        Some(format!("{} redirects back to itself after {steps} redirects", shown()))
    }

    /// Keeps the cookies that `response` gives, and tells which of all go to `url`.
    fn cookies_for(&mut self, url: &Url, response: &Response) -> Option<HeaderValue> {
        // What a hostile site piles up is not carried; browsers have limits too.
        const MOST: usize = 16 * 1024;
        if response.headers().contains_key(SET_COOKIE) {
            let given = response.headers().get_all(SET_COOKIE);
            self.cookies.get_or_insert_default().set_cookies(&mut given.iter(), &self.request.url);
        }
        self.cookies.as_ref()?.cookies(url).filter(|cookies| cookies.len() <= MOST)
    }

    /// The time that is left for the next request; `None` where it must not be made.
    fn time_left(&mut self, clients: &Clients) -> Option<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // Only redirects can have used it up.
            let detail = format!("redirects did not end within {}", words::duration(self.site.settings.timeout));
            self.found.fail(FailureKind::Timeout, detail);
            return None;
        }
        let is_home = request::is_same_origin(&self.request.url, self.home);
        let (route, resolver) = (request::route(self.site, is_home), clients.resolver());
        if let Some(refusal) =
            failure::literal(&self.request.url).and_then(|address| resolver.literal_refusal(address, route))
        {
            self.found.fail(failure::of_address(self.found.redirects > 0), refusal);
            return None;
        }
        Some(left)
    }

    /// One request, until the head of its answer.
    fn hop(&mut self, clients: &mut Clients) -> Option<Response> {
        let left = self.time_left(clients)?;
        let is_home = request::is_same_origin(&self.request.url, self.home);
        let transport = request::transport(self.site, is_home);
        let client = match clients.get(&transport) {
            Ok(client) => client,
            Err(reason) => {
                self.found.impossible_now(reason);
                return None;
            }
        };
        let via = client.via(&self.request.url);
        let route = request::route(self.site, is_home);
        let hop = Arc::new(Hop::new(route, self.deadline));
        if via.as_ref().is_some_and(|via| via.kind == ViaKind::Https) {
            hop.reached().foreign_handshakes = 1;
        }
        let answer = client.send(self.request.made_for(self.site, is_home, left), &hop);
        let reached = mem::take(&mut *hop.reached());
        self.hop.add(&reached, Instant::now());
        if !reached.chain.is_empty() {
            self.found.certificate = Certificate::of_chain(&reached.chain);
        }
        match answer {
            Ok(response) => {
                self.found.remote_addr = response.remote_addr();
                self.answered(response, via.as_ref())
            }
            Err(error) => {
                self.unanswered(&error, &reached, route.connect_to.and_then(|to| to.port), via.as_ref());
                if self.is_client_suspect {
                    clients.discard(&transport);
                }
                None
            }
        }
    }

    /// Takes note of the head of an answer; `None` where it is none that the site gave.
    fn answered(&mut self, mut response: Response, via: Option<&Via>) -> Option<Response> {
        if response.version() == Version::HTTP_09 {
            self.found.fail(FailureKind::Protocol, failure::of_garbage(&mut response));
            return None;
        }
        // Only a proxy asks for such credentials; a tunnel's are asked for before there is an answer.
        if let Some(via) = via.filter(|via| via.is_http() && self.request.url.scheme() == "http")
            && response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED
        {
            self.found.fail(FailureKind::ConnectRefused, via.refusal());
            return None;
        }
        self.found.status = Some(response.status().as_u16());
        self.found.http_version = Some(answer::version(response.version()));
        Some(response)
    }

    /// Takes note of why there is no answer.
    fn unanswered(&mut self, error: &reqwest::Error, reached: &Reached, port: Option<u16>, via: Option<&Via>) {
        if via.is_none() {
            self.found.remote_addr = failure::sole_address(&self.request.url, port, reached);
        }
        let settings = &self.site.settings;
        let step = Step {
            url: &self.request.url,
            reached,
            timeout: settings.timeout,
            port,
            via,
            body_size: settings.request.body.as_ref().filter(|_| self.request.has_body).map(|body| body.expose().len()),
            is_redirected: self.found.redirects > 0,
        };
        let failure = failure::of_request(error, &step, self.found.certificate.as_ref());
        self.found.prober_fault = failure::is_of_prober(error, &step).then(|| failure.detail.clone());
        self.is_client_suspect = reached.phase() == Phase::Waiting && error.is_timeout();
        self.found.failed(failure);
    }

    fn read(&mut self, mut response: Response, buffers: &mut Buffers, judging: &mut Judging<'_>) {
        let (settings, began) = (&self.site.settings, Instant::now());
        let expect = &settings.expect;
        self.found.judge_head(expect, response.status().as_u16(), response.headers(), judging);
        let content_type = response.headers().get(CONTENT_TYPE).cloned();
        let is_kept = expect.body.is_some() || expect.body_not.is_some() || !expect.json.is_empty();
        let (size, end) = buffers.read(&mut response, settings.max_body_size, self.deadline, is_kept);
        self.hop.body = Some(began.elapsed());
        self.found.body_bytes = Some(size);
        match end {
            Err(unread) if !(answer::is_ended_by_connection(&response) && failure::is_without_farewell(&unread)) => {
                let failure = failure::of_body(&unread, settings.max_body_size, settings.timeout);
                self.found.prober_fault = matches!(unread, Unread::NoMemory).then(|| failure.detail.clone());
                self.found.failed(failure);
            }
            Ok(()) | Err(_) => {
                if is_kept {
                    self.found.judge_text(expect, &buffers.text(content_type.as_ref()), judging);
                }
            }
        }
        buffers.shrink();
    }

    /// Adds the phases of the hop that ended to those of the visit.
    fn end_hop(&mut self) {
        self.found.phases.merge(&self.hop);
    }

    /// Keeps the hop that ended for the report, and forgets its phases.
    fn report_hop(&mut self) {
        self.found.hops.push_or_replace_last(HopReport {
            url: self.request.url.as_str().into(),
            status: self.found.status,
            remote_addr: self.found.remote_addr.map(|address| address.to_string().into()),
            timings_us: mem::take(&mut self.hop).with_total(self.hop_began.elapsed()),
        });
    }
}
