//! The contract as others meet it: the JSON of each type of event, its schema, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a failed step may well end it, in its helpers too")]

use std::sync::LazyLock;
use std::{env, fs};

use isitup_shared::config::Format;
use isitup_shared::event::{
    Body, Check, ClockStep, Draft, Event, Failure, FailureKind, FurtherFailures, Gap, GapReason, HopReport, Hops,
    LARGEST_EVENT, Name, Outcome, ProducerReport, ProducerState, Rank, SCHEMA_VERSION, Sealer, SeqRange, SiteNames,
    Text, TimeSpan, Timings, decode, is_forbidden, json_schema,
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
        Body::Gap(Gap::of_span(GapReason::Overrun, time(0), time(1), Some(["login".into()].into()))),
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
        (well.replace("\"seq\":1", "\"seq\":0"), "seq 0 is outside 1 to 9007199254740991"),
        (well.replace("\"seq\":1", "\"seq\":-4"), "seq -4 is outside 1 to 9007199254740991"),
        (
            well.replace("\"seq\":1", "\"seq\":18446744073709551615"),
            "seq 18446744073709551615 is outside 1 to 9007199254740991",
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
            site: site.as_str().into(),
            outcome: Outcome::down(FailureKind::Protocol, detail.as_str()),
            ..check()
        }));
        let message = Sealer::new(Uuid::nil(), &location).seal(&Draft::new(&body, Format::Json), 1);
        let event = decode(&message).unwrap();
        prop_assert_eq!(event.body, body);
        prop_assert_eq!(event.envelope.location, Name::from(location));
    }
}

/// Where a text stands in a check, by its JSON pointer, with its most characters.
const TEXTS: [(&str, usize); 15] = [
    ("/location", 256),
    ("/site", 256),
    ("/url", 2048),
    ("/group", 256),
    ("/config_hash", 128),
    ("/http_version", 128),
    ("/remote_addr", 128),
    ("/final_url", 2048),
    ("/failure/detail", 1024),
    ("/further_failures/0/detail", 1024),
    ("/hops/0/url", 2048),
    ("/hops/0/remote_addr", 128),
    ("/certificate_subject", 256),
    ("/dns_code", 128),
    ("/prober_fault", 1024),
];

/// A message of a check in which every field of `TEXTS` stands.
fn every_text() -> Value {
    let hop =
        HopReport { url: "u".into(), status: None, remote_addr: Some("a".into()), timings_us: Timings::default() };
    let check = Check {
        outcome: Outcome::down(FailureKind::Status, "status 500"),
        hops: [hop].into(),
        further_failures: [Failure { kind: FailureKind::BodyMismatch, detail: "no".into() }].into(),
        certificate_subject: Some("s".into()),
        certificate_issuer: Some("i".into()),
        dns_code: Some("NOERROR".into()),
        prober_fault: Some("f".into()),
        ..check()
    };
    serde_json::from_slice(&seal(&Body::Check(Box::new(check)), 1)).unwrap()
}

/// What the decoder and the schema say to `message` with `value` at `pointer`.
fn judged(message: &Value, pointer: &str, value: impl Into<Value>) -> (Result<(), String>, bool) {
    let mut changed = message.clone();
    *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value.into();
    static SCHEMA: LazyLock<jsonschema::Validator> =
        LazyLock::new(|| jsonschema::validator_for(&json_schema()).unwrap());
    let is_valid = SCHEMA.is_valid(&changed);
    (decode(changed.to_string().as_bytes()).map(drop).map_err(|error| error.to_string()), is_valid)
}

#[test]
fn a_text_beyond_its_limit_is_refused_with_its_field_and_limit() {
    let message = every_text();
    for (pointer, most) in TEXTS {
        assert_eq!(judged(&message, pointer, "x".repeat(most)), (Ok(()), true), "{pointer}");
        let (refused, is_valid) = judged(&message, pointer, "x".repeat(most + 1));
        let reason = refused.unwrap_err();
        let field = pointer.trim_start_matches('/').replace("/0/", "[0].").replace('/', ".");
        assert!(reason.contains(&field) && reason.contains(&most.to_string()), "{pointer}: {reason}");
        assert!(!is_valid, "{pointer}");
    }
}

#[test]
fn a_text_with_a_forbidden_character_is_refused_with_its_field() {
    let message = every_text();
    for c in "\0\x07\x1b\x7f\u{85}\u{9b}\u{61c}\u{200b}\u{200e}\u{202e}\u{2028}\u{2029}\u{2066}\u{2069}\u{feff}".chars()
    {
        for (pointer, _) in TEXTS {
            let (refused, is_valid) = judged(&message, pointer, format!("a{c}b"));
            let (reason, code) = (refused.unwrap_err(), format!("U+{:04X}", u32::from(c)));
            let field = pointer.rsplit('/').next().unwrap();
            assert!(reason.contains(field) && reason.contains(&code), "{pointer}: {reason}");
            assert!(!is_valid, "{pointer} {code}");
        }
    }
    assert_eq!(judged(&message, "/site", "\u{645}\u{200c}\u{2019} \u{1f469}\u{200d}\u{1f680}"), (Ok(()), true));
}

#[test]
fn a_list_beyond_its_limit_is_refused_with_its_field_and_limit() {
    let message = every_text();
    for (field, most) in [("hops", 11), ("further_failures", 32)] {
        let items = |count| vec![message[field][0].clone(); count];
        assert_eq!(judged(&message, &format!("/{field}"), items(most)), (Ok(()), true), "{field}");
        let (refused, is_valid) = judged(&message, &format!("/{field}"), items(most + 1));
        let reason = refused.unwrap_err();
        assert!(reason.contains(field) && reason.contains(&most.to_string()) && !is_valid, "{reason}");
    }
    let gap = &one_of_each()[3];
    let gap: Value = serde_json::from_slice(&seal(gap, 1)).unwrap();
    assert_eq!(judged(&gap, "/sites", vec!["x".repeat(256); 200]), (Ok(()), true));
    let (refused, is_valid) = judged(&gap, "/sites", vec!["x"; 201]);
    assert!(refused.is_err_and(|reason| reason.contains("sites: more than 200 items")) && !is_valid);
}

#[test]
fn a_number_that_cannot_be_is_refused_with_its_field() {
    const HIGHEST: u64 = (1 << 53) - 1;
    let message = every_text();
    let gap: Value = serde_json::from_slice(&seal(&one_of_each()[2], 1)).unwrap();
    let report: Value = serde_json::from_slice(&seal(&one_of_each()[5], 1)).unwrap();
    let mut check = message.clone();
    (check["queue_us"], check["confirmation"]) = (1.into(), 1.into());
    for (message, pointer, most) in [
        (&check, "/seq", HIGHEST),
        (&check, "/body_bytes", HIGHEST),
        (&check, "/queue_us", HIGHEST),
        (&check, "/timings_us/total", HIGHEST),
        (&check, "/hops/0/timings_us/total", HIGHEST),
        (&check, "/redirects", i32::MAX as u64),
        (&check, "/confirmation", i32::MAX as u64),
        (&gap, "/last_seq", HIGHEST),
        (&report, "/site_count", HIGHEST),
    ] {
        assert_eq!(judged(message, pointer, most), (Ok(()), true), "{pointer}");
        let (refused, is_valid) = judged(message, pointer, most + 1);
        let (reason, field) = (refused.unwrap_err(), pointer.split('/').nth(1).unwrap());
        assert!(reason.contains(field), "{pointer}: {reason}");
        assert!(!is_valid, "{pointer}");
    }
    for strange in ["1e400", "-1", "1.5", "18446744073709551616", "\"1\"", "[1]", "true"] {
        let text = message.to_string().replace("\"body_bytes\":1256", &format!("\"body_bytes\":{strange}"));
        assert!(decode(text.as_bytes()).is_err_and(|error| error.to_string().contains("body_bytes")), "{strange}");
    }
}

#[test]
fn a_message_longer_than_any_event_is_refused_unread() {
    let mut message = seal(&one_of_each()[0], 1);
    message.resize(LARGEST_EVENT, b' ');
    assert!(decode(&message).is_ok());
    message.push(b' ');
    assert_eq!(decode(&message).unwrap_err().to_string(), "262145 bytes long, an event has at most 262144");
}

#[test]
fn a_reason_holds_nothing_that_a_terminal_obeys_and_is_short() {
    let message = every_text();
    let hostile = format!("\x1b[2J\0\u{202e}{}", "x".repeat(100_000));
    for pointer in ["/type", "/outcome", "/failure/kind", "/producer_id", "/scheduled_at", "/site", "/status"] {
        let reason = judged(&message, pointer, hostile.as_str()).0.unwrap_err();
        assert!(!reason.chars().any(is_forbidden) && reason.len() < 1200, "{pointer}: {reason:?}");
    }
    let unknown = json!({"v": 1, &hostile: 1, "type": &hostile}).to_string();
    assert!(!decode(unknown.as_bytes()).unwrap_err().to_string().chars().any(is_forbidden));
}

#[test]
fn nesting_and_doubled_keys_do_no_harm() {
    let text = every_text().to_string();
    for (from, to) in [
        ("\"site\":\"login\"", "\"site\":\"login\",\"site\":\"other\""),
        ("\"v\":1", "\"v\":1,\"v\":1"),
        ("\"seq\":1", "\"seq\":1,\"seq\":2"),
        ("\"detail\":\"status 500\"", "\"detail\":\"status 500\",\"detail\":\"\""),
    ] {
        assert!(text.contains(from), "{from}");
        let error = decode(text.replacen(from, to, 1).as_bytes()).unwrap_err().to_string();
        assert!(error.contains("duplicate field"), "{error}");
    }
    let nested = |open: &str, close: &str| format!("{}{}", open.repeat(20_000), close.repeat(20_000));
    for deep in [nested("[", "]"), nested("{\"a\":", "}")] {
        let _ = decode(text.replacen("\"v\":1", &format!("\"v\":1,\"more\":{deep}"), 1).as_bytes());
    }
}

/// The largest event of each type: every text and list is full of what takes most bytes in JSON.
fn largest() -> Vec<Body> {
    fn full<const CHARS: usize, const BYTES: usize>() -> Text<CHARS, BYTES> {
        // Escaped in JSON, or four bytes of UTF-8, whichever is more.
        let (quotes, astral) = ("\"".repeat(CHARS), "\u{10ffff}".repeat(CHARS.min(BYTES / 4)));
        Text::strict(if quotes.len() * 2 >= astral.len() { quotes } else { astral }).unwrap()
    }
    let highest = (1 << 53) - 1;
    let time = UtcTime::from_micros(253_402_300_799_999_999);
    let timings = Timings {
        dns: Some(highest),
        connect: Some(highest),
        tls: Some(highest),
        first_byte: Some(highest),
        body: Some(highest),
        total: highest,
    };
    let hop = || HopReport { url: full(), status: Some(u16::MAX), remote_addr: Some(full()), timings_us: timings };
    let failure = || Failure { kind: FailureKind::CertificateExpiring, detail: full() };
    let check = Check {
        group: Some(full()),
        outcome: Outcome::Down { failure: failure() },
        status: Some(u16::MAX),
        body_matched: Some(false),
        body_bytes: Some(highest),
        http_version: Some(full()),
        remote_addr: Some(full()),
        final_url: Some(full()),
        redirects: i32::MAX as u32,
        timings_us: timings,
        hops: vec![hop(); Hops::MOST].try_into().unwrap(),
        further_failures: vec![failure(); FurtherFailures::MOST].try_into().unwrap(),
        certificate_expires_at: Some(time),
        certificate_subject: Some(full()),
        certificate_issuer: Some(full()),
        insecure: true,
        dns_code: Some(full()),
        queue_us: Some(highest),
        reference_answered: Some(false),
        prober_fault: Some(full()),
        maintenance: true,
        confirmation: Some(i32::MAX as u32),
        confirmed: Some(false),
        config_hash: full(),
        ..Check::up(full::<256, 1024>(), full::<2048, 2048>(), time)
    };
    let sites = vec![full(); SiteNames::MOST].try_into().unwrap();
    let span = TimeSpan { from: time, to: time, sites: Some(sites) };
    vec![
        Body::Check(Box::new(check)),
        Body::Gap(Gap {
            reason: GapReason::TopicTruncated,
            seqs: Some(SeqRange { first: highest, last: highest }),
            span: Some(span),
        }),
        Body::Producer(ProducerReport {
            state: ProducerState::Heartbeat,
            at: time,
            site_count: highest,
            config_hash: full(),
            version: full(),
        }),
    ]
}

#[test]
fn the_largest_event_of_each_type_is_within_the_limit_in_both_formats() {
    let sealer = Sealer::new(Uuid::max(), &"\u{10ffff}".repeat(1000));
    for body in largest() {
        for format in [Format::Json, Format::Avro] {
            let message = sealer.seal(&Draft::new(&body, format), (1 << 53) - 1);
            assert!(message.len() <= LARGEST_EVENT, "{} in {format:?}: {} bytes", body.type_name(), message.len());
            assert_eq!(decode(&message).unwrap().body, body);
        }
    }
}
