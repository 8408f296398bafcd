//! The consumer dies in its housekeeping: while days are made ahead, hours and days summed up, old days dropped.

use isitup_shared::time::UtcTime;
use serde_json::json;
use uuid::Uuid;

use super::{consumer_points, order};
use crate::harness::{Pipeline, Service, eventually};

/// Days whose results are older than what [`SHORT`] keeps.
const OLD_DAYS: std::ops::RangeInclusive<i64> = 5..=8;
const CHECKS_A_DAY: i64 = 10;
const SHORT: (&str, &str) = ("ISITUP__CONSUMER__RETENTION", "3d");
const DAY: i64 = 86_400_000_000;

#[test]
fn a_consumer_that_dies_in_its_housekeeping_harms_neither_days_nor_sums_nor_the_audit() {
    let pipeline = Pipeline::new("die_in_house").lease(std::time::Duration::from_secs(2));
    pipeline.topic().create();
    let made_ahead = ["day.named", "day.made"];
    for point in made_ahead {
        pipeline.armed_consumer(&order(point, 0)).dies_at(point);
        end_turn(&pipeline);
    }
    store_old_days(&pipeline);
    for point in consumer_points(&["hours", "hour", "day", "house"]) {
        if !made_ahead.contains(&point) {
            keeper(&pipeline, "isitup-consumer-failpoints", &order(point, 0)).dies_at(point);
            end_turn(&pipeline);
        }
    }
    let _keeper = keeper(&pipeline, "isitup-consumer", "");
    all_is_counted_and_dropped(&pipeline);
}

#[test]
fn a_detach_that_was_cut_off_half_way_is_finished_by_the_next_turn() {
    let pipeline = Pipeline::new("cut_detach").lease(std::time::Duration::from_secs(2));
    pipeline.topic().create();
    store_old_days(&pipeline);
    end_turn(&pipeline);

    // A reader keeps the detach waiting in its middle.
    let mut reader = pipeline.database();
    reader.run("BEGIN; SELECT count(*) FROM result");
    let cut = keeper(&pipeline, "isitup-consumer", "");
    let half_done = "pg_inherits WHERE inhdetachpending AND inhparent = 'result'::regclass";
    eventually("a detach is half done", || pipeline.count(half_done) == 1);
    cut.kill9();
    let detaching = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%DETACH%'
                     AND pid <> pg_backend_pid() AND query LIKE '%' || current_schema() || '%'";
    assert_eq!(pipeline.database().value::<i64>(detaching), 1);
    reader.run("ROLLBACK");
    assert_eq!(pipeline.count(half_done), 1);

    end_turn(&pipeline);
    let _keeper = keeper(&pipeline, "isitup-consumer", "");
    all_is_counted_and_dropped(&pipeline);
}

/// A consumer that keeps but three days.
fn keeper(pipeline: &Pipeline<'_>, program: &str, orders: &str) -> Service {
    pipeline.armed("the housekeeper", program, orders, &[SHORT])
}

/// Has checks of some old days stored, while they are not yet too old.
fn store_old_days(pipeline: &Pipeline<'_>) {
    let producer = Uuid::new_v4();
    let (mut seq, mut messages) = (0, Vec::new());
    for back in OLD_DAYS.rev() {
        for number in 0..CHECKS_A_DAY {
            seq += 1;
            let day = UtcTime::now().as_micros() / DAY - back;
            let at = UtcTime::from_micros(day * DAY + number * 30_000_000).to_string();
            let check = json!({
                "v": 1, "type": "check", "producer_id": producer, "seq": seq, "location": "tests", "site": "a",
                "url": "http://a/", "scheduled_at": at, "started_at": at, "finished_at": at, "outcome": "up",
                "status": 200, "redirects": 0, "timings_us": {"total": 7}, "config_hash": "c",
            });
            messages.push(check.to_string().into_bytes());
        }
    }
    pipeline.topic().send(0, &messages);
    let consumer = pipeline.consumer();
    pipeline.wait_for_rows(seq);
    assert_eq!(consumer.sigterm().code, Some(0));
}

/// What a dead consumer had taken upon itself would be another's after a quarter of an hour, and marked hours are summed up
/// when they had some seconds of peace: this is as if that time had passed.
fn end_turn(pipeline: &Pipeline<'_>) {
    let mut database = pipeline.database();
    database.run("UPDATE maintenance SET expires_at = now() - interval '1 s' WHERE owner IS NOT NULL");
    database.run("UPDATE dirty_hour SET marked_at = marked_at - interval '1 minute' WHERE isfinite(marked_at)");
}

/// Nothing is left of the old days but their sums, which are right.
fn all_is_counted_and_dropped(pipeline: &Pipeline<'_>) {
    let old = "pg_class WHERE relnamespace = current_schema()::regnamespace AND relname ~ '^result_[0-9]{8}$'
               AND to_date(substr(relname, 8), 'YYYYMMDD') < current_date - 4";
    eventually("the old days are gone", || pipeline.count(old) == 0);
    eventually("the turn is given back", || pipeline.count("maintenance WHERE owner IS NULL") == 1);
    let mut database = pipeline.database();
    let checks = CHECKS_A_DAY * OLD_DAYS.count() as i64;
    assert_eq!(database.count("check_result"), 0);
    assert_eq!(database.value::<i64>("SELECT sum(up)::bigint FROM uptime_hour"), checks);
    let days = "SELECT count(*) FROM audit_day WHERE day < current_date - 4";
    assert_eq!(database.value::<i64>(days), OLD_DAYS.count() as i64);
    assert_eq!(database.count("result_day"), 3, "today and two days ahead");
    let (code, audit) = pipeline.audit();
    assert_eq!((code, &audit["producers"][0]["stored"]), (Some(0), &json!(checks)), "{audit}");
}
