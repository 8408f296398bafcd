//! What the database refuses stops nothing else: a record that it never takes is set aside, also where the error looks like
//! an outage; a trouble that concerns all is waited out; and a missing partition is made again.

use std::time::Duration;

use isitup_shared::time::UtcTime;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Database, Finished, Pipeline, Service, eventually, within};
use crate::poison::{check, with};

/// A trigger that does with a result what its `http_version` says.
const TRIGGER: &str = "
    CREATE FUNCTION obey() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.http_version = 'end' THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
        RAISE EXCEPTION 'no such record' USING ERRCODE = NEW.http_version;
    END $$;
    CREATE TRIGGER obey BEFORE INSERT ON result FOR EACH ROW WHEN (NEW.http_version <> 'HTTP/1.1') EXECUTE FUNCTION obey();
    CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER nothing BEFORE INSERT ON site_status FOR EACH ROW WHEN (NEW.location = 'nowhere') EXECUTE FUNCTION nothing();
    CREATE TRIGGER nothing BEFORE INSERT ON site_version FOR EACH ROW WHEN (NEW.url = 'http://nowhere/') EXECUTE FUNCTION nothing();
    CREATE FUNCTION refuse_late() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN RAISE EXCEPTION 'too late' USING ERRCODE = 'P0001'; END$$;
    CREATE CONSTRAINT TRIGGER refuse_late AFTER INSERT ON site DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
        WHEN (NEW.name = 'late') EXECUTE FUNCTION refuse_late()";

/// Every SQLSTATE here is one that neither names the data nor a state of the server, but for two that name the data.
const CODES: [&str; 10] = ["P0001", "XX000", "23505", "42883", "42P01", "40001", "40P01", "57014", "54000", "22023"];

fn bytes(event: &Value) -> Vec<u8> {
    event.to_string().into_bytes()
}

/// A pipeline with a topic and a schema, read by a consumer.
fn running(name: &str) -> (Pipeline<'static>, Service) {
    let pipeline = Pipeline::new(name);
    pipeline.topic().create();
    let consumer = pipeline.consumer();
    eventually("the consumer holds all partitions", || consumer.metric("isitup_partitions_owned") > 5.5);
    (pipeline, consumer)
}

/// Sends checks of one producer, numbered from `first` on, one to each partition.
fn send_good(pipeline: &Pipeline<'_>, producer: Uuid, first: u64) {
    for partition in 0..6 {
        let mut good = check(producer, first + partition);
        good["site"] = json!(format!("good {partition}"));
        pipeline.topic().send(i32::try_from(partition).unwrap(), &[bytes(&good)]);
    }
}

#[test]
fn a_record_refused_with_an_odd_error_is_set_aside_and_others_go_on() {
    let (pipeline, consumer) = running("odd_errors");
    pipeline.database().run(TRIGGER);
    let (producer, other) = (Uuid::new_v4(), Uuid::new_v4());
    let bad = |field: &str, value: &str| {
        let mut bad = check(other, 1);
        (bad["site"], bad["http_version"]) = (json!(format!("bad {value}")), json!("HTTP/1.1"));
        with(bad, field, json!(value))
    };
    let mut poisons: Vec<Vec<u8>> = CODES.iter().map(|code| bad("http_version", code)).collect();
    poisons.extend([bad("location", "nowhere"), bad("url", "http://nowhere/"), bad("site", "late")]);
    for (number, poison) in poisons.iter().enumerate() {
        let good = |offset: u64| bytes(&check(producer, number as u64 * 3 + offset));
        // In pairs, among others; so that the first of a kind and a later one are met.
        let messages = [good(1), poison.clone(), good(2), poison.clone(), good(3)];
        pipeline.topic().send(number as i32 % 6, &messages);
    }
    within(Duration::from_secs(180), "all others are stored", || {
        pipeline.count("check_result") == poisons.len() as i64 * 3
    });
    pipeline.wait_until_read();
    let mut database = pipeline.database();
    assert_eq!(pipeline.count("rejected"), poisons.len() as i64 * 2);
    for (code, poison) in CODES.iter().zip(&poisons) {
        let reasons: Vec<String> = database.column("SELECT reason FROM rejected WHERE raw = $1", &[poison]);
        assert_eq!(reasons.len(), 2, "{code}: {reasons:?}");
        assert!(reasons.iter().all(|r| r.contains("no such record") && r.contains(code)), "{code}: {reasons:?}");
    }
    consumer.wait_for_readiness(200);
    assert!(database.column::<String>("SELECT name FROM site WHERE name LIKE 'harmless%'", &[]).is_empty());

    // They are tried again by hand: as long as the trigger is there in vain.
    let retry = ["rejected", "retry", "--all", "--json"];
    let outcome = |retried: Finished| -> Value {
        serde_json::from_str(&retried.output).unwrap_or_else(|_| panic!("{retried:?}"))
    };
    let again = outcome(pipeline.ask(&retry));
    assert_eq!(again["rejected"].as_array().unwrap().len(), poisons.len() * 2, "{again}");
    database.run(
        "DROP TRIGGER obey ON result; DROP TRIGGER nothing ON site_status; DROP TRIGGER nothing ON site_version;
         DROP TRIGGER refuse_late ON site",
    );
    let after = outcome(pipeline.ask(&retry));
    assert!(after["stored"].as_i64().unwrap() >= 1, "{after}");
}

#[test]
fn a_record_that_ends_the_servers_process_is_set_aside() {
    let (pipeline, _consumer) = running("ends_backend");
    pipeline.database().run(TRIGGER);
    let (producer, other) = (Uuid::new_v4(), Uuid::new_v4());
    let poison = with(check(other, 1), "http_version", json!("end"));
    pipeline.topic().send(3, &[poison.clone(), bytes(&check(producer, 7))]);
    send_good(&pipeline, producer, 1);
    eventually("other partitions go on", || pipeline.count("check_result") >= 5);
    within(Duration::from_secs(240), "the record is set aside", || pipeline.count("rejected") == 1);
    eventually("what lies behind is stored", || pipeline.count("check_result") == 7);
    assert_eq!(pipeline.database().column::<Vec<u8>>("SELECT raw FROM rejected", &[]), [poison]);
}

#[test]
fn an_error_that_all_records_meet_is_waited_out_and_none_is_rejected() {
    let (pipeline, consumer) = running("all_refused");
    let mut database = pipeline.database();
    let producer = Uuid::new_v4();
    for (number, trouble) in [
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'P0001'; END$$;
         CREATE TRIGGER no BEFORE INSERT ON result FOR EACH ROW EXECUTE FUNCTION no()",
        // Data errors by their SQLSTATE.
        "CREATE OR REPLACE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS
             $$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '22023'; END$$",
        "ALTER TABLE site_status RENAME TO gone; DROP TRIGGER no ON result",
        "ALTER TABLE gone RENAME TO site_status; ALTER TABLE dirty_hour RENAME COLUMN marks TO gone",
        "ALTER TABLE dirty_hour RENAME COLUMN gone TO marks; ALTER TABLE rejected RENAME TO gone",
    ]
    .into_iter()
    .enumerate()
    {
        database.run(trouble);
        let before = consumer.metric("isitup_store_errors_total");
        send_good(&pipeline, producer, 1 + 6 * number as u64);
        if trouble.ends_with("rejected RENAME TO gone") {
            // Only what is to be set aside is held up by that, and what lies behind.
            eventually("all others are stored", || pipeline.count("check_result") == 30);
            pipeline.topic().send(0, &[b"no event".to_vec()]);
            send_good(&pipeline, producer, 1000);
            eventually("other partitions go on", || pipeline.count("check_result") == 35);
        }
        eventually("it is tried more often than it takes to blame a record", || {
            consumer.metric("isitup_store_errors_total") >= before + 8.0
        });
        assert_eq!(consumer.get("/health/ready").0, 503);
        assert_eq!(consumer.metric("isitup_events_rejected_total"), 0.0, "no record is to blame for: {trouble}");
    }
    database.run("ALTER TABLE gone RENAME TO rejected");
    eventually("all is stored", || pipeline.count("check_result") == 36);
    eventually("what is no event is set aside", || pipeline.count("rejected") == 1);
    consumer.wait_for_readiness(200);
}

#[test]
fn a_site_whose_status_is_locked_holds_up_its_own_partition_alone() {
    let (pipeline, consumer) = running("one_locked");
    let producer = Uuid::new_v4();
    send_good(&pipeline, producer, 1);
    eventually("all are stored", || pipeline.count("check_result") == 6);
    let mut lock = pipeline.database();
    lock.run("BEGIN; SELECT FROM site_status s JOIN site USING (site_id) WHERE name = 'good 2' FOR UPDATE OF s");
    for round in 1..4 {
        send_good(&pipeline, producer, 1 + 6 * round);
        eventually("all others are stored", || pipeline.count("check_result") == 6 + 5 * i64::try_from(round).unwrap());
    }
    eventually("it is told", || {
        let (code, text) = consumer.get("/health/ready");
        code == 503 && text.contains("partition 2 waits") && text.contains("lock timeout")
    });
    lock.run("ROLLBACK");
    eventually("it is stored", || pipeline.count("check_result") == 24);
    consumer.wait_for_readiness(200);
    assert_eq!(pipeline.count("rejected"), 0);
}

/// The partition of today's results.
fn todays_partition(database: &mut Database) -> String {
    database.value("SELECT 'result_' || to_char(now(), 'YYYYMMDD')")
}

#[test]
fn a_partition_removed_by_hand_is_made_again_and_nothing_is_rejected() {
    let (pipeline, _consumer) = running("no_partition");
    let (mut database, producer) = (pipeline.database(), Uuid::new_v4());
    let name = todays_partition(&mut database);
    let send = |first: u64| {
        send_good(&pipeline, producer, first);
        let last = first + 5;
        eventually("they are stored", || {
            pipeline.count(&format!("check_result WHERE seq BETWEEN {first} AND {last}")) == 6
        });
    };
    send(1);
    database.run(&format!("DROP TABLE {name}"));
    send(7);
    database.run(&format!("ALTER TABLE result DETACH PARTITION {name}"));
    send(13);
    assert_eq!(pipeline.count("check_result"), 12, "what was detached is there again");
    // Cut off while it waits for a reader.
    let mut reader = pipeline.database();
    reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM result");
    database.run("SET statement_timeout = '2 s'");
    assert!(database.try_run(&format!("ALTER TABLE result DETACH PARTITION {name} CONCURRENTLY")).is_err());
    reader.run("ROLLBACK");
    assert_eq!(pipeline.count("pg_inherits WHERE inhdetachpending"), 1);
    send(19);
    database.run("DELETE FROM result_day WHERE day = (now() AT TIME ZONE 'UTC')::date");
    send(25);
    assert_eq!((pipeline.count("check_result"), pipeline.count("rejected")), (24, 0));
}

#[test]
fn configurations_that_look_alike_when_joined_are_kept_apart() {
    let pipeline = Pipeline::new("alike");
    pipeline.topic().create();
    let producer = Uuid::new_v4();
    let configured = |seq: u64, url: &str, hash: &str, group: Option<&str>| {
        let mut check = check(producer, seq);
        (check["url"], check["config_hash"]) = (json!(url), json!(hash));
        check["group"] = group.map_or(Value::Null, |group| json!(group));
        bytes(&check)
    };
    let messages = [
        configured(1, "http://a/", "c", None),
        configured(2, "http://a/", "c", Some("\u{1e}")),
        configured(3, "http://a/", "c", Some("")),
        configured(4, "http://a/", "c-", None),
        configured(5, "http://a/\u{1f}c", "d", Some("e")),
        configured(6, "http://a/", "c\u{1f}d", Some("e")),
        configured(7, "http://a/", "c", Some("d\u{1f}e")),
        configured(8, "http://a/", "c", Some("-")),
        configured(9, "http://a/\\", "c", Some("\\001\\")),
        configured(10, "http://ä/", "c1:d", Some("1:d-")),
    ];
    pipeline.topic().send(0, &messages);
    pipeline.topic().send(1, &[bytes(&check(producer, 11))]);
    let _consumer = pipeline.consumer();
    eventually("all are stored or set aside", || {
        pipeline.count("check_result") + pipeline.count("rejected") == messages.len() as i64 + 1
    });
    let same =
        pipeline.count("(SELECT FROM check_result GROUP BY url, config_hash, \"group\" HAVING count(*) > 1) same");
    assert_eq!(same, 1, "only the one of the other partition has the configuration of another");
    let mut database = pipeline.database();
    let colliding =
        "INSERT INTO site_version (site_id, url, \"group\", config_hash) SELECT site_id, '1', g, '' FROM site,
                     (VALUES (NULL), (''), ('-'), (E'\\x1e'), (E'\\x1f'), ('0:'), (E'\\\\'), (E'\\\\134')) v (g)";
    database.run(colliding);
    assert!(database.try_run(colliding).is_err(), "the same is the same");
}

#[test]
fn implausible_times_are_rejected_and_a_clock_ahead_freezes_no_status() {
    let (pipeline, _consumer) = running("implausible");
    let (ahead, right) = (Uuid::new_v4(), Uuid::new_v4());
    let at = |hours: i64| json!(UtcTime::from_micros(UtcTime::now().as_micros() + hours * 3_600_000_000).to_string());
    let timed = |producer: Uuid, seq: u64, hours: i64, outcome: &str| {
        let mut check = check(producer, seq);
        for field in ["scheduled_at", "started_at", "finished_at"] {
            check[field] = at(hours);
        }
        check["outcome"] = json!(outcome);
        if outcome == "down" {
            check["failure"] = json!({"kind": "status", "detail": "500"});
        }
        check
    };
    let topic = pipeline.topic();
    topic.send(0, &[bytes(&timed(ahead, 1, 20, "down"))]);
    eventually("the site is down", || pipeline.count("latest_status WHERE state = 'down'") == 1);
    topic.send(0, &[bytes(&timed(right, 1, 0, "up"))]);
    eventually("the site is up", || pipeline.count("latest_status WHERE state = 'up'") == 1);
    assert_eq!(pipeline.count("incident WHERE closed_at IS NULL"), 0);

    let mut far = timed(right, 2, 0, "up");
    far["finished_at"] = json!("9999-12-30T00:00:00.000000Z");
    let gap = |seq: u64, from: &str, to: Value| {
        bytes(&json!({"v": 1, "type": "gap", "producer_id": right, "seq": seq, "location": "tests",
                      "reason": "producer_down", "from": from, "to": to}))
    };
    let high = with(timed(right, 2, 0, "up"), "seq", json!(1_u64 << 62));
    let messages = [
        bytes(&far),
        gap(2, "2026-01-01T00:00:00Z", json!("9000-01-01T00:00:00Z")),
        high,
        gap(2, "1970-01-01T00:00:00Z", at(0)),
        bytes(&timed(right, 3, 0, "up")),
    ];
    topic.send(0, &messages);
    eventually("the last one is stored", || pipeline.count("check_result WHERE seq = 3") == 1);
    let mut database = pipeline.database();
    let reasons: Vec<String> = database.column(r#"SELECT reason FROM rejected ORDER BY "offset""#, &[]);
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    for (reason, words) in reasons.iter().zip(["finished_at 9999", "to 9000", "seq 4611686018427387904"]) {
        assert!(reason.contains(words), "{words:?} is not in {reason:?}");
    }
    assert_eq!(pipeline.count("dirty_hour WHERE hour > now() + interval '21 hours'"), 0);
    let marks = pipeline.count("dirty_hour WHERE partition >= 0");
    assert!((1..=91 * 24 + 24).contains(&marks), "{marks} hours are marked");
    let (code, audit) = pipeline.audit();
    assert_eq!(code, Some(0), "{audit}");
}

/// The SQL of `docs/PRODUCTION.md` that takes out all numbers of `producer` above `last`.
fn taking_out_forged(producer: Uuid, last: u64, schema: &str) -> String {
    let docs = include_str!("../../docs/PRODUCTION.md");
    let section = docs.split("## Forged events").nth(1).unwrap();
    let sql = section.split("```sql").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let [from, to] = ["00000000-0000-0000-0000-000000000000", "4711"];
    assert!(sql.contains(from) && sql.contains(to) && sql.contains("search_path TO isitup;"), "{sql}");
    sql.replace(from, &producer.to_string())
        .replace(to, &last.to_string())
        .replace("TO isitup;", &format!("TO {schema};"))
}

#[test]
fn a_person_takes_forged_numbers_out_and_the_audit_is_clean_again() {
    let (pipeline, _consumer) = running("forged");
    let producer = Uuid::new_v4();
    let gap = json!({"v": 1, "type": "gap", "producer_id": producer, "seq": 1_u64 << 41, "location": "tests",
                     "reason": "overrun", "first_seq": 77, "last_seq": 99});
    let high = check(producer, 1 << 40);
    let messages = [
        bytes(&check(producer, 1)),
        bytes(&high),
        with(high, "status", json!(500)),
        bytes(&gap),
        bytes(&check(producer, 2)),
    ];
    pipeline.topic().send(0, &messages);
    eventually("all are read", || pipeline.count("check_result") == 3 && pipeline.count("rejected") == 1);
    assert_eq!(pipeline.audit().0, Some(1));
    let mut database = pipeline.database();
    // A day that is summed up already.
    database.run(&format!(
        "INSERT INTO audit_day VALUES ('2026-01-01');
         INSERT INTO audit_sum VALUES ('2026-01-01', '{producer}', '{{[3,5),[1000000,1000005)}}', '{{[1000000,1000001)}}')"
    ));
    assert_eq!(pipeline.audit().0, Some(1));
    database.run(&taking_out_forged(producer, 4, pipeline.name()));
    let (code, audit) = pipeline.audit();
    assert_eq!((code, &audit["producers"][0]["stored"]), (Some(0), &json!(4)), "{audit}");
}
