//! `dns://server/name?type=A`: asks a name server, and looks at the answer code and the records.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use hickory_proto::op::Message;
use hickory_proto::rr::{self, RData, Record};
use isitup_shared::event::{Failure, FailureKind};

use super::dial::Dial;
use super::findings::Findings;
use super::nameserver::{self, Patience, Unanswered};
use super::resolver::Resolver;
use super::words;
use crate::site::{Expect, Site};
use crate::target::{Question, RecordType};

/// Checks `site` by asking `question`; the check `began` just now.
pub(super) fn probe(site: &Site, question: &Question, resolver: &Resolver, began: Instant) -> Findings {
    let mut found = Findings::default();
    let Some(name) = nameserver::name(&question.name) else {
        found.fail(FailureKind::InvalidUrl, format!("{} is no name that can be asked for", question.name));
        return found;
    };
    let dial = Dial::new(site, &question.server, resolver, began);
    let servers = dial.addresses();
    found.phases.dns = resolving(&dial);
    let answer = servers.and_then(|servers| {
        let asked_at = Instant::now();
        let answer = ask(&servers, &name, question.record_type, &dial, &mut found);
        found.phases.first_byte = Some(asked_at.elapsed());
        answer
    });
    match answer {
        Ok(answer) => {
            let code = nameserver::code_word(answer.metadata.response_code);
            found.failure = judge(&site.settings.expect, &code, &answer.answers);
            found.dns_code = Some(code);
        }
        Err(failure) => found.failure = Some(failure),
    }
    found
}

/// How long the name of the server took to resolve, or has taken.
fn resolving(dial: &Dial<'_>) -> Option<std::time::Duration> {
    let reached = dial.hop.reached();
    let began = reached.resolving?;
    Some(reached.resolved.unwrap_or_else(Instant::now).saturating_duration_since(began))
}

/// Asks the first of `servers` that answers.
fn ask(
    servers: &[SocketAddr],
    name: &rr::Name,
    record_type: RecordType,
    dial: &Dial<'_>,
    found: &mut Findings,
) -> Result<Message, Failure> {
    // Connected as far as one can be: from here on, a time-out is one of the answer.
    dial.hop.reached().connected = Some(Instant::now());
    let mut last = dial.timed_out();
    for (i, server) in servers.iter().enumerate() {
        let share = dial.left() / u32::try_from(servers.len() - i).unwrap_or(u32::MAX);
        let patience = Patience { deadline: Instant::now() + share, is_wanted: &|| true };
        last = match nameserver::ask(*server, name, wire_type(record_type), &patience) {
            Ok(answer) => {
                found.remote_addr = Some(*server);
                return Ok(answer);
            }
            Err(Unanswered::Late) => dial.timed_out(),
            Err(Unanswered::Unreachable(error)) => dial.unconnected(&error),
            Err(Unanswered::Garbage) => {
                found.remote_addr = Some(*server);
                Failure { kind: FailureKind::Protocol, detail: "the answer is not DNS, or not to the question".into() }
            }
        };
    }
    Err(last)
}

fn wire_type(record_type: RecordType) -> rr::RecordType {
    match record_type {
        RecordType::A => rr::RecordType::A,
        RecordType::Aaaa => rr::RecordType::AAAA,
        RecordType::Caa => rr::RecordType::CAA,
        RecordType::Cname => rr::RecordType::CNAME,
        RecordType::Mx => rr::RecordType::MX,
        RecordType::Ns => rr::RecordType::NS,
        RecordType::Ptr => rr::RecordType::PTR,
        RecordType::Soa => rr::RecordType::SOA,
        RecordType::Srv => rr::RecordType::SRV,
        RecordType::Txt => rr::RecordType::TXT,
    }
}

fn judge(expect: &Expect, code: &str, records: &[Record]) -> Option<Failure> {
    if !expect.dns_codes.contains(code) {
        let detail = format!("answer code {code}, expected {}", expect.dns_codes);
        return Some(Failure { kind: FailureKind::Status, detail });
    }
    let shown: Vec<String> = records.iter().map(|record| text(&record.data)).collect();
    let normal: Vec<String> = shown.iter().map(|record| normal(record)).collect();
    let missing = expect.records.iter().find(|wanted| !normal.contains(&self::normal(wanted)))?;
    let there = if shown.is_empty() { "no records".to_owned() } else { shown.join(", ") };
    let detail = format!("no record {:?} in the answer, which has {}", words::short(missing), words::short(&there));
    Some(Failure { kind: FailureKind::BodyMismatch, detail })
}

/// The data of a record as a zone file has it; of a text, its parts joined.
fn text(data: &RData) -> String {
    match data {
        RData::TXT(txt) => format!("\"{}\"", String::from_utf8_lossy(&txt.txt_data.concat())),
        data => data.to_string(),
    }
}

/// One form for all that means the same: small letters, no closing dots, no quotes, addresses in their shortest form.
fn normal(record: &str) -> String {
    let unquoted = record.replace("\" \"", "").replace('"', "");
    let words = unquoted.split_whitespace().map(|word| {
        let word = word.trim_end_matches('.').to_ascii_lowercase();
        word.parse::<IpAddr>().map_or(word, |address| address.to_string())
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_compared_without_case_closing_dots_quotes_and_ways_to_write_an_address() {
        for (one, other) in [
            ("10 Mail.Example.com.", "10 mail.example.com"),
            ("2001:DB8:0:0::1", "2001:db8::1"),
            ("\"v=spf1 -all\"", "v=spf1 -all"),
            ("\"v=spf1 \" \"-all\"", "\"v=spf1 -all\""),
            ("0 issue \"ca.example\"", "0 issue ca.example."),
        ] {
            assert_eq!(normal(one), normal(other));
        }
        assert_ne!(normal("10 mail.example.com"), normal("20 mail.example.com"));
    }
}
