//! The audit finds what is wrong, and only that.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Pipeline, site};

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
