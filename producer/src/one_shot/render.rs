//! A check in words and bars for people.

use std::fmt::Write;
use std::io::{self, IsTerminal};

use isitup_shared::event::{Check, HopReport, Timings};
use isitup_shared::time::UtcTime;

use crate::checker::{Examination, Verdict};
use crate::site::Site;

/// How many cells the whole time of a check takes.
const BAR: u64 = 40;

/// How the output looks.
pub(super) struct Look {
    pub(super) is_coloured: bool,
}

impl Look {
    /// Coloured on a terminal, unless `NO_COLOR` is set (no-color.org).
    pub(super) fn of_stdout() -> Self {
        let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { is_coloured: io::stdout().is_terminal() && !is_refused }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.is_coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn well(&self, text: &str) -> String {
        self.paint("32", text)
    }

    fn bad(&self, text: &str) -> String {
        self.paint("31", text)
    }

    fn faint(&self, text: &str) -> String {
        self.paint("2", text)
    }
}

/// All that `examination` of `site` says, seen at `now`.
pub(super) fn render(site: &Site, examination: &Examination, now: UtcTime, look: &Look) -> String {
    let Examination { check, verdicts } = examination;
    let mut lines = vec![headline(site, check, look)];
    lines.extend(answer(check));
    lines.extend(waterfall(check, look));
    lines.extend(certificate(check, now));
    lines.extend(verdicts.iter().map(|verdict| expectation(verdict, look)));
    if let Some(failure) = check.outcome.failure() {
        lines.push(field("reason", &look.bad(&format!("{}: {}", failure.kind, failure.detail))));
    }
    lines.extend(
        check.further_failures.iter().map(|more| field("also", &look.bad(&format!("{}: {}", more.kind, more.detail)))),
    );
    lines.extend(
        check.prober_fault.iter().map(|fault| field("but", &format!("this says nothing about the site: {fault}"))),
    );
    lines.join("\n")
}

fn field(name: &str, value: &str) -> String {
    format!("      {name:<11} {value}")
}

fn headline(site: &Site, check: &Check, look: &Look) -> String {
    let outcome = match check.outcome.failure() {
        None => look.well("up  "),
        Some(_) => look.bad("down"),
    };
    let name = if site.name == site.shown_url { String::new() } else { format!("{}  ", site.name) };
    format!("{outcome}  {name}{}", check.url)
}

/// Who answered what, in one line; `None` where nobody did.
fn answer(check: &Check) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(check.status.map(|status| status.to_string()));
    parts.extend(check.dns_code.as_deref().map(str::to_owned));
    parts.extend(check.http_version.as_deref().map(str::to_owned));
    parts.extend(check.remote_addr.as_ref().map(|address| format!("from {address}")));
    parts.extend(check.body_bytes.map(|bytes| format!("{bytes} bytes")));
    (!parts.is_empty()).then(|| field("answer", &parts.join(", ")))
}

/// The phases as bars one after the other; with redirects, hop by hop.
fn waterfall(check: &Check, look: &Look) -> Vec<String> {
    let scale = Scale { total: check.timings_us.total.max(1) };
    let mut lines = Vec::new();
    if check.hops.is_empty() {
        phases(&mut lines, &check.timings_us, 0, scale, look);
    }
    let mut begin = 0;
    for HopReport { url, status, timings_us, .. } in &check.hops {
        let status = status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        lines.push(field("request", &format!("{status} {url}")));
        phases(&mut lines, timings_us, begin, scale, look);
        begin += timings_us.total;
    }
    lines.push(field("total", &format!("{:>11}", milliseconds(check.timings_us.total))));
    lines
}

/// What one cell of a bar stands for.
#[derive(Clone, Copy)]
struct Scale {
    total: u64,
}

impl Scale {
    fn cells(self, micros: u64) -> usize {
        usize::try_from(micros.saturating_mul(BAR) / self.total).unwrap_or(0).min(BAR as usize)
    }
}

fn phases(lines: &mut Vec<String>, timings: &Timings, mut begin: u64, scale: Scale, look: &Look) {
    let phases = [
        ("dns", timings.dns),
        ("connect", timings.connect),
        ("tls", timings.tls),
        ("first byte", timings.first_byte),
        ("body", timings.body),
    ];
    for (name, took) in phases {
        let Some(took) = took else { continue };
        let (from, to) = (scale.cells(begin), scale.cells(begin + took));
        // The shortest phase can be seen, too.
        let bar = if to > from { "█".repeat(to - from) } else { "▏".to_owned() };
        let line = format!("{:>11}  {}{}", milliseconds(took), " ".repeat(from), look.faint(&bar));
        lines.push(field(name, &line));
        begin += took;
    }
}

fn certificate(check: &Check, now: UtcTime) -> Vec<String> {
    let Some(expires_at) = check.certificate_expires_at else { return Vec::new() };
    let mut text = String::new();
    // Writing to a string cannot fail.
    if let Some(subject) = &check.certificate_subject {
        let _ = write!(text, "{subject}, ");
    }
    if let Some(issuer) = &check.certificate_issuer {
        let _ = write!(text, "issued by {issuer}, ");
    }
    let left = (expires_at.as_micros() - now.as_micros()) / (24 * 3600 * 1_000_000);
    let date = expires_at.to_string();
    let date = date.split('T').next().unwrap_or_default();
    let _ = match left {
        i64::MIN..=-1 => write!(text, "expired on {date}"),
        1 => write!(text, "expires on {date}, in 1 day"),
        left => write!(text, "expires on {date}, in {left} days"),
    };
    let mut lines = vec![field("certificate", &text)];
    if check.insecure {
        lines.push(field("", "not verified: the site is configured as insecure"));
    }
    lines
}

fn expectation(verdict: &Verdict, look: &Look) -> String {
    let mark = match (&verdict.failure, verdict.is_known) {
        (Some(_), _) => look.bad("✗"),
        (None, true) => look.well("✓"),
        (None, false) => look.faint("–"),
    };
    let unknown = if verdict.failure.is_none() && !verdict.is_known { " (the check ended before)" } else { "" };
    format!("      {mark} {}{}", verdict.expected, look.faint(unknown))
}

fn milliseconds(us: u64) -> String {
    format!("{}.{} ms", us / 1000, us % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use isitup_shared::event::{Failure, FailureKind, Outcome};

    use super::*;
    use crate::target::Target;

    const PLAIN: Look = Look { is_coloured: false };

    fn rendered(name: Option<&str>, check: Check, verdicts: Vec<Verdict>) -> String {
        let site = Site::new(Target::parse(&check.url).unwrap(), name, Arc::default());
        render(&site, &Examination { check, verdicts }, UtcTime::EPOCH, &PLAIN)
    }

    fn check() -> Check {
        Check {
            status: Some(200),
            http_version: Some("HTTP/1.1".into()),
            remote_addr: Some("192.0.2.1:443".into()),
            body_bytes: Some(1256),
            timings_us: Timings {
                dns: Some(10_000),
                connect: Some(20_000),
                tls: Some(30_000),
                first_byte: Some(39_960),
                body: Some(40),
                total: 100_000,
            },
            certificate_expires_at: Some(UtcTime::from_micros(40 * 24 * 3600 * 1_000_000)),
            certificate_subject: Some("CN=a.test".into()),
            certificate_issuer: Some("CN=R11".into()),
            ..Check::up("a", "https://a.test", UtcTime::EPOCH)
        }
    }

    #[test]
    fn a_check_is_shown_with_its_phases_certificate_and_expectations() {
        let failure = Failure { kind: FailureKind::BodyMismatch, detail: "body without a match for \"hi\"".into() };
        let verdicts = vec![
            Verdict { expected: "status 200-299".into(), failure: None, is_known: true },
            Verdict { expected: "body matches \"hi\"".into(), failure: Some(failure.clone()), is_known: true },
            Verdict { expected: "took at most 1 s".into(), failure: None, is_known: false },
        ];
        let check = Check { outcome: Outcome::Down { failure }, ..check() };
        insta::assert_snapshot!(rendered(Some("login"), check, verdicts), @r#"
        down  login  https://a.test
              answer      200, HTTP/1.1, from 192.0.2.1:443, 1256 bytes
              dns             10.0 ms  ████
              connect         20.0 ms      ████████
              tls             30.0 ms              ████████████
              first byte      39.9 ms                          ███████████████
              body             0.0 ms                                         █
              total          100.0 ms
              certificate CN=a.test, issued by CN=R11, expires on 1970-02-10, in 40 days
              ✓ status 200-299
              ✗ body matches "hi"
              – took at most 1 s (the check ended before)
              reason      body_mismatch: body without a match for "hi"
        "#);
    }

    #[test]
    fn redirects_are_shown_hop_by_hop() {
        let hop = |url: &str, status, total| HopReport {
            url: url.into(),
            status: Some(status),
            remote_addr: None,
            timings_us: Timings { connect: Some(total / 2), first_byte: Some(total / 2), total, ..Timings::default() },
        };
        let hops = [hop("http://a.test/", 302, 60_000), hop("http://b.test/", 200, 40_000)].into();
        let check = Check { hops, redirects: 1, certificate_expires_at: None, ..check() };
        insta::assert_snapshot!(rendered(None, check, Vec::new()), @"
        up    https://a.test
              answer      200, HTTP/1.1, from 192.0.2.1:443, 1256 bytes
              request     302 http://a.test/
              connect         30.0 ms  ████████████
              first byte      30.0 ms              ████████████
              request     200 http://b.test/
              connect         20.0 ms                          ████████
              first byte      20.0 ms                                  ████████
              total          100.0 ms
        ");
    }
}
