//! Messages that were set aside are looked at, and tried again after a fix.

use isitup_shared::time::UtcTime;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Finished, Pipeline, Service, eventually};
use crate::poison::{NO_TEAPOT, check, with};

/// Longer than [`long_ago`], unlike what pipelines have.
const LONGER: (&str, &str) = ("ISITUP__CONSUMER__RETENTION", "400d");

/// 200 days ago, at noon: a few seconds more or less are the same day.
fn long_ago(seconds: i64) -> Value {
    const DAY_US: i64 = 86_400_000_000;
    let today = UtcTime::now().as_micros() / DAY_US;
    json!(UtcTime::from_micros((today - 200) * DAY_US + DAY_US / 2 + seconds * 1_000_000).to_string())
}

/// A check of a day that is kept only with [`LONGER`] retention.
fn old_check(producer: Uuid, seq: u64) -> Value {
    let mut check = check(producer, seq);
    check["scheduled_at"] = long_ago(i64::try_from(seq).unwrap());
    check
}

fn bytes(event: &Value) -> Vec<u8> {
    event.to_string().into_bytes()
}

/// A pipeline whose topic holds `messages` in partition 0, read by a consumer that has ended.
fn having_read(name: &str, messages: &[Vec<u8>]) -> Pipeline<'static> {
    let pipeline = Pipeline::new(name);
    pipeline.topic().create();
    pipeline.topic().send(0, messages);
    let consumer = pipeline.consumer();
    eventually("the partition is read", || {
        pipeline.count(&format!("partition_offset WHERE partition = 0 AND next_offset = {}", messages.len())) == 1
    });
    assert_eq!(consumer.sigterm().code, Some(0));
    pipeline
}

/// The consumer with this command and longer retention.
fn start_with_longer_retention(pipeline: &Pipeline<'_>, args: &[&str]) -> Service {
    let mut command = pipeline.command("isitup-consumer", args);
    command.env(LONGER.0, LONGER.1);
    Service::start("the consumer with longer retention", command)
}

/// The exit code and what `rejected retry --json` counted.
fn counts(retried: &Finished) -> (Option<i32>, Value, Value, Value, usize) {
    let outcome: Value = serde_json::from_str(&retried.output).unwrap_or_else(|_| panic!("{retried:?}"));
    let stay = outcome["rejected"].as_array().unwrap().len();
    (retried.code, outcome["tried"].clone(), outcome["stored"].clone(), outcome["duplicates"].clone(), stay)
}

fn nothing_new(tried: i32, stay: usize) -> (Option<i32>, Value, Value, Value, usize) {
    (Some(i32::from(stay > 0)), json!(tried), json!(0), json!(0), stay)
}

#[test]
fn a_row_beyond_retention_is_stored_by_a_retry_when_retention_is_longer_and_an_unknown_version_stays() {
    let producer = Uuid::new_v4();
    let (old, unknown) = (bytes(&old_check(producer, 2)), with(check(producer, 9), "v", json!(7)));
    let messages = [bytes(&check(producer, 1)), old.clone(), unknown, bytes(&check(producer, 3))];
    let pipeline = having_read("retried", &messages);
    let (code, audit) = pipeline.audit();
    assert_eq!((code, &audit["producers"][0]["missing_ranges"]), (Some(1), &json!([[2, 2]])), "{audit}");

    let listed = pipeline.ask(&["rejected", "list"]);
    assert_eq!(listed.code, Some(0));
    for words in ["0:1", "0:2", "older than the 90 days", "version 7", r#"{"config_hash""#] {
        assert!(listed.output.contains(words), "{words:?} is not in: {}", listed.output);
    }
    let few = pipeline.ask(&["rejected", "list", "--reason", "OLDER THAN", "--json"]);
    let row: Value = serde_json::from_str(&few.output).unwrap();
    assert_eq!((&row["address"], &row["seq"], &row["size"]), (&json!("0:1"), &json!(2), &json!(old.len())), "{row}");
    let shown = pipeline.ask(&["rejected", "show", "0:1"]);
    assert!(shown.code == Some(0) && shown.output.contains("  \"location\": \"tests\","), "{}", shown.output);
    let raw = pipeline.ask(&["rejected", "show", "0:1", "--raw"]);
    assert_eq!(raw.output.as_bytes(), old, "the bytes and nothing else");
    assert_eq!(pipeline.ask(&["rejected", "show", "0:77"]).code, Some(1));

    let all = ["rejected", "retry", "--all", "--json"];
    assert_eq!(counts(&pipeline.ask(&all)), nothing_new(2, 2), "as long as nothing has changed");
    let retried = start_with_longer_retention(&pipeline, &all).wait();
    assert_eq!(counts(&retried), (Some(1), json!(2), json!(1), json!(0), 1));
    assert!(retried.output.contains("version 7"), "{}", retried.output);
    assert_eq!((pipeline.count("check_result WHERE seq = 2"), pipeline.count("rejected")), (1, 1));
    let (code, audit) = pipeline.audit();
    assert_eq!((code, &audit["producers"][0]["stored"]), (Some(0), &json!(3)), "{audit}");

    let again = start_with_longer_retention(&pipeline, &["rejected", "retry", "0:1", "0:2", "--json"]).wait();
    assert_eq!(counts(&again), nothing_new(1, 1), "what is stored is not tried again");
    assert_eq!(pipeline.ask(&["rejected", "retry"]).code, Some(2), "which ones?");
}

#[test]
fn two_retries_beside_a_running_consumer_store_each_message_once() {
    let producer = Uuid::new_v4();
    let mut messages: Vec<Vec<u8>> = (1..=400).map(|seq| bytes(&old_check(producer, seq))).collect();
    // The database alone finds these, once they get that far.
    for number in [7, 150, 151, 399] {
        messages.insert(number, with(old_check(producer, 10_000), "status", json!(418)));
    }
    let pipeline = having_read("retried_twice", &messages);
    assert_eq!(pipeline.count("rejected WHERE reason LIKE '%older%'"), 404);
    pipeline.database().run(NO_TEAPOT);
    let reread = pipeline.ask(&["replay", "--from", "earliest"]);
    assert_eq!(reread.code, Some(0), "{reread:?}");

    let all = ["rejected", "retry", "--all", "--json"];
    let retries = [(); 2].map(|()| start_with_longer_retention(&pipeline, &all));
    let consumer = start_with_longer_retention(&pipeline, &[]);
    let outcomes = retries
        .map(Service::wait)
        .map(|retried| serde_json::from_str::<Value>(&retried.output).unwrap_or_else(|_| panic!("{retried:?}")));
    let sum = |what: &str| outcomes.iter().map(|outcome| outcome[what].as_u64().unwrap()).sum::<u64>();
    pipeline.wait_until_read();
    assert_eq!(pipeline.count("rejected WHERE reason NOT LIKE '%no_teapot%'"), 0);
    assert_eq!((pipeline.count("rejected"), pipeline.count("check_result")), (4, 400));
    eventually(&format!("all are counted, where {outcomes:?}"), || {
        sum("stored") + consumer.metric("isitup_rows_stored_total") as u64 == 400
    });
    assert_eq!(sum("stored") + sum("duplicates"), 400, "each was tried by one of them: {outcomes:?}");
    let (code, audit) = pipeline.audit();
    assert_eq!((code, &audit["producers"][0]["stored"]), (Some(0), &json!(400)), "{audit}");
}

#[test]
fn a_collision_stays_rejected_and_doubled_and_an_exact_duplicate_leaves() {
    let producer = Uuid::new_v4();
    let first = check(producer, 1);
    let other = with(first.clone(), "status", json!(201));
    let pipeline = having_read("retried_double", &[bytes(&first), other.clone(), bytes(&old_check(producer, 2))]);
    let all = ["rejected", "retry", "--all", "--json"];
    // The old one is stored by another way.
    assert_eq!(pipeline.ask(&["replay", "--from", "earliest"]).code, Some(0));
    let consumer = start_with_longer_retention(&pipeline, &[]);
    eventually("the old one is stored", || pipeline.count("check_result WHERE seq = 2") == 1);
    pipeline.wait_until_read();
    drop(consumer);

    let retried = start_with_longer_retention(&pipeline, &all).wait();
    assert_eq!(counts(&retried), (Some(1), json!(2), json!(0), json!(1), 1), "{}", retried.output);
    assert_eq!(pipeline.database().column::<Vec<u8>>("SELECT raw FROM rejected", &[]), [other]);
    let (code, audit) = pipeline.audit();
    assert_eq!((code, &audit["producers"][0]["doubled_ranges"]), (Some(1), &json!([[1, 1]])), "{audit}");
    // A person decides that the other one is the right one.
    pipeline.database().run("DELETE FROM result WHERE seq = 1");
    assert_eq!(counts(&pipeline.ask(&all)), (Some(0), json!(1), json!(1), json!(0), 0));
    assert_eq!(pipeline.count("check_result WHERE seq = 1 AND status = 201"), 1);
    assert_eq!(pipeline.audit().0, Some(0));
}

#[test]
fn a_day_that_retention_has_dropped_is_not_made_anew_by_a_late_row() {
    let producer = Uuid::new_v4();
    let pipeline = having_read("retried_late", &[bytes(&old_check(producer, 41)), bytes(&check(producer, 42))]);
    let mut database = pipeline.database();
    // As maintenance leaves such a day: its numbers, and neither rows nor a partition.
    database.run(&format!(
        "INSERT INTO audit_day (day) SELECT (now() AT TIME ZONE 'UTC')::date - 200;
         INSERT INTO audit_sum (day, producer_id, seqs, doubled) SELECT day, '{producer}', '{{[1,41)}}', '{{}}' FROM audit_day"
    ));
    let (_, before) = pipeline.audit();
    assert_eq!(before["producers"][0]["missing_ranges"], json!([[41, 41]]), "{before}");
    let retried = start_with_longer_retention(&pipeline, &["rejected", "retry", "--all", "--json"]).wait();
    assert_eq!(counts(&retried), nothing_new(1, 1));
    assert!(retried.output.contains("dropped by retention already"), "{}", retried.output);
    let _consumer = start_with_longer_retention(&pipeline, &[]);
    pipeline.wait_until_read();
    assert_eq!(database.count("audit_sum"), 1, "the numbers of the day are remembered");
    assert_eq!(pipeline.audit().1, before);
}
