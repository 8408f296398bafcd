//! Checks `dns://server/name?type=A`: what a name server answers.

use std::io;
use std::time::Instant;

use isitup_shared::event::FailureKind;

use super::dial::Dial;
use super::failure;
use super::findings::Findings;
use super::nameserver::{self, NoAnswer};
use crate::endpoint::Question;
use crate::site::Route;

/// Asks `question` of its name server.
pub(super) fn probe(dial: &Dial<'_>, question: &Question) -> Findings {
    let mut found = Findings::default();
    // What stands in for a host, perhaps by default, is for sites that connect to it: another server would be asked here.
    let route = Route { connect_to: None, ..dial.site.settings.route };
    let Some(addresses) = dial.resolve(&question.server, route, &mut found) else { return found };
    let Some(server) = addresses.first().copied() else { return found };
    found.remote_addr = Some(server);
    let began = Instant::now();
    let answer = nameserver::ask(server, &question.name, question.record_type.as_str(), dial.deadline);
    found.phases.first_byte = Some(began.elapsed());
    match answer {
        Ok(answer) => {
            found.judge_records(&dial.site.settings.expect, &answer.code, &answer.records);
            found.dns_code = Some(answer.code.into());
        }
        Err(error) => fail(dial, question, &mut found, error),
    }
    found
}

fn fail(dial: &Dial<'_>, question: &Question, found: &mut Findings, error: NoAnswer) {
    match error {
        NoAnswer::BadName => found.fail(FailureKind::InvalidUrl, format!("{} is no name", question.name)),
        NoAnswer::Late => found.fail(FailureKind::Timeout, format!("no answer within {}", dial.within())),
        NoAnswer::Garbage => found.fail(FailureKind::Protocol, "the answer is not DNS, or not to the question"),
        NoAnswer::Broken(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            found.fail(FailureKind::Protocol, "connection closed before an answer");
        }
        NoAnswer::Broken(error) => {
            let (kind, detail) = failure::of_connect(&error, &question.server.to_string());
            found.prober_fault = failure::is_of_machine(&error).then(|| detail.as_str().into());
            found.fail(kind, detail);
        }
    }
}
