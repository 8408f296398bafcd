//! Reads the settings of one site, of a group, or of `defaults`, over what holds otherwise.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::{ByteSize, Problem, Section};
use http::header::HOST;

use crate::site::endpoint::Kind;
use crate::site::label::{LABEL, has_credentials, is_label};
use crate::site::target::Target;
use crate::site::{ConnectTo, FollowRedirects, NameServer, Pattern, Redirects, Route, SiteSettings};
use crate::site::{Identity, OwnCa, Transport};

const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
const LONGEST_INTERVAL: Duration = Duration::from_secs(366 * 24 * 3600);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(3600);
const LARGEST_BODY: u64 = 1 << 30;

/// Reads settings, and gathers the mistakes that the shared reader cannot word: those with a reason of their own, or
/// whose text must not be echoed.
pub(super) struct Reader<'a> {
    /// What relative paths are relative to.
    folder: &'a Path,
    /// Whether it reads for the service that does not check sites: files of the other need not be here.
    pub(super) is_others: bool,
    /// Each file is read once, however many sites name it.
    pub(super) cas: HashMap<PathBuf, Option<Arc<OwnCa>>>,
    pub(super) identities: HashMap<(PathBuf, PathBuf), Option<Arc<Identity>>>,
    /// Each pattern is compiled once, however many sites have it.
    pub(super) patterns: HashMap<String, Pattern>,
    /// Sites with the same way to connect share one description of it, and so their clients.
    pub(super) transports: HashMap<String, Arc<Transport>>,
    /// Files and patterns of files that the settings depend on, beside the configuration itself.
    pub(super) sources: Vec<PathBuf>,
    pub(super) problems: Vec<Problem>,
}

/// Where settings stand, and for whom.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The path of their mapping, such as `domains[2]`.
    pub(super) path: &'a str,
    /// The kind of site; `None` for settings of many.
    pub(super) kind: Option<Kind>,
}

impl Place<'_> {
    /// Whether sites of `kinds` are meant; else each of `keys` in `section` is a mistake.
    pub(super) fn is_for(self, kinds: &[Kind], section: &mut Section, keys: &[&str]) -> bool {
        let is_meant = self.kind.is_none_or(|kind| kinds.contains(&kind));
        if !is_meant {
            for key in keys.iter().filter(|key| section.contains(key)).collect::<Vec<_>>() {
                section.refuse(key, format_args!("only {} sites have this", schemes(kinds)));
            }
        }
        is_meant
    }
}

fn schemes(kinds: &[Kind]) -> String {
    let words = kinds.iter().map(|kind| match kind {
        Kind::Http => "http and https",
        Kind::Tcp => "tcp",
        Kind::Tls => "tls",
        Kind::Dns => "dns",
    });
    words.collect::<Vec<_>>().join(", ")
}

impl<'a> Reader<'a> {
    pub(super) fn new(folder: &'a Path, is_others: bool) -> Self {
        Self {
            folder,
            is_others,
            cas: HashMap::new(),
            identities: HashMap::new(),
            patterns: HashMap::new(),
            transports: HashMap::new(),
            sources: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// A path as written, seen from the folder of the configuration file.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn refuse(&mut self, place: &str, key: &str, message: String) {
        self.problems.push(Problem::new(place.to_owned(), key.to_owned(), message));
    }

    /// The settings in `section`; what it does not say is as in `base`.
    pub(super) fn settings(&mut self, section: &mut Section, place: Place<'_>, base: &SiteSettings) -> SiteSettings {
        let interval = section.get_where(
            "interval",
            |interval: &Duration| (SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(interval),
            "100ms to 366d is allowed",
        );
        let timeout = section.get_where(
            "timeout",
            |timeout: &Duration| !timeout.is_zero() && *timeout <= LONGEST_TIMEOUT,
            "more than 0s and at most 1h is allowed",
        );
        let request = self.request(section, place, &base.request);
        let route = route(section, place, base.route);
        // HTTP/2 has no Host header, but the authority of the URL.
        let must_be_http1 = request.headers.contains_key(HOST) || route.connect_to.is_some_and(|to| to.port.is_some());
        SiteSettings {
            group: group(section).map(Into::into).or_else(|| base.group.clone()),
            interval: interval.unwrap_or(base.interval),
            timeout: timeout.unwrap_or(base.timeout),
            max_body_size: max_body_size(section, place).unwrap_or(base.max_body_size),
            request,
            redirects: redirects(section, place, base.redirects),
            transport: self.transport(section, place, &base.transport, must_be_http1),
            route,
            send: send(section, place).or_else(|| base.send.clone()),
            expect: self.expect(section, place, &base.expect),
            confirm: self.confirm(section, base.confirm),
            maintenance: self.maintenance(section, place, &base.maintenance),
        }
    }

    /// The URL and name of a site written as a mapping at `path`.
    pub(super) fn target(&mut self, section: &mut Section, path: &str) -> (Option<Target>, Option<String>) {
        let place = section.place_of("url");
        let at = section.place_of("name");
        let name = section.get_where("name", |text: &String| is_label(text), LABEL);
        if name.as_deref().is_some_and(has_credentials) {
            let message = "looks like a URL with credentials, and a name is published with each result";
            self.refuse(&at, &format!("{path}.name"), message.into());
        }
        let text = section.require::<String>("url", "what to check, such as https://example.com");
        let target = text.and_then(|text| match Target::parse(&text) {
            Ok(target) => Some(target),
            Err(error) => {
                self.refuse(&place, &format!("{path}.url"), error.to_string());
                None
            }
        });
        (target, name)
    }
}

fn max_body_size(section: &mut Section, place: Place<'_>) -> Option<u64> {
    if !place.is_for(&[Kind::Http, Kind::Tcp], section, &["max_body_size"]) {
        return None;
    }
    let is_well = |size: &ByteSize| size.0 <= LARGEST_BODY;
    section.get_where("max_body_size", is_well, "at most 1GiB is allowed").map(|size| size.0)
}

fn redirects(section: &mut Section, place: Place<'_>, base: Redirects) -> Redirects {
    if !place.is_for(&[Kind::Http], section, &["follow_redirects", "forbid_downgrade"]) {
        return base;
    }
    let most = section.get::<FollowRedirects>("follow_redirects");
    Redirects {
        most: most.map_or(base.most, |most| most.0),
        forbid_downgrade: section.get("forbid_downgrade").unwrap_or(base.forbid_downgrade),
    }
}

fn route(section: &mut Section, place: Place<'_>, base: Route) -> Route {
    let connect_to = if place.is_for(&[Kind::Http, Kind::Tcp, Kind::Tls], section, &["connect_to"]) {
        section.get::<ConnectTo>("connect_to")
    } else {
        None
    };
    Route {
        family: section.get("ip_version").unwrap_or(base.family),
        connect_to: connect_to.or(base.connect_to),
        resolver: section.get::<NameServer>("resolver").map(|server| server.0).or(base.resolver),
    }
}

fn send(section: &mut Section, place: Place<'_>) -> Option<Arc<str>> {
    if !place.is_for(&[Kind::Tcp], section, &["send"]) {
        return None;
    }
    section.get::<String>("send").map(Into::into)
}

/// The group that `section` names.
pub(super) fn group(section: &mut Section) -> Option<String> {
    section.get_where("group", |text: &String| is_label(text) && !has_credentials(text), LABEL)
}
