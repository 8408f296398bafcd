//! What an answer must be for its site to be up.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::Scalar;
use http::header::HeaderName;

use super::pattern::Pattern;

/// What an answer must be for its site to be up. What does not apply to a kind of site is not looked at there.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// The statuses that are well (`http`).
    pub status: StatusSet,
    /// What must be found in the body (`http`), or in what the server sends (`tcp`).
    pub body: Option<Pattern>,
    /// What must not be found there.
    pub body_not: Option<Pattern>,
    /// Headers that must be there, and what must be found in the value of each; an empty pattern is found in any.
    pub headers: Vec<(HeaderName, Pattern)>,
    /// What must stand in a JSON body.
    pub json: Vec<JsonExpectation>,
    /// The answer codes of a name server that are well, such as `NOERROR` (`dns`).
    pub dns_codes: DnsCodes,
    /// The records that must be in its answer, as a zone file has them.
    pub records: Vec<String>,
    /// The most that the whole check may take.
    pub max_response_time: Option<Duration>,
    /// How long the certificate must still be valid.
    pub certificate_valid_for: Option<Duration>,
}

impl Expect {
    /// What every site has, for its hash.
    pub(super) fn describe_main(&self, described: &mut Vec<String>) {
        let micros = |time: Option<Duration>| time.map_or_else(String::new, |time| time.as_micros().to_string());
        described.extend([
            self.status.to_string(),
            self.body.as_ref().map(|body| body.as_str().to_owned()).unwrap_or_default(),
            micros(self.max_response_time),
            micros(self.certificate_valid_for),
        ]);
    }

    pub(super) fn describe(&self, parts: &mut Vec<(&str, String)>) {
        parts.push(("body_not", self.body_not.as_ref().map(|body| body.as_str().to_owned()).unwrap_or_default()));
        for (name, value) in &self.headers {
            parts.push(("header", format!("{name}: {}", value.as_str())));
        }
        for JsonExpectation { pointer, value } in &self.json {
            parts.push(("json", format!("{pointer}: {value}")));
        }
        if self.dns_codes != DnsCodes::default() {
            parts.push(("dns_codes", self.dns_codes.to_string()));
        }
        parts.push(("records", self.records.join(" ")));
    }
}

/// Answer codes of a name server, never empty, in capitals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsCodes(Vec<String>);

impl DnsCodes {
    /// The answer codes that can be expected.
    pub const ALL: [&str; 6] = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

    /// The set of `codes`, unless there are none.
    pub fn new(codes: Vec<DnsCode>) -> Option<Self> {
        (!codes.is_empty()).then(|| Self(codes.into_iter().map(|code| code.0).collect()))
    }

    /// Whether `code`, in capitals, is among them.
    pub fn contains(&self, code: &str) -> bool {
        self.0.iter().any(|known| known == code)
    }
}

impl Default for DnsCodes {
    fn default() -> Self {
        Self(vec!["NOERROR".into()])
    }
}

impl fmt::Display for DnsCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// One answer code of a name server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsCode(String);

impl Scalar for DnsCode {
    const WHAT: &'static str = "an answer code: NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP or REFUSED";
    const HARMLESS: bool = true;

    fn parse(text: &str) -> Option<Self> {
        let code = text.to_ascii_uppercase();
        DnsCodes::ALL.contains(&code.as_str()).then_some(Self(code))
    }
}

/// A place in a JSON body, and what must stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonExpectation {
    /// A JSON pointer (RFC 6901), such as `/status`.
    pub pointer: String,
    /// What must stand there, as typed.
    pub value: String,
}

impl JsonExpectation {
    /// The expectation of `value` at `pointer`, unless that is no JSON pointer.
    pub fn new(pointer: String, value: String) -> Option<Self> {
        let is_rooted = pointer.is_empty() || pointer.starts_with('/');
        let is_escaped = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        (is_rooted && is_escaped).then_some(Self { pointer, value })
    }
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
    const HARMLESS: bool = true;

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
