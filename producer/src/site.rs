//! A site: what is requested, how often, and what is expected of the answer. All of it is checked once, when it is
//! read, so that whoever holds a [`Site`] can use it as it stands.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use isitup_shared::config::Scalar;
use regex::{Regex, RegexBuilder};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName};
use sha2::{Digest, Sha256};
use url::Url;

use crate::checker::OwnCa;
use crate::target::Target;

/// A site that is checked.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its name: as configured, else [`Site::shown_url`]. The key of its events.
    pub name: Arc<str>,
    /// What is requested, without credentials and fragment.
    pub url: Url,
    /// The URL as people may see it: without credentials.
    pub shown_url: String,
    /// Its group, where it has one.
    pub group: Option<String>,
    /// How often it is checked.
    pub interval: Duration,
    /// How long a check may take, redirects and body included.
    pub timeout: Duration,
    /// How many bytes of the body are read, after decompression.
    pub max_body_size: u64,
    /// Headers for the origin of [`Site::url`] and no other; credentials of the URL are among them. All are marked sensitive.
    pub headers: HeaderMap,
    /// Certificates that are trusted beside the system's.
    pub ca: Option<Arc<OwnCa>>,
    /// What the answer must be.
    pub expect: Expect,
    /// Hash of all of this save the secrets: it changes when the settings do.
    pub config_hash: String,
}

/// All settings of a site save its name and URL; also what stands under `defaults`.
#[derive(Clone, Debug)]
pub struct SiteSettings {
    /// See [`Site::group`].
    pub group: Option<String>,
    /// See [`Site::interval`].
    pub interval: Duration,
    /// See [`Site::timeout`].
    pub timeout: Duration,
    /// See [`Site::max_body_size`].
    pub max_body_size: u64,
    /// See [`Site::headers`].
    pub headers: HeaderMap,
    /// See [`Site::ca`].
    pub ca: Option<Arc<OwnCa>>,
    /// See [`Site::expect`].
    pub expect: Expect,
}

impl Default for SiteSettings {
    fn default() -> Self {
        Self {
            group: None,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
            max_body_size: 1 << 20,
            headers: HeaderMap::new(),
            ca: None,
            expect: Expect::default(),
        }
    }
}

impl Site {
    /// The site at `target`; without a `name` it is called by its URL.
    pub fn new(target: Target, name: Option<&str>, settings: SiteSettings) -> Self {
        let Target { url, shown, authorization } = target;
        let SiteSettings { group, interval, timeout, max_body_size, mut headers, ca, expect } = settings;
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization);
        }
        let name = name.unwrap_or(&shown).into();
        let mut site = Self {
            name,
            url,
            shown_url: shown,
            group,
            interval,
            timeout,
            max_body_size,
            headers,
            ca,
            expect,
            config_hash: String::new(),
        };
        site.config_hash = short_hash(site.described().iter().map(String::as_str));
        site
    }

    /// All settings but the secrets, in a form that stays the same from release to release.
    fn described(&self) -> Vec<String> {
        let Expect { status, body, max_response_time, certificate_valid_for } = &self.expect;
        let micros = |time: Option<Duration>| time.map_or_else(String::new, |time| time.as_micros().to_string());
        let mut header_names: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        header_names.sort_unstable();
        vec![
            self.name.to_string(),
            self.url.to_string(),
            self.group.clone().unwrap_or_default(),
            micros(Some(self.interval)),
            micros(Some(self.timeout)),
            self.max_body_size.to_string(),
            header_names.join(","),
            self.ca.as_ref().map(|ca| ca.fingerprint().to_owned()).unwrap_or_default(),
            status.to_string(),
            body.as_ref().map(|body| body.as_str().to_owned()).unwrap_or_default(),
            micros(*max_response_time),
            micros(*certificate_valid_for),
        ]
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

/// What an answer must be for its site to be up.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// The statuses that are well.
    pub status: StatusSet,
    /// What must be found in the body.
    pub body: Option<BodyPattern>,
    /// The most that the whole check may take.
    pub max_response_time: Option<Duration>,
    /// How long the certificate must still be valid.
    pub certificate_valid_for: Option<Duration>,
}

/// A set of HTTP statuses, never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusSet(Vec<StatusRange>);

impl StatusSet {
    /// The set of `ranges`, unless there are none.
    pub fn new(ranges: Vec<StatusRange>) -> Option<Self> {
        (!ranges.is_empty()).then_some(Self(ranges))
    }

    /// Whether `status` is in the set.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.0.contains(&status))
    }
}

impl Default for StatusSet {
    fn default() -> Self {
        Self(vec![StatusRange(200..=299)])
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, StatusRange(range)) in self.0.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            match (range.start(), range.end()) {
                (first, last) if first == last => write!(f, "{first}")?,
                (first, last) => write!(f, "{first}-{last}")?,
            }
        }
        Ok(())
    }
}

/// A status, a range of them, or a class such as `2xx`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusRange(RangeInclusive<u16>);

impl Scalar for StatusRange {
    const WHAT: &'static str =
        "a status: write a number from 100 to 599, a range such as 200-299 or a class such as 2xx";

    fn parse(text: &str) -> Option<Self> {
        let range = if let Some(class) = text.strip_suffix("xx") {
            let first = class.parse::<u16>().ok().filter(|class| (1..=5).contains(class))? * 100;
            first..=first + 99
        } else {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            first.trim().parse().ok()?..=last.trim().parse().ok()?
        };
        let well = *range.start() >= 100 && *range.end() <= 599 && !range.is_empty();
        well.then_some(Self(range))
    }
}

/// A pattern to be found in a body, compiled once.
#[derive(Clone, Debug)]
pub struct BodyPattern(Regex);

/// Bounds what one pattern may take when it is compiled, and while it searches.
const PATTERN_LIMIT: usize = 1 << 20;

impl BodyPattern {
    /// Compiles `pattern`; else why it is none, in one line.
    ///
    /// # Errors
    /// When it is no regular expression, or one that takes more than a mebibyte.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let compiled = RegexBuilder::new(pattern).size_limit(PATTERN_LIMIT).dfa_size_limit(PATTERN_LIMIT).build();
        compiled.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "it would take more than 1 MiB of memory".to_owned(),
            // The error draws the pattern with a marker under it; its last line alone is the reason.
            error => {
                let drawn = error.to_string();
                let reason = drawn.lines().last().unwrap_or_default();
                reason.trim().trim_start_matches("error: ").to_owned()
            }
        })
    }

    /// Whether it is found in `text`.
    pub fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}
