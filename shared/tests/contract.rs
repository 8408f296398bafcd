//! The contract as others meet it: the JSON of each type of event, its schema, and what is refused.

use std::{env, fs};

use isitup_shared::config::Format;
use isitup_shared::event::{
    Body, Check, ClockStep, Draft, Event, FailureKind, Gap, GapReason, Outcome, ProducerReport, ProducerState, Rank,
    SCHEMA_VERSION, Sealer, Timings, decode, json_schema,
};
use isitup_shared::time::UtcTime;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

const SCHEMA_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/event.schema.json");

fn time(micros: i64) -> UtcTime {
    UtcTime::from_micros(1_795_228_000_000_000 + micros)
}

fn check() -> Check {
    Check {
        site: "login".into(),
        url: "https://example.com/login".into(),
        group: Some("web".into()),
        scheduled_at: time(0),
        started_at: time(1_250),
        finished_at: time(81_250),
        outcome: Outcome::Up,
        status: Some(200),
        body_matched: Some(true),
        body_bytes: Some(1256),
        http_version: Some("HTTP/2.0".into()),
        remote_addr: Some("93.184.215.14:443".into()),
        final_url: Some("https://example.com/login/".into()),
        redirects: 1,
        timings_us: Timings {
            dns: Some(1),
            connect: Some(2),
            tls: Some(3),
            first_byte: Some(4),
            body: Some(5),
            total: 80_000,
        },
        certificate_expires_at: Some(time(0)),
        config_hash: "0f3c".into(),
        ..Check::up("", "", time(0))
    }
}

fn one_of_each() -> Vec<Body> {
    let down = Check {
        outcome: Outcome::down(FailureKind::ConnectRefused, "connection refused by 127.0.0.1:1"),
        group: None,
        status: None,
        body_matched: None,
        body_bytes: None,
        http_version: None,
        remote_addr: None,
        final_url: None,
        redirects: 0,
        timings_us: Timings { total: 900, ..Timings::default() },
        certificate_expires_at: None,
        ..check()
    };
    vec![
        Body::Check(Box::new(check())),
        Body::Check(Box::new(down)),
        Body::Gap(Gap::of_seqs(GapReason::SpoolFull, 3, 9)),
        Body::Gap(Gap::of_span(GapReason::Overrun, time(0), time(1), Some(vec!["login".into()]))),
        Body::Gap(Gap::of_span(GapReason::ProducerDown, time(0), time(1), None)),
        Body::Producer(ProducerReport {
            state: ProducerState::Started,
            at: time(0),
            site_count: 2,
            config_hash: "0f3c".into(),
            version: "0.1.0".into(),
        }),
        Body::ClockStep(ClockStep { at: time(0), step_us: -3_600_000_000 }),
    ]
}

fn seal(body: &Body, seq: u64) -> Vec<u8> {
    Sealer::new(Uuid::nil(), "here").seal(&Draft::new(body, Format::Json), seq)
}

#[test]
fn a_check_lies_flat_beside_its_envelope() {
    let message: Value = serde_json::from_slice(&seal(&Body::Check(Box::new(check())), 7)).unwrap();
    let expected = json!({
        "v": 1, "type": "check", "producer_id": "00000000-0000-0000-0000-000000000000", "seq": 7, "location": "here",
        "site": "login", "url": "https://example.com/login", "group": "web",
        "scheduled_at": "2026-11-21T02:26:40.000000Z", "started_at": "2026-11-21T02:26:40.001250Z",
        "finished_at": "2026-11-21T02:26:40.081250Z", "outcome": "up", "status": 200, "body_matched": true,
        "body_bytes": 1256, "http_version": "HTTP/2.0", "remote_addr": "93.184.215.14:443",
        "final_url": "https://example.com/login/", "redirects": 1,
        "timings_us": {"dns": 1, "connect": 2, "tls": 3, "first_byte": 4, "body": 5, "total": 80000},
        "certificate_expires_at": "2026-11-21T02:26:40.000000Z", "config_hash": "0f3c",
    });
    assert_eq!(message, expected);
}

#[test]
fn a_failure_stands_apart_and_what_is_unknown_is_absent() {
    let message: Value = serde_json::from_slice(&seal(&one_of_each()[1], 8)).unwrap();
    assert_eq!(message["outcome"], "down");
    assert_eq!(message["failure"], json!({"kind": "connect_refused", "detail": "connection refused by 127.0.0.1:1"}));
    assert_eq!(message["timings_us"], json!({"total": 900}));
    assert_eq!(message.get("status"), None);
    assert_eq!(message.get("group"), None);
}

#[test]
fn every_type_reads_back_as_it_was_written() {
    for (body, seq) in one_of_each().into_iter().zip(1..) {
        let Event { envelope, body: read } = decode(&seal(&body, seq)).unwrap();
        assert_eq!((envelope.v, envelope.seq, envelope.location.as_str()), (SCHEMA_VERSION, seq, "here"));
        assert_eq!(read, body);
    }
}

#[test]
fn the_schema_in_the_repository_is_that_of_the_types() {
    let generated = format!("{:#}\n", json_schema());
    if env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(SCHEMA_FILE, &generated).unwrap();
    }
    let kept = fs::read_to_string(SCHEMA_FILE).unwrap_or_default();
    assert!(
        kept == generated,
        "{SCHEMA_FILE} is not what the types say; run with UPDATE_SCHEMA=1 and review the change"
    );
}

#[test]
fn the_schema_takes_every_event_and_refuses_others() {
    let schema = json_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for body in one_of_each() {
        let message: Value = serde_json::from_slice(&seal(&body, 1)).unwrap();
        if let Err(error) = validator.validate(&message) {
            panic!("{message:#}: {error}");
        }
    }
    let well: Value = serde_json::from_slice(&seal(&one_of_each()[0], 1)).unwrap();
    for (key, wrong) in [("seq", json!(0)), ("v", json!(9)), ("outcome", json!("maybe")), ("site", json!(null))] {
        let mut message = well.clone();
        message[key] = wrong;
        assert!(!validator.is_valid(&message), "{key}");
    }
}

#[test]
fn what_is_no_event_is_refused_with_the_reason() {
    let well = String::from_utf8(seal(&one_of_each()[0], 1)).unwrap();
    let gap = String::from_utf8(seal(&one_of_each()[2], 1)).unwrap();
    let cases = [
        (String::new(), "empty value"),
        ("null".into(), "not an event: invalid type: null, expected struct Header"),
        ("{}".into(), "not an event: missing field `v`"),
        (well.replace("\"v\":1", "\"v\":2"), "unknown schema version 2; this release reads version 1"),
        (well.replace("\"v\":1", "\"v\":0"), "unknown schema version 0; this release reads version 1"),
        ("{\"v\":3}".into(), "unknown schema version 3; this release reads version 1"),
        (well.replace("\"check\"", "\"chess\""), "unknown event type \"chess\""),
        (well.replace("\"seq\":1", "\"seq\":0"), "seq 0 is outside 1 to 9223372036854775807"),
        (well.replace("\"seq\":1", "\"seq\":-4"), "seq -4 is outside 1 to 9223372036854775807"),
        (
            well.replace("\"seq\":1", "\"seq\":18446744073709551615"),
            "seq 18446744073709551615 is outside 1 to 9223372036854775807",
        ),
        (well.replace("\"seq\":1", "\"seq\":1.5"), "not an event: seq 1.5 is no whole number"),
        (well.replace("\"up\"", "\"maybe\""), "not an event: unknown variant `maybe`, expected `up` or `down`"),
        (
            gap.replace("\"last_seq\":9", "\"last_seq\":2"),
            "not an event: a gap's first_seq must be at least 1 and at most its last_seq",
        ),
    ];
    for (message, expected) in cases {
        let error = decode(message.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{message}: {error}");
    }
    assert!(decode(&[0xff, 0xfe]).unwrap_err().to_string().starts_with("not UTF-8"));
    let deep = "[".repeat(100_000);
    assert!(decode(deep.as_bytes()).is_err());
}

/// Within a version fields are added and nothing else: an older reader leaves them out, a newer one goes without.
#[test]
fn events_of_a_release_with_fewer_or_more_fields_are_read() {
    const SINCE_THE_BEGINNING: [&str; 14] = [
        "v",
        "type",
        "producer_id",
        "seq",
        "location",
        "site",
        "url",
        "scheduled_at",
        "started_at",
        "finished_at",
        "outcome",
        "failure",
        "timings_us",
        "config_hash",
    ];
    let whole: Value = serde_json::from_slice(&seal(&one_of_each()[1], 1)).unwrap();
    let mut bare = whole.clone();
    bare.as_object_mut().unwrap().retain(|key, _| SINCE_THE_BEGINNING.contains(&key.as_str()));
    let read = decode(bare.to_string().as_bytes()).unwrap();
    let Body::Check(check) = read.body else { panic!("{bare}") };
    assert_eq!((check.redirects, check.insecure, check.maintenance, check.hops.len()), (0, false, false, 0));
    let mut more = whole;
    more["yet_to_come"] = json!({"deep": [1, null]});
    more["timings_us"]["yet_to_come"] = json!(7);
    assert_eq!(decode(more.to_string().as_bytes()).unwrap().body, one_of_each()[1]);
}

#[test]
fn a_site_that_is_up_is_the_first_to_go_and_gaps_never_are() {
    let ranks: Vec<Rank> = one_of_each().iter().map(|body| Draft::new(body, Format::Json).rank()).collect();
    assert_eq!(ranks[..3], [Rank::Routine, Rank::Outage, Rank::Account]);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn any_text_survives_the_way(site in ".*", detail in ".*", location in ".*") {
        let body = Body::Check(Box::new(Check {
            site,
            outcome: Outcome::down(FailureKind::Protocol, detail),
            ..check()
        }));
        let message = Sealer::new(Uuid::nil(), &location).seal(&Draft::new(&body, Format::Json), 1);
        let event = decode(&message).unwrap();
        prop_assert_eq!(event.body, body);
        prop_assert_eq!(event.envelope.location, location);
    }
}
