//! Holds an answer against what is expected of it.
//!
//! All expectations are looked at, in the order of [`Expectation`], and all that are not met are told. What is met
//! costs no memory.

use std::borrow::Cow;
use std::time::Duration;

use isitup_shared::event::FailureKind;
use isitup_shared::time::UtcTime;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::findings::Findings;
use super::words;
use crate::site::{Expect, JsonExpectation, Pattern};

pub(super) mod verdict;

/// What can be expected. The order is that in which failures are told: an answer with the wrong status says little
/// about the rest, and a slow one that is well otherwise is the least evil.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expectation {
    Status,
    Body,
    BodyNot,
    /// The header of this index among those expected.
    Header(usize),
    /// The JSON value of this index among those expected.
    Json(usize),
    Certificate,
    Time,
}

/// Judges the status of an answer.
pub(super) fn status(expect: &Expect, found: &mut Findings) {
    let Some(status) = found.status else { return };
    if !expect.status.contains(status) {
        let detail = format!("status {status}, expected {}", expect.status);
        found.unmet(Expectation::Status, FailureKind::Status, detail);
    }
}

/// Whether the text of an answer must be kept to be judged.
pub(super) fn wants_text(expect: &Expect) -> bool {
    expect.body.is_some() || expect.body_not.is_some() || !expect.json.is_empty()
}

/// Judges `text`, the whole of a body or of what a server sent, by the patterns.
pub(super) fn text(expect: &Expect, text: &str, found: &mut Findings) {
    let unmet = |pattern: &Option<Pattern>, wanted: bool| match pattern {
        Some(pattern) if pattern.is_in(text) != wanted => Some(words::short(pattern.as_str())),
        _ => None,
    };
    let (missing, present) = (unmet(&expect.body, true), unmet(&expect.body_not, false));
    if expect.body.is_some() || expect.body_not.is_some() {
        found.body_matched = Some(missing.is_none() && present.is_none());
    }
    if let Some(pattern) = missing {
        let detail = format!("body without a match for {pattern:?}");
        found.unmet(Expectation::Body, FailureKind::BodyMismatch, detail);
    }
    if let Some(pattern) = present {
        let detail = format!("body with a match for {pattern:?}, which must not be there");
        found.unmet(Expectation::BodyNot, FailureKind::BodyMismatch, detail);
    }
}

/// Judges the headers of an answer. Of several with one name, one must match.
pub(super) fn headers(expect: &Expect, headers: &HeaderMap, found: &mut Findings) {
    for (i, (name, pattern)) in expect.headers.iter().enumerate() {
        let is_met =
            headers.get_all(name).iter().any(|value| pattern.is_in(&String::from_utf8_lossy(value.as_bytes())));
        if is_met {
            continue;
        }
        let detail = match headers.get(name) {
            None => format!("no header {name}"),
            Some(value) => {
                let value = String::from_utf8_lossy(value.as_bytes());
                let (value, pattern) = (words::short(&value), words::short(pattern.as_str()));
                format!("header {name} is {value:?}, without a match for {pattern:?}")
            }
        };
        found.unmet(Expectation::Header(i), FailureKind::BodyMismatch, detail);
    }
}

/// Judges `text`, the whole of a body, as JSON.
pub(super) fn json(expect: &Expect, text: &str, found: &mut Findings) {
    if expect.json.is_empty() {
        return;
    }
    let body = serde_json::from_str::<Value>(text).ok();
    for (i, expected) in expect.json.iter().enumerate() {
        if let Some(detail) = wrong_json(body.as_ref(), expected) {
            found.unmet(Expectation::Json(i), FailureKind::BodyMismatch, detail);
        }
    }
}

fn wrong_json(body: Option<&Value>, expected: &JsonExpectation) -> Option<String> {
    let pointer: Cow<'_, str> = match expected.pointer.as_str() {
        "" => "the whole body".into(),
        pointer => words::short(pointer).into(),
    };
    let wanted = words::short(&expected.value);
    let Some(body) = body else { return Some("the body is not JSON".into()) };
    match body.pointer(&expected.pointer) {
        None => Some(format!("JSON without {pointer}, expected {wanted}")),
        Some(value) if !expected.is_met_by(value) => {
            Some(format!("JSON has {} at {pointer}, expected {wanted}", words::short(&shown(value))))
        }
        Some(_) => None,
    }
}

/// As a person would type it. What holds others is not written out: it may be large.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(_) => "an object".into(),
        Value::String(text) => format!("{:?}", words::short(text)),
        other => other.to_string(),
    }
}

/// Judges what any kind of site has in the end: its certificate and its time.
pub(super) fn end(expect: &Expect, found: &mut Findings, now: UtcTime) {
    if let Some(detail) = certificate(expect, found, now) {
        found.unmet(Expectation::Certificate, FailureKind::CertificateExpiring, detail);
    }
    if let Some(detail) = time(expect, found) {
        found.unmet(Expectation::Time, FailureKind::ResponseTooSlow, detail);
    }
}

fn certificate(expect: &Expect, found: &Findings, now: UtcTime) -> Option<String> {
    let (wanted, certificate) = (expect.certificate_valid_for?, found.certificate.as_ref()?);
    let left = certificate.expires_at.since(now);
    (left < wanted).then(|| {
        let (date, left, wanted) = (words::date(certificate.expires_at), rounded(left), words::duration(wanted));
        format!("certificate expires on {date}, in {left}, expected at least {wanted}")
    })
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

fn time(expect: &Expect, found: &Findings) -> Option<String> {
    let most = expect.max_response_time?;
    (found.total > most).then(|| {
        // Whole milliseconds: more digits say nothing to people.
        let took = Duration::from_millis(u64::try_from(found.total.as_millis()).unwrap_or(u64::MAX));
        format!("took {}, expected at most {}", words::duration(took), words::duration(most))
    })
}
