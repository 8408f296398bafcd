//! Holds an answer against what is expected of it.

use std::time::Duration;

use isitup_shared::event::{Failure, FailureKind};
use isitup_shared::time::UtcTime;

use super::findings::Findings;
use super::words;
use crate::site::{Expect, Pattern};

/// What is first found wrong with what was `found`: its status, its body, its certificate, its time. An
/// answer with the wrong status says little about the rest, and a slow one that is well otherwise is the least evil.
pub(super) fn judge(expect: &Expect, found: &Findings, now: UtcTime) -> Option<Failure> {
    let failed = status(expect, found)
        .map(|detail| (FailureKind::Status, detail))
        .or_else(|| body(expect, found).map(|detail| (FailureKind::BodyMismatch, detail)))
        .or_else(|| certificate(expect, found, now).map(|detail| (FailureKind::CertificateExpiring, detail)))
        .or_else(|| time(expect, found).map(|detail| (FailureKind::ResponseTooSlow, detail)));
    failed.map(|(kind, detail)| Failure { kind, detail })
}

fn status(expect: &Expect, found: &Findings) -> Option<String> {
    let status = found.status?;
    (!expect.status.contains(status)).then(|| format!("status {status}, expected {}", expect.status))
}

fn body(expect: &Expect, found: &Findings) -> Option<String> {
    let pattern = expect.body.as_ref().map(Pattern::as_str)?;
    (found.body_matched == Some(false)).then(|| format!("body without a match for {:?}", words::short(pattern)))
}

fn certificate(expect: &Expect, found: &Findings, now: UtcTime) -> Option<String> {
    let (wanted, certificate) = (expect.certificate_valid_for?, found.certificate?);
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
