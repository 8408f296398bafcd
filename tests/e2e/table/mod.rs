//! A table of servers and names, well and misbehaving, each with the row that it must become: from a real listener on
//! loopback through producer, Kafka and consumer into `check_result`, and the same by `isitup-producer check --json`.

mod cases;
mod servers;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Pipeline, Service};
use cases::{Case, cases};

/// Addresses of loopback with their ports, which differ from run to run, as `ADDRESS`.
fn normalized(text: &str) -> String {
    let mut normal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("127.0.0.1:") {
        normal.push_str(&rest[..at]);
        normal.push_str("ADDRESS");
        rest = rest[at + "127.0.0.1:".len()..].trim_start_matches(|c: char| c.is_ascii_digit());
    }
    without_numbers(&(normal + rest))
}

/// What is different each day or each time: how many days are left, and how long something took.
fn without_numbers(text: &str) -> String {
    let blank = |text: &str, before: &str, after: &str| match text.split_once(before) {
        Some((head, tail)) => match tail.split_once(after) {
            Some((_, end)) => format!("{head}{before}N{after}{end}"),
            None => text.to_owned(),
        },
        None => text.to_owned(),
    };
    blank(&blank(text, ", in ", " days"), ": took ", ", expected")
}

/// What a case says of its row: the status, the phases by their first letters (dns, connect, tls, first byte, body), and
/// what came of it, with whatever else failed after a `+`.
fn told(event: &Value) -> String {
    let status = event["status"].as_u64().map_or_else(|| "-".to_owned(), |status| status.to_string());
    let phases = ["dns", "connect", "tls", "first_byte", "body"];
    let phases: String =
        phases.iter().filter(|phase| !event["timings_us"][**phase].is_null()).map(|phase| &phase[..1]).collect();
    let failure = |failure: &Value| {
        format!("{}: {}", failure["kind"].as_str().unwrap_or_default(), failure["detail"].as_str().unwrap_or_default())
    };
    let mut outcome = match &event["failure"] {
        Value::Null => "up".to_owned(),
        found => failure(found),
    };
    for more in event["further_failures"].as_array().into_iter().flatten() {
        outcome = format!("{outcome} + {}", failure(more));
    }
    normalized(&format!("{status} {phases} {outcome}"))
}

fn pipeline_of(cases: &[Case]) -> Pipeline<'static> {
    let pipeline = Pipeline::new("table").every(Duration::from_secs(4));
    cases.iter().fold(pipeline, |pipeline, case| pipeline.site_with(&case.name, &case.url, &case.settings))
}

#[test]
fn each_server_becomes_its_row() {
    let cases = cases();
    let names: std::collections::BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert!(names.len() == cases.len() && cases.len() >= 60, "{} cases, {} names", cases.len(), names.len());
    let pipeline = pipeline_of(&cases);
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_each_site();
    pipeline.prove(producer);

    let kinds = pipeline.database().value::<i64>("SELECT count(DISTINCT failure_kind) FROM check_result");
    assert_eq!(kinds, 13, "all kinds of failure have met a server");
    // The columns put together as in the event, which the proof has shown to be the same.
    let sql = "SELECT jsonb_build_object('site', site, 'status', status, 'further_failures', further_failures,
                   'failure', CASE WHEN outcome = 'down' THEN
                       jsonb_build_object('kind', failure_kind, 'detail', failure_detail) END,
                   'timings_us', jsonb_build_object('dns', dns_us, 'connect', connect_us, 'tls', tls_us,
                       'first_byte', first_byte_us, 'body', body_us))::text
               FROM check_result";
    let rows = pipeline.database().column::<String>(sql, &[]);
    assert_as_told(&cases, rows.iter().map(|row| serde_json::from_str(row).unwrap()));
}

#[test]
fn each_server_is_told_the_same_by_a_single_check() {
    let cases = cases();
    let pipeline = pipeline_of(&cases);
    let checked = Service::start("check", pipeline.command("isitup-producer", &["check", "--all", "--json"])).wait();
    assert_eq!(checked.code, Some(1), "{}", checked.log);
    let events: Vec<Value> = checked.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sites: Vec<&str> = events.iter().filter_map(|event| event["site"].as_str()).collect();
    assert_eq!(sites, cases.iter().map(|case| case.name.as_str()).collect::<Vec<_>>(), "in the order of the file");
    assert_as_told(&cases, events.into_iter());
}

#[track_caller]
fn assert_as_told(cases: &[Case], events: impl Iterator<Item = Value>) {
    let mut by_site: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in events {
        let said = by_site.entry(event["site"].as_str().unwrap().to_owned()).or_default();
        said.push(told(&event));
        said.dedup();
    }
    let differs = |case: &&Case| by_site.get(&case.name).is_none_or(|said| *said != [case.told]);
    let wrong: Vec<String> = cases
        .iter()
        .filter(differs)
        .map(|case| format!("{}\n    expected {}\n    met      {:?}", case.name, case.told, by_site.get(&case.name)))
        .collect();
    assert!(wrong.is_empty(), "{} of {} cases differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
