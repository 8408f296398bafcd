//! What slots count as, by events made by hand: each rule once, and each field of a result in its column.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use isitup_shared::time::UtcTime;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Pipeline, eventually};

const STEP: Duration = Duration::from_secs(300);

/// Writes a producer's checks, numbered from 1.
struct Writer {
    producer: Uuid,
    site: &'static str,
    written: Vec<Value>,
}

impl Writer {
    fn new(site: &'static str) -> Self {
        Self { producer: Uuid::new_v4(), site, written: Vec::new() }
    }

    /// A check of a slot: `up` or failed, with more fields, taking two seconds.
    fn check(&mut self, slot: u32, up: bool, more: Value) {
        let (at, number) = (slot_at(slot), self.written.len() + 1);
        let mut check = json!({
            "v": 1, "type": "check", "producer_id": self.producer, "seq": number, "location": "tests",
            "site": self.site, "url": "http://a/", "scheduled_at": at.to_string(), "started_at": at.to_string(),
            "finished_at": at.after(Duration::from_secs(2)).to_string(), "outcome": if up { "up" } else { "down" },
            "redirects": 0, "timings_us": {"total": 2_000_000}, "config_hash": "c",
        });
        let fields = check.as_object_mut().unwrap();
        if !up {
            fields.insert("failure".into(), json!({"kind": "timeout", "detail": format!("of slot {slot}")}));
        }
        fields.extend(more.as_object().unwrap().clone());
        self.written.push(check);
    }

    fn messages(&self) -> Vec<Vec<u8>> {
        self.written.iter().map(|check| check.to_string().into_bytes()).collect()
    }
}

/// A slot of the hour before the last: none of that hour's are still on their way.
fn slot_at(slot: u32) -> UtcTime {
    const HOUR_US: i64 = 3_600_000_000;
    static HOUR: LazyLock<UtcTime> =
        LazyLock::new(|| UtcTime::from_micros((UtcTime::now().as_micros() / HOUR_US - 2) * HOUR_US));
    HOUR.after(STEP * slot)
}

/// An hour of twelve slots, one of them without a result.
fn an_hour_of_everything() -> Writer {
    let fault = || json!({"prober_fault": "no network"});
    let mut writer = Writer::new("a");
    writer.check(0, true, json!({}));
    let later = |by: u32| slot_at(1).after(STEP / 10 * by).to_string();
    writer.check(1, true, json!({"confirmation": 1, "started_at": later(1), "finished_at": later(2)}));
    writer.check(1, false, json!({"confirmed": false}));
    writer.check(2, false, fault());
    writer.check(3, false, json!({"maintenance": true}));
    writer.check(4, true, json!({"maintenance": true}));
    writer.check(5, false, json!({"confirmed": true}));
    writer.check(5, false, json!({"confirmation": 1}));
    writer.check(5, false, json!({"confirmation": 2, "finished_at": slot_at(7).to_string()}));
    writer.check(6, false, fault());
    writer.check(7, true, json!({"maintenance": true}));
    writer.check(9, false, json!({}));
    writer.check(10, true, json!({}));
    writer.check(11, false, fault());
    writer.check(11, true, json!({"confirmation": 1}));
    writer
}

const UPTIME: &str = "
    SELECT jsonb_build_array(up, down, unknown, maintenance, uptime_percent) FROM uptime
    WHERE site = $1 AND location = 'tests' AND hour = (SELECT date_trunc('hour', min(scheduled_at)) FROM check_result)";

#[test]
fn each_slot_counts_as_its_scheduled_check_says_and_none_is_left_out() {
    let pipeline = Pipeline::new("verdicts");
    pipeline.topic().create();
    let writer = an_hour_of_everything();
    pipeline.topic().send(2, &writer.messages());
    let consumer = pipeline.consumer();
    pipeline.wait_for_rows(15);
    pipeline.prove_stored();

    let mut database = pipeline.database();
    // Up: 0, 1, 10. Down: 5, 9. Unknown: 2, 6, 8 (no result), 11. Maintenance: 3, 4, 7.
    let expected = [json!([3, 2, 4, 3, 60.0])];
    assert_eq!(database.column::<Value>(UPTIME, &[&"a"]), expected, "by the results themselves");
    let incidents: Vec<Value> = database.column(
        "SELECT jsonb_build_array(extract(epoch FROM opened_at)::bigint, extract(epoch FROM closed_at)::bigint, failure_detail)
         FROM incident",
        &[],
    );
    let end_of = |slot| slot_at(slot).as_micros() / 1_000_000 + 2;
    assert_eq!(incidents, [json!([end_of(5), end_of(10), "of slot 5"])]);
    let interval: i64 = database.value("SELECT interval_us FROM site_version");
    assert_eq!(interval, 300_000_000, "confirmations are no steps of the schedule");
    let latest: Value = database.value("SELECT to_jsonb(l) FROM latest_status l");
    let shown =
        ["outcome", "state", "prober_fault", "maintenance", "confirmed", "seq"].map(|name| latest[name].clone());
    assert_eq!(json!(shown), json!(["down", "up", "no network", false, null, 14]), "{latest}");
    let since: i64 = database.value("SELECT extract(epoch FROM since)::bigint FROM latest_status");
    assert_eq!(since, end_of(10), "what does not count leaves the state as it was");

    // Once more, as the housekeeper sums it up: at its start, of hours that nothing came for in a while.
    assert_eq!(consumer.sigterm().code, Some(0));
    database.run("UPDATE dirty_hour SET marked_at = marked_at - interval '1 minute'");
    let _consumer = pipeline.consumer();
    eventually("the hour is summed up", || pipeline.count("uptime_hour WHERE maintenance = 3") == 1);
    eventually("the sum is used", || pipeline.count("open_hour WHERE hour IN (SELECT hour FROM uptime_hour)") == 0);
    assert_eq!(database.column::<Value>(UPTIME, &[&"a"]), expected, "by the sum");
    assert_eq!(pipeline.audit().0, Some(0));
}

#[test]
fn the_commands_tell_confirmations_maintenance_and_faults_of_the_prober() {
    let pipeline = Pipeline::new("verdicts_shown");
    pipeline.topic().create();
    let writer = an_hour_of_everything();
    pipeline.topic().send(2, &writer.messages());
    let _consumer = pipeline.consumer();
    pipeline.wait_for_rows(15);

    let table = pipeline.ask(&["peek"]);
    for words in [
        "[unknown, fault of the prober: no network] timeout: of slot 11",
        "[confirmation 2] timeout: of slot 5",
        "[not confirmed] timeout: of slot 1",
        "[maintenance] timeout: of slot 3",
    ] {
        assert!(table.output.contains(words), "{words} is not in\n{}", table.output);
    }
    let json = pipeline.ask(&["peek", "--json"]);
    let rows: Vec<Value> = json.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.iter().filter(|row| row["confirmation"] == 1).count(), 3, "{}", json.output);

    let report: Value = serde_json::from_str(&pipeline.ask(&["report", "--since", "6h", "--json"]).output).unwrap();
    let site = &report["sites"][0];
    let shown = ["up", "down", "maintenance", "checks", "confirmations", "incidents", "is_down", "p95_us"];
    let expected = json!([3, 2, 3, 11, 4, 1, false, 2_000_000]);
    assert_eq!(json!(shown.map(|name| site[name].clone())), expected, "{report}");
    let table = pipeline.ask(&["report", "--since", "6h"]);
    assert!(table.output.contains("MAINTENANCE") && table.output.contains("60.00 %"), "{}", table.output);

    let console = pipeline.consumer_with(&["run", "--sink", "console"]);
    eventually("every check is printed", || console.output().len() == writer.written.len());
    let printed: Vec<Value> = console.output().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(printed, writer.written);
}

#[test]
fn of_two_producers_at_one_location_the_verdict_that_counts_wins() {
    let pipeline = Pipeline::new("two_verdicts");
    pipeline.topic().create();
    let (mut one, mut other) = (Writer::new("a"), Writer::new("a"));
    let none = || json!({});
    let fault = || json!({"prober_fault": "no network"});
    let maintenance = || json!({"maintenance": true});
    for (slot, mine, theirs) in [
        (0, (false, none()), (true, none())),
        (1, (false, fault()), (true, none())),
        (2, (true, maintenance()), (false, none())),
        (3, (false, fault()), (true, maintenance())),
        (4, (false, fault()), (false, fault())),
        (5, (true, none()), (false, json!({"confirmed": false}))),
    ] {
        one.check(slot, mine.0, mine.1);
        other.check(slot, theirs.0, theirs.1);
    }
    pipeline.topic().send(0, &[one.messages(), other.messages()].concat());
    let _consumer = pipeline.consumer();
    pipeline.wait_for_rows(12);
    // Down: 0, 2. Up: 1, 5. Maintenance: 3. Unknown: 4, and the six that have no result.
    assert_eq!(pipeline.database().column::<Value>(UPTIME, &[&"a"]), [json!([2, 2, 7, 1, 50.0])]);
}

#[test]
fn a_site_first_seen_in_maintenance_has_no_state_and_a_confirmation_alone_no_status() {
    let pipeline = Pipeline::new("no_state");
    pipeline.topic().create();
    let (mut kept, mut alone) = (Writer::new("kept"), Writer::new("alone"));
    kept.check(0, false, json!({"maintenance": true}));
    kept.check(1, false, json!({"prober_fault": "no network"}));
    alone.check(0, false, json!({"confirmation": 1}));
    pipeline.topic().send(0, &[kept.messages(), alone.messages()].concat());
    let _consumer = pipeline.consumer();
    pipeline.wait_for_rows(3);
    let mut database = pipeline.database();
    let statuses: Vec<Value> =
        database.column("SELECT jsonb_build_array(site, outcome, state, maintenance) FROM latest_status", &[]);
    assert_eq!(statuses, [json!(["kept", "down", null, false])]);
    assert_eq!((pipeline.count("incident"), pipeline.count("uptime WHERE site = 'alone'")), (0, 0));

    kept.check(2, false, json!({}));
    pipeline.topic().send(0, &kept.messages()[2..]);
    eventually("the first check that counts opens an incident", || {
        pipeline.count("latest_status WHERE state = 'down'") == 1 && pipeline.count("incident") == 1
    });
}

/// A result that has everything that the contract knows.
fn full_check() -> Writer {
    let mut writer = Writer::new("a");
    let hops = json!([
        {"url": "http://a/", "status": 301, "remote_addr": "192.0.2.1:80", "timings_us": {"dns": 1, "total": 40}},
        {"url": "https://a/", "timings_us": {"total": 50}},
    ]);
    let further = json!([{"kind": "body_mismatch", "detail": "no match"}, {"kind": "status", "detail": "500"}]);
    writer.check(
        0,
        false,
        json!({
            "started_at": slot_at(0).after(Duration::from_micros(1234)).to_string(), "hops": hops,
            "further_failures": further, "certificate_subject": "CN=a", "certificate_issuer": "CN=authority, O=\u{e4}",
            "insecure": true, "dns_code": "NOERROR", "queue_us": 77, "reference_answered": false,
            "prober_fault": "no network", "maintenance": true, "confirmation": 3, "confirmed": true,
            "group": "g", "status": 500, "body_matched": false, "body_bytes": 9, "http_version": "HTTP/2.0",
            "remote_addr": "192.0.2.2:443", "final_url": "https://a/", "redirects": 1,
            "certificate_expires_at": slot_at(90).to_string(),
            "timings_us": {"dns": 1, "connect": 2, "tls": 3, "first_byte": 4, "body": 5, "total": 90},
        }),
    );
    writer
}

/// Fields with another value than [`full_check`] has.
fn other_values() -> [(&'static str, Value); 12] {
    [
        ("hops", json!([{"url": "http://b/", "timings_us": {"total": 1}}])),
        ("further_failures", json!([])),
        ("certificate_subject", json!("CN=b")),
        ("certificate_issuer", json!(null)),
        ("insecure", json!(false)),
        ("dns_code", json!("SERVFAIL")),
        ("queue_us", json!(78)),
        ("reference_answered", json!(true)),
        ("prober_fault", json!("no DNS")),
        ("maintenance", json!(false)),
        ("confirmation", json!(2)),
        ("confirmed", json!(null)),
    ]
}

#[test]
fn each_field_of_a_result_has_its_column_and_makes_the_difference_to_a_duplicate() {
    let pipeline = Pipeline::new("columns");
    pipeline.topic().create();
    let mut writer = full_check();
    // Neither is the same as an empty name.
    writer.check(1, true, json!({"certificate_subject": "", "certificate_issuer": "CN=a"}));
    writer.check(2, true, json!({"certificate_issuer": "CN=a"}));
    pipeline.topic().send(0, &writer.messages());
    let consumer = pipeline.consumer();
    pipeline.wait_for_rows(3);
    pipeline.prove_stored();
    let full = writer.written[0].clone();
    let row: Value = pipeline.database().value("SELECT to_jsonb(c) FROM check_result c WHERE seq = 1");
    assert_eq!(row["lateness_us"], 1234);
    let mut others = BTreeMap::new();
    for (field, other) in other_values() {
        assert_eq!(row[field], full[field], "{field} in {row}");
        let mut changed = full.clone();
        changed[field] = other;
        others.insert(changed.to_string().into_bytes(), field);
    }
    pipeline.topic().send(0, &[full.to_string().into_bytes()]);
    pipeline.topic().send(0, &others.keys().cloned().collect::<Vec<_>>());
    eventually("the duplicate is recognised", || consumer.metric("isitup_duplicates_total") >= 1.0);
    pipeline.wait_until_read();
    for raw in pipeline.database().column::<Vec<u8>>("SELECT raw FROM rejected WHERE doubled", &[]) {
        others.remove(&raw);
    }
    assert!(others.is_empty(), "taken for duplicates, though these differ: {:?}", others.values());
    assert_eq!(consumer.metric("isitup_duplicates_total"), 1.0);
}
