//! A site: what is checked, how often, and what is expected of the answer. All of it is checked once, when it is
//! read, so that whoever holds a [`Site`] can use it as it stands.

pub mod endpoint;
mod expect;
pub mod label;
mod maintenance;
mod pattern;
mod request;
pub mod target;
mod transport;
mod typed;

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use crate::config::shown;
use endpoint::Endpoint;
use target::Target;

pub use expect::{DnsCode, DnsCodes, Expect, JsonExpectation, StatusRange, StatusSet};
pub use maintenance::{Weekly, Window};
pub use pattern::{Late, Pattern, Searches};
pub use request::{ConnectTo, IpFamily, Redirects, Request, Route};
pub(crate) use request::{FollowRedirects, MethodName, NameServer};
pub use transport::{HttpVersion, Identity, OwnCa, Proxy, TlsOptions, Transport};

/// A site that is checked.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its name: as configured, else [`Site::shown_url`]. The key of its events.
    pub name: Arc<str>,
    /// What is checked.
    pub endpoint: Endpoint,
    /// The URL as people may see it: without credentials.
    pub shown_url: Arc<str>,
    /// The credentials of the URL as a sensitive `Authorization` header, for its own origin and no other.
    pub authorization: Option<HeaderValue>,
    /// How it is checked; many sites share one.
    pub settings: Arc<SiteSettings>,
    /// Hash of all of this save the secrets: it changes when the settings do.
    pub config_hash: Arc<str>,
}

/// All settings of a site save its name and URL; also what stands under `defaults` and for a group.
#[derive(Clone, Debug)]
pub struct SiteSettings {
    /// Its group, where it has one.
    pub group: Option<Arc<str>>,
    /// How often it is checked.
    pub interval: Duration,
    /// How long a check may take, redirects and body included.
    pub timeout: Duration,
    /// How many bytes of the body are read, after decompression.
    pub max_body_size: u64,
    /// What is asked.
    pub request: Request,
    /// Which redirects are followed.
    pub redirects: Redirects,
    /// What connections are made of: TLS, proxy, HTTP version.
    pub transport: Arc<Transport>,
    /// Where connections are made to.
    pub route: Route,
    /// What is sent first (`tcp`).
    pub send: Option<Arc<str>>,
    /// What the answer must be.
    pub expect: Expect,
    /// How often a failure is looked at again before the site is called down.
    pub confirm: Confirm,
    /// When the site may be down.
    pub maintenance: Vec<Window>,
}

/// How a failure is looked at again before a site is called down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// How often; zero times means that the first failure counts.
    pub times: u32,
    /// The last try begins this long after the failure, at most.
    pub within: Duration,
}

impl Default for Confirm {
    fn default() -> Self {
        Self { times: 0, within: Duration::from_secs(5) }
    }
}

impl Default for SiteSettings {
    fn default() -> Self {
        Self {
            group: None,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
            max_body_size: 1 << 20,
            request: Request::default(),
            redirects: Redirects::default(),
            transport: Arc::default(),
            route: Route::default(),
            send: None,
            expect: Expect::default(),
            confirm: Confirm::default(),
            maintenance: Vec::new(),
        }
    }
}

impl Site {
    /// The site at `target`; without a `name` it is called by its URL.
    pub fn new(target: Target, name: Option<&str>, settings: Arc<SiteSettings>) -> Self {
        let Target { endpoint, shown, authorization } = target;
        let shown_url: Arc<str> = shown.into();
        let name = name.map_or_else(|| Arc::clone(&shown_url), Into::into);
        let mut site = Self { name, endpoint, shown_url, authorization, settings, config_hash: "".into() };
        site.config_hash = short_hash(site.described().iter().map(String::as_str)).into();
        site
    }

    /// The site's name as a message may show it. A name that is the URL stands without its query, where keys may be; another
    /// one is shown where it is plain.
    pub fn name_in_messages(&self) -> String {
        let name = &*self.name;
        match name.split_once('?') {
            Some((plain, _)) if self.name == self.shown_url => format!("the site {:?}", format!("{plain}?…")),
            None if self.name == self.shown_url => format!("the site {name:?}"),
            _ if shown::label(name) == name => format!("the site {name:?}"),
            _ => format!("a site of this name ({})", shown::text(name)),
        }
    }

    /// Whether `other` is checked in just the same way; the secrets count too.
    pub fn is_same(&self, other: &Self) -> bool {
        let has_same_settings = Arc::ptr_eq(&self.settings, &other.settings)
            || self.settings.secrets_described() == other.settings.secrets_described();
        self.config_hash == other.config_hash && self.authorization == other.authorization && has_same_settings
    }
}

impl Site {
    /// All settings but the secrets, in a form that stays the same from release to release: first those that every site
    /// has, then what is not as by default, so that a new setting changes the hash of no site that has none.
    fn described(&self) -> Vec<String> {
        let settings = &*self.settings;
        let SiteSettings { group, interval, timeout, max_body_size, request, transport, expect, .. } = settings;
        let mut header_names: Vec<&str> = request.headers.keys().map(HeaderName::as_str).collect();
        if self.authorization.is_some() && !request.headers.contains_key(AUTHORIZATION) {
            header_names.push(AUTHORIZATION.as_str());
        }
        header_names.sort_unstable();
        let mut described = vec![
            self.name.to_string(),
            self.endpoint.normal(),
            group.as_deref().unwrap_or_default().to_owned(),
            interval.as_micros().to_string(),
            timeout.as_micros().to_string(),
            max_body_size.to_string(),
            header_names.join(","),
            transport.tls.ca.as_ref().map(|ca| ca.fingerprint().to_owned()).unwrap_or_default(),
        ];
        expect.describe_main(&mut described);
        let mut more: Vec<(&str, String)> = vec![("send", settings.send.as_deref().unwrap_or_default().to_owned())];
        request.describe(&mut more);
        settings.redirects.describe(&mut more);
        transport.describe(&mut more);
        settings.route.describe(&mut more);
        expect.describe(&mut more);
        if settings.confirm.times > 0 {
            more.push(("confirm", format!("{} {}", settings.confirm.times, settings.confirm.within.as_micros())));
        }
        more.extend(settings.maintenance.iter().map(|window| ("maintenance", window.describe())));
        described.extend(more.into_iter().filter(|(_, v)| !v.is_empty()).map(|(key, value)| format!("{key}={value}")));
        described
    }
}

impl SiteSettings {
    /// The secrets among the settings, to see whether they changed. Never leaves the process.
    fn secrets_described(&self) -> Vec<&[u8]> {
        let mut secrets = self.request.secrets();
        secrets.push(self.transport.secret_fingerprint().as_bytes());
        secrets
    }
}

/// A short hash of `parts`, in order: 16 hex digits of the SHA-256 over them, each ended by a zero byte.
pub fn short_hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
