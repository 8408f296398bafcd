//! What is allowed and likely wrong.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use isitup_shared::time::UtcTime;
use reqwest::Method;
use url::Host;

use super::Settings;
use crate::checker::certificate::first_expiry;
use crate::endpoint::Endpoint;
use crate::site::Site;

/// Sites that one warning names.
const NAMED: usize = 3;
/// A certificate of ours that ends sooner is worth a word.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// Something that is likely wrong, and with which sites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    what: String,
    sites: Vec<String>,
}

impl Warning {
    /// One that is about no site in particular.
    pub fn general(what: String) -> Self {
        Self { what, sites: Vec::new() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<&str> = self.sites.iter().take(NAMED).map(String::as_str).collect();
        match self.sites.len() {
            0 => f.write_str(&self.what),
            count if count > NAMED => {
                write!(f, "{}: {} (and {} more)", self.what, named.join(", "), count - NAMED)
            }
            _ => write!(f, "{}: {}", self.what, named.join(", ")),
        }
    }
}

/// All that is likely wrong with `settings`.
pub fn warnings(settings: &Settings) -> Vec<Warning> {
    let mut by_kind: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let now = UtcTime::now();
    for site in &settings.sites {
        for what in of_site(site, now) {
            by_kind.entry(what).or_default().push(without_query(&site.name));
        }
    }
    let mut all: Vec<Warning> =
        by_kind.into_iter().map(|(what, sites)| Warning { what: what.to_owned(), sites }).collect();
    all.extend(twins(&settings.sites));
    let used: HashSet<&str> = settings.sites.iter().filter_map(|site| site.settings.group.as_deref()).collect();
    let idle = settings.groups.iter().filter(|group| !used.contains(group.as_str()));
    all.extend(idle.map(|group| Warning::general(format!("the group {group} has settings and no site"))));
    all.extend(settings.read.warnings().into_iter().map(Warning::general));
    all
}

fn of_site(site: &Site, now: UtcTime) -> Vec<&'static str> {
    let settings = &*site.settings;
    let tls = &settings.transport.tls;
    let expires = [
        tls.identity.as_ref().map(|own| first_expiry(&own.chain)),
        tls.ca.as_ref().map(|ca| first_expiry(ca.certificates())),
    ];
    let ends = expires.into_iter().flatten().flatten().min();
    let confirming = settings.timeout * (1 + settings.confirm.times.min(1)) + settings.confirm.within;
    let found = [
        (
            settings.timeout > settings.interval,
            "the timeout is above the interval, so that slots are missed while the site hangs",
        ),
        (settings.interval < Duration::from_secs(1), "the interval is under 1 s"),
        (is_plain(&site.endpoint), "http without s, over the open internet"),
        (tls.insecure && site.endpoint.is_encrypted(), "insecure: the certificate is not verified"),
        (
            settings.confirm.times > 0 && confirming > settings.interval && settings.timeout <= settings.interval,
            "a failure and its confirmations may take longer than the interval, so that slots are missed meanwhile",
        ),
        (
            settings.request.method == Method::GET && settings.request.body.is_some(),
            "a body with GET, which most servers ignore",
        ),
        (ends.is_some_and(|end| end < now), "a certificate in ca_file or cert_file has expired"),
        (
            ends.is_some_and(|end| end >= now && end < now.after(SOON)),
            "a certificate in ca_file or cert_file expires within 14 days",
        ),
    ];
    found.into_iter().filter(|(is_so, _)| *is_so).map(|(_, what)| what).collect()
}

/// Whether it is requested in the clear by a name, or at an address, that is not of this house.
fn is_plain(endpoint: &Endpoint) -> bool {
    let Endpoint::Http(url) = endpoint else { return false };
    url.scheme() == "http"
        && match url.host() {
            Some(Host::Domain(name)) => {
                let of_house = ["localhost", ".local", ".localhost", ".internal", ".lan", ".test", ".home.arpa"];
                name.contains('.') && !of_house.iter().any(|end| name.ends_with(end))
            }
            Some(Host::Ipv4(address)) => !(address.is_private() || address.is_loopback() || address.is_link_local()),
            Some(Host::Ipv6(address)) => {
                !(address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local())
            }
            None => false,
        }
}

/// A name that is a URL without its query, where keys may be.
fn without_query(name: &str) -> String {
    match name.split_once('?') {
        Some((plain, _)) if name.contains("://") => format!("{plain}?…"),
        _ => name.to_owned(),
    }
}

/// Sites that ask the same of the same place.
fn twins(sites: &[Site]) -> Vec<Warning> {
    let mut by_url: HashMap<(String, &Method), Vec<String>> = HashMap::new();
    for site in sites {
        let key = (site.endpoint.normal(), &site.settings.request.method);
        by_url.entry(key).or_default().push(without_query(&site.name));
    }
    let mut twins: Vec<Vec<String>> = by_url.into_values().filter(|names| names.len() > 1).collect();
    twins.sort();
    twins.into_iter().map(|sites| Warning { what: "one URL under several names".into(), sites }).collect()
}
