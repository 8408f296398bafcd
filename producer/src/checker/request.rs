//! What is sent to which origin: what is configured for a site goes to the site's own, and nowhere else.

use std::borrow::Cow;
use std::time::Duration;

use reqwest::blocking::Request;
use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, COOKIE, HOST, HeaderMap,
    HeaderName, HeaderValue,
};
use reqwest::{Method, Url};

use crate::site::{Route, Site, TlsOptions, Transport};

const OF_BODY: [HeaderName; 4] = [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE];

/// A request of a visit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hopping<'a> {
    pub(super) method: Method,
    pub(super) url: Cow<'a, Url>,
    /// Whether the body goes with it.
    pub(super) has_body: bool,
    /// What was given along with redirects for where it goes.
    pub(super) cookies: Option<HeaderValue>,
}

impl Hopping<'_> {
    /// The request for `site`, whose own origin it goes to where `is_home`. All of it, the answer's body too, may take
    /// `timeout`.
    pub(super) fn made_for(&self, site: &Site, is_home: bool, timeout: Duration) -> Request {
        let mut request = Request::new(self.method.clone(), Url::clone(&self.url));
        *request.timeout_mut() = Some(timeout);
        if is_home {
            self.add_own(site, &mut request);
        }
        if let Some(given) = &self.cookies {
            add_cookies(request.headers_mut(), given);
        }
        request
    }

    /// Adds what is configured for `site`.
    fn add_own(&self, site: &Site, request: &mut Request) {
        let settings = &site.settings;
        request.headers_mut().clone_from(&settings.request.headers);
        // What is configured goes before what the URL says, where settings for many sites meet a URL of one.
        if let Some(authorization) = &site.authorization
            && !settings.request.headers.contains_key(AUTHORIZATION)
        {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        match &settings.request.body {
            Some(body) if self.has_body => *request.body_mut() = Some(body.expose().to_owned().into()),
            // Headers that describe a body go where it goes.
            Some(_) => OF_BODY.iter().for_each(|name| drop(request.headers_mut().remove(name))),
            None => {}
        }
        if let Some(port) = settings.route.connect_to.and_then(|to| to.port) {
            // The port of the URL is that which is connected to; the site is asked by the name that it has.
            if !settings.request.headers.contains_key(HOST)
                && let Ok(host) = HeaderValue::from_str(&authority(&self.url))
            {
                request.headers_mut().insert(HOST, host);
            }
            let _ = request.url_mut().set_port(Some(port));
        }
    }
}

/// Adds those that were `given` to those that are configured.
fn add_cookies(headers: &mut HeaderMap, given: &HeaderValue) {
    let both = headers.get(COOKIE).map(|own| [own.as_bytes(), b"; ", given.as_bytes()].concat());
    let all = both.map_or(Ok(given.clone()), |both| HeaderValue::from_bytes(&both));
    if let Ok(mut all) = all {
        all.set_sensitive(true);
        headers.insert(COOKIE, all);
    }
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether what is configured for a site at one URL may go to the other: scheme, host and port are the same.
pub(super) fn is_same_origin(one: &Url, other: &Url) -> bool {
    // As `Url::origin` has it, which would copy both hosts for each check.
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// What of a request must not leave the site's own origin: its body, and any method that may change something there.
pub(super) fn kept_at_home(method: &Method, has_body: bool) -> Option<Cow<'static, str>> {
    if has_body {
        return Some("the body".into());
    }
    let is_reading = *method == Method::GET || *method == Method::HEAD;
    (!is_reading).then(|| format!("a {method} request").into())
}

/// What connections are made of: elsewhere without the client's certificate.
pub(super) fn transport(site: &Site, is_home: bool) -> Cow<'_, Transport> {
    let transport = &site.settings.transport;
    if is_home || transport.tls.identity.is_none() {
        return Cow::Borrowed(transport);
    }
    let tls = TlsOptions { identity: None, ..transport.tls.clone() };
    Cow::Owned(Transport::new(transport.http_version, tls, transport.proxy.clone()))
}

/// Where connections are made to.
pub(super) fn route(site: &Site, is_home: bool) -> Route {
    let route = site.settings.route;
    if is_home { route } else { Route { connect_to: None, ..route } }
}
