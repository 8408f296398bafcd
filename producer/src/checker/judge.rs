//! Holds what was found against what is expected. Everything that is not as expected is told; the status comes first,
//! since an answer with the wrong one says little about the rest, and the time last: late but well is the least evil.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use isitup_shared::event::{Detail, Failure, FailureKind, FurtherFailures};
use isitup_shared::time::UtcTime;
use reqwest::header::{HeaderMap, HeaderName};

use super::findings::Findings;
use super::json::Json;
use super::words::{self, short};
use crate::endpoint::Kind;
use crate::site::{Expect, Late, Pattern, Searches};

/// Which expectation; of several of a sort, its index. In the order in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Which {
    Status,
    DnsCode,
    Header(usize),
    Body,
    BodyNot,
    Json(usize),
    Record(usize),
    Certificate,
    Time,
}

/// An expectation that was not met.
#[derive(Clone, Debug)]
pub(super) struct Unmet {
    pub(super) which: Which,
    pub(super) failure: Failure,
}

/// What judging may take, and what it works with.
pub(super) struct Judging<'a> {
    /// That of the check.
    pub(super) deadline: Instant,
    /// The whole time that the check has.
    pub(super) timeout: Duration,
    pub(super) searches: &'a mut Searches,
}

/// So long judging may take although the check's time is over: a server may say the last word just before that.
const LEAST: Duration = Duration::from_millis(100);

impl Judging<'_> {
    /// What a server said is judged from now on, in the time that is left, or a little more.
    pub(super) fn begin(&mut self) {
        self.deadline = self.deadline.max(Instant::now() + LEAST);
    }

    pub(super) fn is_in(&mut self, pattern: &Pattern, text: &str) -> Result<bool, Late> {
        pattern.is_in(text, self.searches, self.deadline)
    }
}

impl Findings {
    fn miss(&mut self, which: Which, kind: FailureKind, detail: String) {
        self.unmet.push(Unmet { which, failure: Failure { kind, detail: detail.into() } });
    }

    /// Judges the head of an answer.
    pub(super) fn judge_head(&mut self, expect: &Expect, status: u16, headers: &HeaderMap, judging: &mut Judging<'_>) {
        if !expect.status.contains(status) {
            self.miss(Which::Status, FailureKind::Status, format!("status {status}, expected {}", expect.status));
        }
        for (index, (name, pattern)) in expect.headers.iter().enumerate() {
            match header(headers, name, pattern, judging) {
                Ok(None) => {}
                Ok(Some(detail)) => self.miss(Which::Header(index), FailureKind::BodyMismatch, detail),
                Err(Late) => return self.judged_late(&format!("the header {name} could not be searched"), judging),
            }
        }
        self.is_head_judged = true;
    }

    /// The deadline passed while something was judged.
    fn judged_late(&mut self, what: &str, judging: &Judging<'_>) {
        self.fail(FailureKind::Timeout, format!("{what} within {}", words::duration(judging.timeout)));
    }

    /// Judges the whole text of a body.
    pub(super) fn judge_text(&mut self, expect: &Expect, text: &str, judging: &mut Judging<'_>) {
        judging.begin();
        let patterns = [(&expect.body, Which::Body, true), (&expect.body_not, Which::BodyNot, false)];
        let mut is_matched = None;
        for (pattern, which, is_wanted) in patterns {
            let Some(pattern) = pattern else { continue };
            let Ok(is_there) = judging.is_in(pattern, text) else {
                let what = format!("the body could not be searched for {:?}", short(pattern.as_str()));
                return self.judged_late(&what, judging);
            };
            let is_met = is_there == is_wanted;
            is_matched = Some(is_matched.unwrap_or(true) && is_met);
            if !is_met {
                let how = if is_wanted { "without" } else { "with" };
                let detail = format!("body {how} a match for {:?}", short(pattern.as_str()));
                self.miss(which, FailureKind::BodyMismatch, detail);
            }
        }
        self.body_matched = is_matched;
        if self.judge_json(expect, text, judging).is_err() {
            return self.judged_late("the JSON body could not be read", judging);
        }
        self.is_text_judged = true;
    }

    fn judge_json(&mut self, expect: &Expect, text: &str, judging: &Judging<'_>) -> Result<(), Late> {
        if expect.json.is_empty() {
            return Ok(());
        }
        let json = Json::parse(text);
        for (index, wanted) in expect.json.iter().enumerate() {
            if Instant::now() >= judging.deadline {
                return Err(Late);
            }
            let detail = match json {
                Some(json) => json.judge(wanted),
                None => Some("the body is not JSON".into()),
            };
            if let Some(detail) = detail {
                self.miss(Which::Json(index), FailureKind::BodyMismatch, detail);
            }
        }
        Ok(())
    }

    /// Judges the answer of a name server, with its records as a zone file has them.
    pub(super) fn judge_records(&mut self, expect: &Expect, code: &str, records: &[String]) {
        if !expect.dns_codes.contains(code) {
            let detail = format!("answer code {code}, expected {}", expect.dns_codes);
            self.miss(Which::DnsCode, FailureKind::Status, detail);
        }
        for (index, wanted) in expect.records.iter().enumerate() {
            if !records.iter().any(|record| is_same_record(record, wanted)) {
                let there = if records.is_empty() { "no records".to_owned() } else { short(&records.join(", ")) };
                let detail = format!("no record {:?} in the answer, which has {there}", short(wanted));
                self.miss(Which::Record(index), FailureKind::BodyMismatch, detail);
            }
        }
    }

    /// Judges what is known only in the end: how long it took, and how long the certificate still holds.
    pub(super) fn judge_whole(&mut self, expect: &Expect, now: UtcTime) {
        if let Some(detail) = self.certificate_detail(expect, now) {
            self.miss(Which::Certificate, FailureKind::CertificateExpiring, detail);
        }
        if let Some(most) = expect.max_response_time.filter(|most| self.failure.is_none() && self.total > *most) {
            // Whole milliseconds: more digits say nothing to people.
            let took = Duration::from_millis(u64::try_from(self.total.as_millis()).unwrap_or(u64::MAX));
            let detail = format!("took {}, expected at most {}", words::duration(took), words::duration(most));
            self.miss(Which::Time, FailureKind::ResponseTooSlow, detail);
        }
    }

    fn certificate_detail(&self, expect: &Expect, now: UtcTime) -> Option<String> {
        let (wanted, certificate) = (expect.certificate_valid_for?, self.certificate.as_ref()?);
        let left = certificate.expires_at.since(now);
        // A certificate that was refused for its dates has its failure already.
        (left < wanted && self.failure.is_none()).then(|| {
            let (date, left, wanted) = (words::date(certificate.expires_at), rounded(left), words::duration(wanted));
            format!("certificate expires on {date}, in {left}, expected at least {wanted}")
        })
    }

    /// All that was wrong, the first being that which people are told first: an unexpected status says more than what then
    /// became of its page, and whatever else ended the check says more than what could not be judged any more.
    pub(super) fn failures(&mut self) -> Vec<Failure> {
        self.unmet.sort_by_key(|unmet| unmet.which);
        let mut failures: Vec<Failure> = self.unmet.iter().map(|unmet| unmet.failure.clone()).collect();
        if let Some(failure) = self.failure.take() {
            let is_status_first = self.unmet.first().is_some_and(|unmet| unmet.which == Which::Status);
            failures.insert(usize::from(is_status_first), failure);
        }
        failures
    }
}

/// `failures` as an event takes them: where they are too many, the last one says how many more there are.
pub(super) fn bounded(mut failures: Vec<Failure>) -> FurtherFailures {
    let more = failures.len().saturating_sub(FurtherFailures::MOST - 1);
    if more > 1 {
        failures.truncate(FurtherFailures::MOST);
        if let Some(last) = failures.last_mut() {
            last.detail = format!("{more} more expectations were not met").into();
        }
    }
    failures.try_into().unwrap_or_default()
}

/// Addresses are compared as such, all else without case and closing dots.
fn is_same_record(one: &str, other: &str) -> bool {
    if let (Ok(one), Ok(other)) = (one.parse::<IpAddr>(), other.parse::<IpAddr>()) {
        return one == other;
    }
    let plain = |record: &str| record.trim_end_matches('.').to_lowercase();
    plain(one) == plain(other)
}

fn header(
    headers: &HeaderMap,
    name: &HeaderName,
    pattern: &Pattern,
    judging: &mut Judging<'_>,
) -> Result<Option<String>, Late> {
    let mut first = None;
    for value in headers.get_all(name) {
        let value = String::from_utf8_lossy(value.as_bytes());
        if judging.is_in(pattern, &value)? {
            return Ok(None);
        }
        first.get_or_insert_with(|| short(&value));
    }
    Ok(Some(match first {
        None => format!("no header {name}"),
        Some(first) => format!("header {name} is {first:?}, without a match for {:?}", short(pattern.as_str())),
    }))
}

/// Days where there are some, else hours.
fn rounded(left: Duration) -> String {
    let hours = left.as_secs() / 3600;
    match hours {
        48.. => format!("{} days", hours / 24),
        1 => "1 hour".into(),
        hours => format!("{hours} hours"),
    }
}

/// An expectation of a site, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What was expected, in words.
    pub expected: Detail,
    /// Why it was not met; absent where it was, or where the check ended before that could be judged.
    pub failure: Option<Failure>,
    /// False where the check ended before it could be judged.
    pub is_known: bool,
}

/// All that is expected of a site of `kind`, and what came of it.
pub(super) fn verdicts(kind: Kind, expect: &Expect, found: &Findings) -> Vec<Verdict> {
    let verdict = |(which, expected): (Which, String)| {
        let failure = found.unmet.iter().find(|unmet| unmet.which == which).map(|unmet| unmet.failure.clone());
        let is_known = failure.is_some() || found.is_judged(which);
        Verdict { expected: expected.into(), failure, is_known }
    };
    expectations(kind, expect).into_iter().map(verdict).collect()
}

impl Findings {
    fn is_judged(&self, which: Which) -> bool {
        match which {
            Which::Status | Which::Header(_) => self.is_head_judged,
            Which::DnsCode | Which::Record(_) => self.dns_code.is_some(),
            Which::Body | Which::BodyNot | Which::Json(_) => self.is_text_judged,
            Which::Certificate => self.certificate.is_some() && !self.has_failed,
            Which::Time => !self.has_failed,
        }
    }
}

fn expectations(kind: Kind, expect: &Expect) -> Vec<(Which, String)> {
    let mut all = Vec::new();
    if kind == Kind::Http {
        all.push((Which::Status, format!("status {}", expect.status)));
        for (index, (name, pattern)) in expect.headers.iter().enumerate() {
            let matching = match pattern.as_str() {
                "" => String::new(),
                pattern => format!(" matches {pattern:?}"),
            };
            all.push((Which::Header(index), format!("header {name}{matching}")));
        }
    }
    if matches!(kind, Kind::Http | Kind::Tcp) {
        all.extend(expect.body.iter().map(|p| (Which::Body, format!("body matches {:?}", p.as_str()))));
        all.extend(expect.body_not.iter().map(|p| (Which::BodyNot, format!("body does not match {:?}", p.as_str()))));
    }
    if kind == Kind::Http {
        let json = expect.json.iter().enumerate();
        all.extend(json.map(|(index, json)| {
            (Which::Json(index), format!("{:?} at {} in the JSON body", json.value, json.pointer))
        }));
    }
    if kind == Kind::Dns {
        all.push((Which::DnsCode, format!("answer code {}", expect.dns_codes)));
        let records = expect.records.iter().enumerate();
        all.extend(records.map(|(index, record)| (Which::Record(index), format!("record {record:?}"))));
    }
    if matches!(kind, Kind::Http | Kind::Tls) {
        let wanted = expect.certificate_valid_for.iter();
        all.extend(
            wanted.map(|wanted| (Which::Certificate, format!("certificate valid for {}", words::duration(*wanted)))),
        );
    }
    all.extend(
        expect.max_response_time.iter().map(|most| (Which::Time, format!("took at most {}", words::duration(*most)))),
    );
    all
}
