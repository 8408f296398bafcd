//! The audit finds what is wrong, and only that.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Pipeline, eventually, site};
use crate::poison::check;

#[test]
fn a_row_that_somebody_deletes_is_named_as_missing() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("deleted_row").site("a", site.url()).site("b", site.url());
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(10);
    pipeline.prove(producer);

    let mut database = pipeline.database();
    let seq: i64 = database.value("SELECT seq FROM check_result ORDER BY seq OFFSET 4 LIMIT 1");
    database.run(&format!("DELETE FROM result WHERE seq = {seq}"));
    let (code, audit) = pipeline.audit();
    assert_eq!((code, &audit["ok"]), (Some(1), &json!(false)));
    let producer = &audit["producers"][0];
    assert_eq!((&producer["missing"], &producer["missing_ranges"]), (&json!(1), &json!([[seq, seq]])), "{audit}");
    assert_eq!((&producer["doubled"], &producer["first"]), (&json!(0), &json!(1)), "{audit}");
    let view = "audit WHERE missing = 1 AND doubled = 0 AND stored = last - 1 AND declared = 0";
    assert_eq!(database.count(view), 1, "the view says the same");
    let text = pipeline.ask(&["audit"]);
    assert_eq!(text.code, Some(1));
    assert!(text.output.contains(&format!("missing {seq}")), "{}", text.output);
}

#[test]
fn a_replay_of_the_whole_topic_stores_nothing_twice() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("replayed").site("a", site.url()).site("b", site.url());
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(10);
    pipeline.prove(producer);
    assert_eq!(consumer.sigterm().code, Some(0));

    let rewound = pipeline.ask(&["replay", "--from", "earliest"]);
    assert_eq!(rewound.code, Some(0), "{rewound:?}");
    assert_eq!(pipeline.count("partition_offset WHERE next_offset <> 0"), 0);
    let consumer = pipeline.consumer();
    pipeline.prove_stored();
    assert!(consumer.metric("isitup_duplicates_total") > 10.0);
    assert_eq!(consumer.metric("isitup_rows_stored_total"), 0.0);
    let jumps = pipeline.audit().1["offset_jumps"].clone();
    let is_replay = |jump: &Value| jump["reason"] == "replay" && jump["to_offset"] == 0;
    assert!(
        jumps.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(is_replay)),
        "shown, and no fault: {jumps}"
    );
}

#[test]
fn the_proof_that_these_tests_rest_on_notices_a_single_wrong_row() {
    let site = site::slow(Duration::from_millis(700));
    let pipeline = Pipeline::new("proof").site("a", site.url()).site("b", site.url());
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(6);
    pipeline.prove(producer);
    assert!(
        pipeline.count("gap WHERE reason = 'overrun'") > 0,
        "a site that takes longer than its interval misses slots"
    );

    let row = |number: i64| format!("seq = (SELECT seq FROM check_result ORDER BY seq OFFSET {number} LIMIT 1)");
    let mut known = 0;
    for (damage, words) in [
        (format!("UPDATE result SET total_us = total_us + 1 WHERE {}", row(0)), "stored and not told"),
        (format!("UPDATE result SET queue_us = -1 WHERE {}", row(4)), "stored and not told"),
        (format!("UPDATE result SET scheduled_at = scheduled_at + interval '1 us' WHERE {}", row(1)), "no slot"),
        (format!("DELETE FROM result WHERE {}", row(2)), "neither checked nor declared"),
        (
            format!(
                "INSERT INTO result SELECT (jsonb_populate_record(r, '{{\"seq\": 1000}}')).* FROM result r WHERE {}",
                row(3)
            ),
            "checked twice",
        ),
        ("UPDATE gap SET \"from\" = '2000-01-01', \"to\" = '2000-01-01'".to_owned(), "neither checked nor declared"),
        ("DELETE FROM producer_event WHERE state = 'stopping'".to_owned(), "told and not stored"),
    ] {
        pipeline.database().run(&damage);
        let faults = pipeline.verdict().faults;
        assert!(faults.len() > known, "{damage} is not noticed");
        assert!(faults.iter().any(|fault| fault.contains(words)), "after {damage}: {faults:?}");
        known = faults.len();
    }
}

/// Checks with these numbers of one producer.
fn checks(producer: Uuid, seqs: impl IntoIterator<Item = u64>) -> Vec<Vec<u8>> {
    seqs.into_iter().map(|seq| check(producer, seq).to_string().into_bytes()).collect()
}

/// Sends messages to partition 0 and waits until consumers have read all.
fn store(pipeline: &Pipeline<'_>, messages: &[Vec<u8>]) {
    pipeline.topic().send(0, messages);
    eventually("the consumer knows the topic", || pipeline.count("partition_offset") == 6);
    pipeline.wait_until_read();
}

/// Stored, missing, missing ranges, doubled and doubled ranges of the only producer.
fn numbers(audit: &Value) -> [&Value; 5] {
    ["stored", "missing", "missing_ranges", "doubled", "doubled_ranges"].map(|field| &audit["producers"][0][field])
}

#[test]
fn a_number_that_no_message_has_is_named_as_missing() {
    let (pipeline, producer) = (Pipeline::new("skipped_seq"), Uuid::new_v4());
    pipeline.topic().create();
    let _consumer = pipeline.consumer();
    store(&pipeline, &checks(producer, [1, 2, 3, 5, 8, 9]));
    let (code, audit) = pipeline.audit();
    assert_eq!(code, Some(1));
    assert_eq!(numbers(&audit), [&json!(6), &json!(3), &json!([[4, 4], [6, 7]]), &json!(0), &json!([])], "{audit}");
    // Late is not never.
    store(&pipeline, &checks(producer, [7, 6, 4]));
    assert_eq!(pipeline.audit().0, Some(0));
}

#[test]
fn a_number_with_two_payloads_is_named_as_doubled_whether_it_came_by_the_topic_or_by_hand() {
    let (pipeline, producer) = (Pipeline::new("doubled_rows"), Uuid::new_v4());
    pipeline.topic().create();
    let _consumer = pipeline.consumer();
    let mut messages = checks(producer, 1..=9);
    let mut other = check(producer, 3);
    other["status"] = json!(500);
    messages.push(other.to_string().into_bytes());
    store(&pipeline, &messages);
    let (code, audit) = pipeline.audit();
    assert_eq!((code, numbers(&audit)), (Some(1), [&json!(9), &json!(0), &json!([]), &json!(1), &json!([[3, 3]])]));

    pipeline.database().run(
        "INSERT INTO result SELECT (jsonb_populate_record(r, jsonb_build_object('scheduled_at', scheduled_at + interval '1 us'))).*
         FROM result r WHERE seq = 6",
    );
    let (code, audit) = pipeline.audit();
    let doubled = [&json!(9), &json!(0), &json!([]), &json!(2), &json!([[3, 3], [6, 6]])];
    assert_eq!((code, numbers(&audit)), (Some(1), doubled), "{audit}");
    let text = pipeline.ask(&["audit"]).output;
    assert!(text.contains("doubled 3, 6") && text.contains("NOT CLEAN"), "{text}");
}

#[test]
fn an_offset_moved_by_hand_is_told_with_where_it_went_until_a_person_accepts_it() {
    let (pipeline, producer) = (Pipeline::new("moved_by_hand"), Uuid::new_v4());
    pipeline.topic().create();
    let consumer = pipeline.consumer();
    store(&pipeline, &checks(producer, 1..=5));
    assert_eq!(consumer.sigterm().code, Some(0));
    assert_eq!(pipeline.audit().1["offset_jumps"], Value::Null, "reading is no jump");

    pipeline.topic().send(0, &checks(producer, 6..=10));
    let mut database = pipeline.database();
    database.run("UPDATE partition_offset SET next_offset = 8, anchor = NULL WHERE partition = 0");
    let consumer = pipeline.consumer();
    pipeline.wait_until_read();
    consumer.wait_for_log("partition 0, went from 5 to 8, by isitup, and nothing explains it");
    eventually("the metrics tell it", || consumer.metric("isitup_offset_jumps_total") == 1.0);
    let (code, audit) = pipeline.audit();
    assert_eq!((code, numbers(&audit)), (Some(1), [&json!(7), &json!(3), &json!([[6, 8]]), &json!(0), &json!([])]));
    let jump = &audit["offset_jumps"][0];
    let told = ["partition", "from_offset", "to_offset", "reason", "accepted"].map(|field| &jump[field]);
    assert_eq!(told, [&json!(0), &json!(5), &json!(8), &json!("unexplained"), &json!(false)], "{audit}");

    // Back, under the consumer's hands: all is read, and still nobody has said why it was moved.
    database.run("UPDATE partition_offset SET next_offset = 5, anchor = NULL WHERE partition = 0");
    pipeline.topic().send(0, &checks(producer, [11]));
    eventually("what was passed over is stored", || pipeline.count("check_result") == 11);
    pipeline.wait_until_read();
    let (code, audit) = pipeline.audit();
    assert_eq!((code, numbers(&audit)), (Some(1), [&json!(11), &json!(0), &json!([]), &json!(0), &json!([])]));
    assert_eq!(audit["offset_jumps"][1]["to_offset"], 5, "{audit}");
    let text = pipeline.ask(&["audit"]).output;
    for words in ["from 5 to 8", "from 10 to 5", "UNEXPLAINED", "NOT CLEAN: offsets were moved by another hand"] {
        assert!(text.contains(words), "{words:?} is not in: {text}");
    }

    assert_eq!(pipeline.ask(&["audit", "--accept-offset-jumps"]).code, Some(2), "only with --yes");
    assert_eq!(pipeline.ask(&["audit", "--accept-offset-jumps", "--yes"]).code, Some(0));
    let (code, audit) = pipeline.audit();
    assert_eq!((code, &audit["offset_jumps"][1]["accepted"]), (Some(0), &json!(true)), "{audit}");
    assert_eq!(pipeline.ask(&["audit", "--accept-offset-jumps", "--yes"]).code, Some(1), "there is none left");
}

#[test]
fn an_offset_that_is_removed_or_moved_while_a_consumer_leaves_is_noted_by_the_database_itself() {
    let (pipeline, producer) = (Pipeline::new("offset_removed"), Uuid::new_v4());
    pipeline.topic().create();
    let consumer = pipeline.consumer();
    store(&pipeline, &checks(producer, 1..=5));
    assert_eq!(consumer.sigterm().code, Some(0));
    let mut database = pipeline.database();
    for (number, (by_hand, to)) in [
        ("DELETE FROM partition_offset WHERE partition = 0", Value::Null),
        ("INSERT INTO partition_offset (topic, partition, next_offset) SELECT topic, 0, 5 FROM partition_offset LIMIT 1; \
          UPDATE partition_offset SET next_offset = 9, epoch = epoch + 1 WHERE partition = 0", json!(9)),
        ("UPDATE partition_offset SET next_offset = 4, expires_at = now() WHERE partition = 0", json!(4)),
        ("TRUNCATE partition_offset", Value::Null),
    ]
    .into_iter()
    .enumerate()
    {
        database.run(by_hand);
        let (code, audit) = pipeline.audit();
        assert_eq!((code, &audit["offset_jumps"][number]["to_offset"]), (Some(1), &to), "{by_hand}: {audit}");
    }
}
