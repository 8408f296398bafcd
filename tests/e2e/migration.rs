//! A database of the release before, with results in it, is brought up to date where it stands.

use std::fs;

use isitup_shared::time::UtcTime;
use serde_json::{Value, json};

use crate::harness::{Database, Pipeline, eventually, repository};

const TABLES: &str = include_str!("../../consumer/migrations/V1__tables.sql");
const VIEWS: &str = include_str!("../../consumer/migrations/V2__views.sql");
const ROLES: &str = include_str!("../../consumer/migrations/V3__roles.sql");

const PRODUCER: &str = "00000000-0000-0000-0000-000000000007";

/// Two sites, in the hour before the last, whose slots have all come: one good, one that fails since, with two results each, half a minute apart.
const RESULTS: &str = "
    INSERT INTO site (name, url) VALUES ('good', 'http://a/'), ('bad', 'http://a/');
    INSERT INTO site_version (site_id, url, config_hash, interval_us) SELECT site_id, url, 'c', 30000000 FROM site;
    INSERT INTO producer (producer_id, location) VALUES ('00000000-0000-0000-0000-000000000007', 'tests');
    INSERT INTO result (scheduled_at, seq, started_at, finished_at, total_us, producer_id, site_id, version_id, redirects,
                        location, failure_kind, failure_detail)
    SELECT at, 2 * slot + s.site_id, at + interval '250 us', at + interval '1 s', 7, '00000000-0000-0000-0000-000000000007',
           s.site_id, v.version_id, 0, 'tests',
           CASE s.name WHEN 'bad' THEN 'status' END, CASE s.name WHEN 'bad' THEN '500' END
    FROM generate_series(0, 1) slot,
         LATERAL (SELECT date_trunc('hour', now(), 'UTC') - interval '2 hours' + slot * interval '30 s') t (at),
         site s JOIN site_version v USING (site_id);
    INSERT INTO site_status (site_id, location, version_id, producer_id, seq, first_scheduled_at, scheduled_at, finished_at,
                             since, total_us, failure_kind, failure_detail)
    SELECT DISTINCT ON (site_id) site_id, location, version_id, producer_id, seq, min(scheduled_at) OVER (), scheduled_at,
           finished_at, min(finished_at) OVER (), total_us, failure_kind, failure_detail
    FROM result ORDER BY site_id, scheduled_at DESC;
    INSERT INTO incident (site_id, location, opened_at, failure_kind, failure_detail)
    SELECT site_id, location, since, failure_kind, failure_detail FROM site_status WHERE failure_kind IS NOT NULL;
    INSERT INTO uptime_hour (site_id, location, hour, up, down, unknown)
    SELECT site_id, location, date_trunc('hour', now(), 'UTC') - interval '1 day', 100, 20, 0 FROM site_status;
    UPDATE maintenance SET rolled_until = date_trunc('hour', now(), 'UTC') - interval '2 hours';
    CREATE VIEW somebodys_own AS SELECT u.site, u.up, l.outcome FROM uptime u JOIN latest_status l USING (site);";

/// Turns the pipeline's schema into what the release before left: its three migrations, and results.
pub(crate) fn as_the_release_before(pipeline: &Pipeline<'_>) -> Database {
    assert_eq!(pipeline.ask(&["migrate"]).code, Some(0));
    let (mut database, schema) = (pipeline.database(), pipeline.name());
    database.run("CREATE TEMPORARY TABLE kept (LIKE refinery_schema_history INCLUDING ALL)");
    database.run("INSERT INTO kept SELECT * FROM refinery_schema_history WHERE version <= 3");
    database.run(&format!("DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema}"));
    for migration in [TABLES, VIEWS, ROLES] {
        database.run(migration);
    }
    database.run("CREATE TABLE refinery_schema_history (LIKE kept INCLUDING ALL)");
    database.run("INSERT INTO refinery_schema_history SELECT * FROM kept");
    // The results and this moment may lie on two days.
    database.run(&format!(
        "DO $$ DECLARE day date; BEGIN
             FOR day IN SELECT DISTINCT ((now() - back) AT TIME ZONE 'UTC')::date FROM (VALUES ('0'::interval), ('3 hours')) v (back) LOOP
                 EXECUTE format('CREATE TABLE {schema}.%I PARTITION OF {schema}.result FOR VALUES FROM (%L) TO (%L)',
                                'result_' || to_char(day, 'YYYYMMDD'), day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00');
                 INSERT INTO result_day VALUES (day);
             END LOOP;
         END $$"
    ));
    database.run(RESULTS);
    database
}

/// The event whose row the release before stored, or would have: `seq` 1 to 4, or a later one that is good.
fn event(database: &mut Database, seq: i64, more: &Value) -> Vec<u8> {
    let row: Value = database.value(&format!(
        "SELECT jsonb_build_object('site', site, 'url', url, 'scheduled_at', scheduled_at, 'started_at', started_at,
                                   'finished_at', finished_at, 'kind', failure_kind, 'detail', failure_detail)
         FROM check_result WHERE seq = {seq}"
    ));
    let time = |name: &str| row[name].as_str().unwrap().parse::<UtcTime>().unwrap().to_string();
    let mut check = json!({
        "v": 1, "type": "check", "producer_id": PRODUCER, "seq": seq, "location": "tests", "site": row["site"],
        "url": row["url"], "scheduled_at": time("scheduled_at"), "started_at": time("started_at"),
        "finished_at": time("finished_at"), "redirects": 0, "timings_us": {"total": 7}, "config_hash": "c",
        "outcome": if row["kind"].is_null() { "up" } else { "down" },
    });
    let fields = check.as_object_mut().unwrap();
    if !row["kind"].is_null() {
        fields.insert("failure".into(), json!({"kind": row["kind"], "detail": row["detail"]}));
    }
    fields.extend(more.as_object().unwrap().clone());
    check.to_string().into_bytes()
}

#[test]
fn a_database_with_results_is_brought_up_to_date_and_goes_on() {
    let pipeline = Pipeline::new("migrated");
    pipeline.topic().create();
    let mut database = as_the_release_before(&pipeline);
    let uptime = "SELECT jsonb_agg(jsonb_build_array(site, hour, up, down, unknown) ORDER BY site, hour) FROM uptime
                  WHERE hour <= (SELECT max(scheduled_at) FROM check_result)";
    let before: Value = database.value(uptime);
    let migrated = pipeline.ask(&["migrate"]);
    assert!(migrated.code == Some(0) && migrated.output.contains("V4__truth"), "{migrated:?}");
    let migrations = fs::read_dir(repository().join("consumer/migrations")).unwrap().count();
    assert_eq!(migrated.output.lines().count(), migrations - 3, "{migrated:?}");
    assert!(pipeline.ask(&["migrate"]).output.contains("up to date"));

    assert_eq!(database.value::<Value>(uptime), before, "what was counted counts as before");
    assert_eq!(database.count("uptime WHERE maintenance <> 0"), 0);
    let news = "check_result WHERE lateness_us = 250 AND NOT maintenance AND NOT insecure AND hops IS NULL
                AND further_failures IS NULL AND queue_us IS NULL AND confirmation IS NULL AND certificate_issuer IS NULL";
    assert_eq!(database.count(news), 4);
    assert_eq!(database.count("latest_status WHERE state = outcome AND NOT maintenance"), 2);
    assert_eq!(database.count("somebodys_own"), database.count("uptime"), "views of others go on");
    for (object, is_readable) in [("uptime", true), ("check_result", true), ("certificate", false), ("result", false)] {
        let may = format!("SELECT has_table_privilege('isitup_reader', '{object}', 'SELECT')");
        assert_eq!(database.value::<bool>(&may), is_readable, "{object}");
    }
    goes_on(&pipeline, &mut database);
}

/// The topic is read again: nothing is doubled, and what is new is stored beside what is old.
fn goes_on(pipeline: &Pipeline<'_>, database: &mut Database) {
    let unseen = json!({"queue_us": 5, "certificate_subject": "CN=a", "insecure": true});
    let mut messages: Vec<Vec<u8>> = (1..=4).map(|seq| event(database, seq, &unseen)).collect();
    let bad: i64 = database.value("SELECT seq FROM latest_status WHERE site = 'bad'");
    let recovered = json!({
        "seq": 5, "outcome": "up", "failure": null, "scheduled_at": UtcTime::now(), "finished_at": UtcTime::now(),
        "queue_us": 6, "certificate_subject": "CN=a",
    });
    messages.push(event(database, bad, &recovered));
    pipeline.topic().send(0, &messages);
    let consumer = pipeline.consumer();
    eventually("the new result is stored", || pipeline.count("check_result WHERE queue_us = 6") == 1);
    eventually("doubles are counted", || consumer.metric("isitup_duplicates_total") == 4.0);
    assert_eq!(database.count("rejected"), 0, "a row without what the release before did not know is no other payload");
    assert_eq!(database.count("check_result WHERE certificate_subject = 'CN=a'"), 1, "what is stored is left as it is");
    assert_eq!(database.count("incident WHERE closed_at IS NOT NULL"), 1);
    assert_eq!(database.count("latest_status WHERE state = 'up'"), 2);
    assert_eq!(pipeline.audit().0, Some(0));
}
