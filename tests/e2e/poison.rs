//! Messages that are no events, or none that can be stored: each is set aside whole, and its neighbours are stored.

use isitup_shared::time::UtcTime;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Pipeline, eventually};

/// A check as a producer writes it.
pub(crate) fn check(producer: Uuid, seq: u64) -> Value {
    let now = UtcTime::now().to_string();
    json!({
        "v": 1, "type": "check", "producer_id": producer, "seq": seq, "location": "tests", "site": "a", "url": "http://a/",
        "scheduled_at": now, "started_at": now, "finished_at": now, "outcome": "up", "status": 200, "redirects": 0,
        "timings_us": {"total": 7}, "config_hash": "c",
    })
}

/// The check with one field changed.
pub(crate) fn with(mut check: Value, field: &str, value: Value) -> Vec<u8> {
    check[field] = value;
    check.to_string().into_bytes()
}

/// A rule that the database alone knows: no results with status 418.
pub(crate) const NO_TEAPOT: &str = "ALTER TABLE result ADD CONSTRAINT no_teapot CHECK (status <> 418)";

/// Messages beside words that the reason must have.
fn poisons(producer: Uuid) -> Vec<(Vec<u8>, &'static str)> {
    [poisons_of_every_check(producer), poisons_of_few(producer), poisons_of_any_kind(producer)].concat()
}

/// Bytes of other programs, or of none.
fn poisons_of_any_kind(producer: Uuid) -> Vec<(Vec<u8>, &'static str)> {
    // Whatever they are, they are the same in each run.
    let random = |length: u32| (0..length).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect::<Vec<u8>>();
    let deep = format!("{}{}", r#"{"a":"#.repeat(50_000), "}".repeat(50_000));
    let valid = || check(producer, 1000);
    let mut poisons = vec![
        (random(1), ""),
        (random(64), ""),
        (random(900_000), "900000 bytes long"),
        (random(200_000), "UTF-8"),
        (vec![0], "not an event"),
        (vec![0; 4096], "not an event"),
        (b"null".to_vec(), "not an event"),
        (b"\"check\"".to_vec(), "not an event"),
        (deep.into_bytes(), "at most 262144"),
        (with(valid(), "site", json!("x".repeat(900_000))), "at most 262144"),
        (with(valid(), "site", json!("x".repeat(200_000))), "site: 200000 bytes long"),
        (with(valid(), "location", json!("x".repeat(257))), "location: longer than 256 characters"),
        (with(valid(), "v", json!("1")), ""),
        (with(valid(), "v", json!(1.5)), ""),
        (with(valid(), "type", json!(null)), ""),
        (with(valid(), "scheduled_at", json!("0001-01-01T00:00:00.000000Z")), "1970"),
        (with(valid(), "scheduled_at", json!("9999-12-30T00:00:00.000000Z")), "ahead"),
    ];
    // Each field with a value of another type.
    let wrong = |field: &&str| if *field == "site" { json!(7) } else { json!({"a": [1]}) };
    let fields = ["producer_id", "seq", "location", "site", "url", "outcome", "timings_us", "finished_at"];
    let timings = |field: &&str| if *field == "timings_us" { json!("7 us") } else { wrong(field) };
    poisons.extend(fields.iter().map(|field| (with(valid(), field, timings(field)), "not an event")));
    poisons
}

/// In fields that few checks have.
fn poisons_of_few(producer: Uuid) -> Vec<(Vec<u8>, &'static str)> {
    let valid = || check(producer, 1000);
    vec![
        (with(valid(), "confirmation", json!(0)), "out of range"),
        (with(valid(), "confirmation", json!(u32::MAX)), "out of range"),
        (with(valid(), "queue_us", json!(u64::MAX)), "out of range"),
        (with(valid(), "hops", json!([{"url": "http://a/", "timings_us": {"total": u64::MAX}}])), "out of range"),
        (
            with(valid(), "hops", json!([{"url": "http://a\0/", "timings_us": {"total": 1}}])),
            "hops[0].url: holds U+0000",
        ),
        (
            with(valid(), "hops", json!(vec![json!({"url": "http://a/", "timings_us": {"total": 1}}); 12])),
            "hops: more than 11",
        ),
        (with(valid(), "further_failures", json!([{"kind": "rumour", "detail": "-"}])), "not an event"),
        (with(valid(), "certificate_subject", json!("CN=\u{1b}[31m")), "certificate_subject: holds U+001B"),
        (with(valid(), "prober_fault", json!("\0")), "prober_fault: holds U+0000"),
    ]
}

fn poisons_of_every_check(producer: Uuid) -> Vec<(Vec<u8>, &'static str)> {
    let valid = || check(producer, 1000);
    let gap =
        json!({"v": 1, "type": "gap", "producer_id": producer, "seq": 1000, "location": "tests", "reason": "overrun"});
    vec![
        (b"\xfe\xed\x00\xfa\xce".to_vec(), "UTF-8"),
        (Vec::new(), "empty value"),
        (b"{\"v\":1,".to_vec(), "not an event"),
        (b"[1, 2, 3]".to_vec(), "not an event"),
        (vec![b'['; 100_000], "not an event"),
        (with(valid(), "v", json!(7)), "version 7"),
        (with(valid(), "v", json!(0)), "version 0"),
        (with(valid(), "type", json!("rumour")), "rumour"),
        (with(valid(), "site", json!("a\0b")), "site: holds U+0000"),
        (with(valid(), "location", json!("\0")), "location: holds U+0000"),
        (with(valid(), "config_hash", json!("\u{202e}")), "config_hash: holds U+202E"),
        (with(valid(), "scheduled_at", json!("9999-06-01T00:00:00.000000Z")), "ahead"),
        (with(valid(), "scheduled_at", json!("9999-12-31T23:59:59.999999Z")), ""),
        (with(valid(), "scheduled_at", json!("2001-01-01T00:00:00.000000Z")), "older"),
        (with(valid(), "scheduled_at", json!("-000001-01-01T00:00:00.000000Z")), "1970"),
        (with(valid(), "finished_at", json!("-009999-01-02T00:00:00.000000Z")), ""),
        (with(valid(), "scheduled_at", json!("yesterday")), "not an event"),
        (with(valid(), "status", json!(70_000)), "not an event"),
        (with(valid(), "body_bytes", json!(u64::MAX)), "out of range"),
        (with(valid(), "redirects", json!(u32::MAX)), "out of range"),
        (with(valid(), "seq", json!(1_u64 << 62)), "seq 4611686018427387904"),
        (with(valid(), "outcome", json!("sideways")), "not an event"),
        (with(valid(), "producer_id", json!("nobody")), "not an event"),
        (with(valid(), "seq", json!(0)), "seq 0"),
        (with(valid(), "seq", json!(-5)), "seq -5"),
        (with(valid(), "seq", json!(u64::MAX)), "seq 18446744073709551615"),
        (with(valid(), "seq", json!(i64::MAX)), "seq"),
        (with(gap.clone(), "first_seq", json!(3)), "go together"),
        (gap.to_string().into_bytes(), "must name"),
    ]
}

#[test]
fn poison_is_set_aside_whole_with_its_reason_and_its_neighbours_are_stored_once() {
    let pipeline = Pipeline::new("poison");
    let (topic, producer) = (pipeline.topic(), Uuid::new_v4());
    topic.create();
    let poisons = poisons(producer);
    let good = |seq: usize| check(producer, seq as u64).to_string().into_bytes();
    let mut messages = vec![good(1)];
    for (number, (poison, _)) in poisons.iter().enumerate() {
        messages.extend([poison.clone(), good(number + 2)]);
    }
    topic.send(3, &messages);
    let consumer = pipeline.consumer();
    eventually("all messages are read", || {
        pipeline.count("partition_offset WHERE partition = 3 AND next_offset > 0") == 1
    });
    pipeline.wait_until_read();

    let mut database = pipeline.database();
    let stored: Vec<i64> = database.column("SELECT seq FROM check_result ORDER BY seq", &[]);
    assert_eq!(stored, (1..=i64::try_from(poisons.len()).unwrap() + 1).collect::<Vec<_>>());
    let raw: Vec<Vec<u8>> = database.column(r#"SELECT raw FROM rejected WHERE partition = 3 ORDER BY "offset""#, &[]);
    let reasons: Vec<String> = database.column(r#"SELECT reason FROM rejected ORDER BY "offset""#, &[]);
    for (number, (poison, reason)) in poisons.iter().enumerate() {
        let shown = String::from_utf8_lossy(&poison[..poison.len().min(300)]);
        assert_eq!(raw.get(number), Some(poison), "kept whole: {shown}");
        assert!(!reasons[number].is_empty() && reasons[number].contains(reason), "{:?} for {shown}", reasons[number]);
    }
    assert_eq!(raw.len(), poisons.len());
    assert!((consumer.metric("isitup_events_rejected_total") - poisons.len() as f64).abs() < 0.5);
    assert_eq!(pipeline.audit().0, Some(0), "poison has no numbers that could be missing");
}

#[test]
fn an_exact_duplicate_is_ignored_and_another_payload_under_its_number_is_set_aside_and_named() {
    let pipeline = Pipeline::new("doubled");
    let (topic, producer) = (pipeline.topic(), Uuid::new_v4());
    topic.create();
    let [first, second, third] = [1, 2, 3].map(|seq| check(producer, seq));
    let other = with(second.clone(), "status", json!(201));
    let same = second.to_string().into_bytes();
    topic.send(
        0,
        &[first.to_string().into_bytes(), same.clone(), same.clone(), other.clone(), third.to_string().into_bytes()],
    );
    let consumer = pipeline.consumer();
    eventually("all three are stored", || pipeline.count("check_result") == 3);
    pipeline.wait_until_read();
    // Once more, when the row has been there for long.
    topic.send(0, &[same, other.clone()]);
    pipeline.wait_until_read();

    let mut database = pipeline.database();
    assert_eq!(database.column::<i32>("SELECT status FROM check_result WHERE seq = 2", &[]), [200]);
    let rejected: Vec<Vec<u8>> = database.column("SELECT raw FROM rejected", &[]);
    assert_eq!(rejected, [other.clone(), other]);
    assert_eq!(consumer.metric("isitup_duplicates_total"), 2.0);
    let (code, audit) = pipeline.audit();
    assert_eq!((code, &audit["producers"][0]["doubled_ranges"]), (Some(1), &json!([[2, 2]])), "{audit}");
}

#[test]
fn a_flood_of_poison_does_not_stall_the_partition_behind_it() {
    let pipeline = Pipeline::new("flood");
    let (topic, producer) = (pipeline.topic(), Uuid::new_v4());
    topic.create();
    assert_eq!(pipeline.ask(&["migrate"]).code, Some(0));
    pipeline.database().run(NO_TEAPOT);
    // Only the database finds these; each must be searched for among its neighbours.
    let mut messages: Vec<Vec<u8>> =
        (0..300).map(|number| with(check(producer, 10_000 + number), "status", json!(418))).collect();
    messages.push(check(producer, 1).to_string().into_bytes());
    topic.send(0, &messages);
    let _consumer = pipeline.consumer();
    eventually("what lies behind is stored", || pipeline.count("check_result") == 1);
    assert_eq!(pipeline.count("rejected"), 300);
}
