//! What was expected and whether it was met, one by one, for people who look at a single check.

use isitup_shared::event::{Check, Failure};

use super::super::findings::Findings;
use super::super::words;
use super::Expectation;
use crate::site::{Expect, Pattern, Site};
use crate::target::Kind;

/// A check, and how it met each expectation.
#[derive(Clone, Debug)]
pub struct Examination {
    /// The check.
    pub check: Check,
    /// What was expected of it, in the order in which failures are told.
    pub verdicts: Vec<Verdict>,
}

/// One expectation, and whether it was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What was expected, in words that complete "expected: …".
    pub expected: String,
    /// What was found instead; `None` where it was met, or was not judged.
    pub failure: Option<Failure>,
    /// False when the check ended before it could be judged.
    pub is_known: bool,
}

/// How `found` met each expectation of `site`.
pub(in super::super) fn verdicts(site: &Site, found: &Findings) -> Vec<Verdict> {
    let ended_well = found.failure.is_none();
    let expected = expectations(&site.settings.expect, site.endpoint.kind(), found);
    let judged = expected.into_iter().map(|(expectation, expected)| {
        let failure = found.unmet.iter().find(|(of, _)| *of == expectation).map(|(_, failure)| failure.clone());
        // The status is known before the body breaks off.
        let is_known = ended_well || failure.is_some() || (expectation == Expectation::Status && found.is_answered);
        Verdict { expected, failure, is_known }
    });
    judged.collect()
}

fn expectations(expect: &Expect, kind: Kind, found: &Findings) -> Vec<(Expectation, String)> {
    let mut all = Vec::new();
    if kind == Kind::Http {
        all.push((Expectation::Status, format!("status {}", expect.status)));
    }
    if matches!(kind, Kind::Http | Kind::Tcp) {
        let quoted = |pattern: &Pattern| format!("{:?}", words::short(pattern.as_str()));
        all.extend(expect.body.as_ref().map(|p| (Expectation::Body, format!("body with a match for {}", quoted(p)))));
        let not = expect.body_not.as_ref();
        all.extend(not.map(|p| (Expectation::BodyNot, format!("body without a match for {}", quoted(p)))));
    }
    if kind == Kind::Http {
        for (i, (name, pattern)) in expect.headers.iter().enumerate() {
            let matching = match pattern.as_str() {
                "" => String::new(),
                pattern => format!(" with a match for {:?}", words::short(pattern)),
            };
            all.push((Expectation::Header(i), format!("header {name}{matching}")));
        }
        for (i, json) in expect.json.iter().enumerate() {
            let (pointer, value) = (words::short(&json.pointer), words::short(&json.value));
            all.push((Expectation::Json(i), format!("JSON with {value} at {pointer:?}")));
        }
    }
    // A plain connection has no certificate, and nothing is expected of it.
    if let Some(wanted) = expect.certificate_valid_for.filter(|_| found.certificate.is_some() || kind == Kind::Tls) {
        let wanted = words::duration(wanted);
        all.push((Expectation::Certificate, format!("certificate valid for at least {wanted}")));
    }
    if let Some(most) = expect.max_response_time {
        all.push((Expectation::Time, format!("an end within {}", words::duration(most))));
    }
    all
}
