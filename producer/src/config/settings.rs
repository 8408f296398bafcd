//! Reads the settings of one site, or of `defaults`, over what holds otherwise.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use isitup_shared::config::{ByteSize, Problem, Section};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::checker::OwnCa;
use crate::site::{BodyPattern, Expect, SiteSettings, StatusSet};
use crate::target::Target;

const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
const LONGEST_INTERVAL: Duration = Duration::from_secs(366 * 24 * 3600);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(3600);
const LARGEST_BODY: u64 = 1 << 30;

/// Headers that belong to the connection, which the checker manages.
const MANAGED_HEADERS: [&str; 8] =
    ["connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// Reads settings, and gathers the mistakes that the shared reader cannot word: those with a reason of their own, or
/// whose text must not be echoed.
pub(super) struct Reader<'a> {
    /// What relative paths are relative to.
    folder: &'a Path,
    /// Each file is read once, however many sites name it.
    cas: HashMap<PathBuf, Option<Arc<OwnCa>>>,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(folder: Option<&'a Path>) -> Self {
        Self { folder: folder.unwrap_or(Path::new("")), cas: HashMap::new(), problems: Vec::new() }
    }

    /// A path as written, seen from the folder of the configuration file.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn refuse(&mut self, place: &str, key: &str, message: String) {
        self.problems.push(Problem { origin: place.to_owned(), key: key.to_owned(), message });
    }

    /// The settings in `section`, which stands at `path`; what it does not say is as in `base`.
    pub(super) fn settings(&mut self, section: &mut Section, path: &str, base: &SiteSettings) -> SiteSettings {
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
        let max_body_size =
            section.get_where("max_body_size", |size: &ByteSize| size.0 <= LARGEST_BODY, "at most 1GiB is allowed");
        SiteSettings {
            group: section.get_where("group", |text: &String| is_label(text), LABEL).or_else(|| base.group.clone()),
            interval: interval.unwrap_or(base.interval),
            timeout: timeout.unwrap_or(base.timeout),
            max_body_size: max_body_size.map_or(base.max_body_size, |size| size.0),
            headers: self.headers(section, path, &base.headers),
            ca: self.tls(section, path).or_else(|| base.ca.clone()),
            expect: self.expect(section, path, &base.expect),
        }
    }

    /// The URL and name of a site written as a mapping at `path`.
    pub(super) fn target(&mut self, section: &mut Section, path: &str) -> (Option<Target>, Option<String>) {
        let place = section.place_of("url");
        let name = section.get_where("name", |text: &String| is_label(text), LABEL);
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

    fn headers(&mut self, section: &mut Section, path: &str, base: &HeaderMap) -> HeaderMap {
        let place = section.place_of("headers");
        let mut headers = base.clone();
        for (name, value) in section.map("headers") {
            match header(&name, &value) {
                Ok((name, value)) => drop(headers.insert(name, value)),
                // The value may be a secret, and so is not shown.
                Err(message) => self.refuse(&place, &format!("{path}.headers.{name}"), message.to_owned()),
            }
        }
        headers
    }

    fn tls(&mut self, section: &mut Section, path: &str) -> Option<Arc<OwnCa>> {
        let mut tls = section.section("tls");
        let place = tls.place_of("ca_file");
        let name = tls.get::<String>("ca_file");
        tls.finish();
        self.ca(&name?, &place, &format!("{path}.tls.ca_file"))
    }

    fn ca(&mut self, name: &str, place: &str, key: &str) -> Option<Arc<OwnCa>> {
        let file = self.path(name);
        if let Some(known) = self.cas.get(&file) {
            return known.clone();
        }
        let read = OwnCa::read(&file).map(Arc::new);
        if let Err(reason) = &read {
            self.refuse(place, key, format!("{:?}: {reason}", file.display().to_string()));
        }
        self.cas.entry(file).or_insert(read.ok()).clone()
    }

    fn expect(&mut self, section: &mut Section, path: &str, base: &Expect) -> Expect {
        let mut expect = section.section("expect");
        let (status_place, body_place) = (expect.place_of("status"), expect.place_of("body"));
        let status = expect.list("status").and_then(|ranges| {
            let set = StatusSet::new(ranges);
            if set.is_none() {
                let allowed = "no status would ever be well: write at least one, such as [200-299]";
                self.refuse(&status_place, &format!("{path}.expect.status"), allowed.into());
            }
            set
        });
        let body = expect.get::<String>("body").and_then(|pattern| match BodyPattern::new(&pattern) {
            Ok(pattern) => Some(pattern),
            Err(reason) => {
                let message = format!("{pattern:?} is not a regular expression: {reason}");
                self.refuse(&body_place, &format!("{path}.expect.body"), message);
                None
            }
        });
        let more_than_nothing = |time: &Duration| !time.is_zero();
        let max_response_time = expect.get_where("max_response_time", more_than_nothing, "more than 0s is allowed");
        let certificate_valid_for =
            expect.get_where("certificate_valid_for", more_than_nothing, "more than 0s is allowed");
        expect.finish();
        Expect {
            status: status.unwrap_or_else(|| base.status.clone()),
            body: body.or_else(|| base.body.clone()),
            max_response_time: max_response_time.or(base.max_response_time),
            certificate_valid_for: certificate_valid_for.or(base.certificate_valid_for),
        }
    }
}

/// A name or a group: it stands in a Kafka key, in an index of the database and in one line of a table.
const LABEL: &str = "1 to 500 visible characters are allowed";

fn is_label(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= 500 && !text.chars().any(char::is_control)
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "is not the name of a header")?;
    if MANAGED_HEADERS.contains(&name.as_str()) {
        return Err("this header belongs to the connection, which isitup manages: leave it out");
    }
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| "its value (not shown) cannot stand in a header: visible ASCII characters, spaces and tabs can")?;
    value.set_sensitive(true);
    Ok((name, value))
}
