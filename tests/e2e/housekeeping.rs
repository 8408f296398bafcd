//! The housekeeping holds up nobody: not those who store, not its own other tasks, not the end of the process. And what
//! fails of it is told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use isitup_shared::time::UtcTime;
use serde_json::json;
use uuid::Uuid;

use crate::harness::{Database, PgBouncer, Pipeline, Service, eventually, shared_servers, site, within};
use crate::migration::as_the_release_before;
use crate::setup_database::{Gone, as_ingest, set_up, url_of};

/// Keeps three days only.
const SHORT: (&str, &str) = ("ISITUP__CONSUMER__RETENTION", "3d");

const DAY: i64 = 86_400_000_000;
const HOUR: i64 = 3_600_000_000;

/// A stopped consumer leaves within 8 s; the rest is for a busy machine.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// Long enough for a failed task to be tried again, twice.
const AGAIN: Duration = Duration::from_secs(180);

/// A consumer that keeps three days only.
fn keeper(pipeline: &Pipeline<'_>) -> Service {
    let mut command = pipeline.command("isitup-consumer", &[]);
    command.env(SHORT.0, SHORT.1);
    Service::start("the housekeeper", command)
}

/// Has checks stored of these times, by a consumer that keeps them, and ends it.
fn store_at(pipeline: &Pipeline<'_>, times: &[i64]) {
    pipeline.topic().create();
    let producer = Uuid::new_v4();
    let message = |(seq, at): (usize, &i64)| {
        let at = UtcTime::from_micros(*at).to_string();
        let check = json!({
            "v": 1, "type": "check", "producer_id": producer, "seq": seq + 1, "location": "tests", "site": "a",
            "url": "http://a/", "scheduled_at": at, "started_at": at, "finished_at": at, "outcome": "up",
            "status": 200, "redirects": 0, "timings_us": {"total": 7}, "config_hash": "c",
        });
        check.to_string().into_bytes()
    };
    let messages: Vec<Vec<u8>> = times.iter().enumerate().map(message).collect();
    pipeline.topic().send(0, &messages);
    let consumer = pipeline.consumer();
    pipeline.wait_for_rows(i64::try_from(times.len()).unwrap());
    assert_eq!(consumer.sigterm().code, Some(0));
    // Hours are summed up when they had some seconds of peace.
    let mut database = pipeline.database();
    database.run("UPDATE dirty_hour SET marked_at = marked_at - interval '1 minute' WHERE isfinite(marked_at)");
}

/// Noon, so many days ago.
fn noon(days_ago: i64) -> i64 {
    (UtcTime::now().as_micros() / DAY - days_ago) * DAY + DAY / 2
}

const DROPPED: &str = "pg_class WHERE relnamespace = current_schema()::regnamespace AND relname ~ '^result_[0-9]{8}$'
                       AND to_date(substr(relname, 8), 'YYYYMMDD') < (now() AT TIME ZONE 'UTC')::date - 3";

/// Stores beside a consumer, in the manner of one; ends with the number of rows that were stored, or the first error.
fn storing(database: &mut Database, is_over: &AtomicBool) -> Result<u64, postgres::Error> {
    let mut stored = 0;
    while !is_over.load(Ordering::Relaxed) {
        stored += 1;
        // A consumer waits for no lock for longer.
        database.try_run(&format!(
            "SET lock_timeout = '1500ms';
             INSERT INTO result (scheduled_at, seq, started_at, finished_at, total_us, producer_id, site_id, version_id,
                                 redirects, location)
             SELECT date_trunc('day', now(), 'UTC'), {stored}, now(), now(), 1, '00000000-0000-0000-0000-000000000009', 1, 1, 0, 'x'"
        ))?;
        thread::sleep(Duration::from_millis(20));
    }
    Ok(stored)
}

/// While `work` lasts, rows are stored; none of them waits for long.
fn while_rows_are_stored(pipeline: &Pipeline<'_>, url: &str, work: impl FnOnce()) {
    let is_over = AtomicBool::new(false);
    let mut database = Database::connect(url, pipeline.name()).unwrap();
    thread::scope(|scope| {
        let storing = scope.spawn(|| storing(&mut database, &is_over));
        // Ends the storing, however the work ends.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        is_over.store(true, Ordering::Relaxed);
        let stored = storing.join().unwrap();
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
        assert!(stored.as_ref().is_ok_and(|stored| *stored > 10), "storing was held up: {stored:?}");
    });
}

#[test]
fn one_hour_that_cannot_be_summed_stops_nothing_else() {
    let pipeline = Pipeline::new("bad_hour");
    let (bad, good) = (noon(1), noon(1) + HOUR);
    store_at(&pipeline, &[noon(6), noon(5), bad, good]);
    let hour = |at: i64| format!("'{}'", UtcTime::from_micros(at));
    let mut database = pipeline.database();
    // As where a value fits into the one table and not into the other.
    database.run(&format!(
        "UPDATE maintenance SET succeeded_at = NULL;
         DELETE FROM result_day WHERE day > (now() AT TIME ZONE 'UTC')::date; DELETE FROM uptime_hour; DELETE FROM audit_day;
         INSERT INTO dirty_hour (hour, partition, marked_at) SELECT hour, -1, '-infinity'
         FROM (VALUES ({bad}::timestamptz), ({good})) v (hour) ON CONFLICT DO NOTHING;
         ALTER TABLE uptime_hour ADD CONSTRAINT refused CHECK (hour <> {bad})",
        bad = hour(bad),
        good = hour(good)
    ));
    for day in [1, 2] {
        database.run(&format!("DROP TABLE IF EXISTS result_{}", &hour(noon(-day))[1..11].replace('-', "")));
    }
    let keeper = keeper(&pipeline);
    keeper.wait_for_log("housekeeping failed since");
    eventually("the old days are gone", || pipeline.count(DROPPED) == 0);
    eventually("the other hour is summed up", || {
        pipeline.count(&format!("uptime_hour WHERE hour = {}", hour(good))) == 1
    });
    eventually("days are made ahead", || {
        pipeline.count("result_day WHERE day > (now() AT TIME ZONE 'UTC')::date") == 2
    });
    eventually("the turn is given back", || pipeline.count("maintenance WHERE owner IS NULL") == 1);
    assert_eq!(pipeline.count("audit_day"), 2, "of the days that were dropped");

    let (code, why) = keeper.get("/health/ready");
    assert_eq!(code, 503, "{why}");
    assert!(why.contains("housekeeping failed since") && why.contains("summing up the hour from"), "{why}");
    assert_eq!(keeper.get("/health/live").0, 200);
    let (_, metrics) = keeper.get("/metrics");
    assert!(metrics.contains("isitup_housekeeping_failures_total{step=\"sum_hours\"}"), "{metrics}");
    assert_eq!(keeper.metric("isitup_housekeeping_last_success_timestamp_seconds"), 0.0);
    eventually("the metrics say so", || {
        keeper.metric("isitup_housekeeping_oldest_unsummed_hour_age_seconds") > 3600.0
            && keeper.metric("isitup_housekeeping_partitions_ahead") == 2.0
    });

    database.run("ALTER TABLE uptime_hour DROP CONSTRAINT refused");
    within(AGAIN, "the hour is summed up", || {
        keeper.metric("isitup_housekeeping_last_success_timestamp_seconds") > 0.0
    });
    assert_eq!(keeper.get("/health/ready").0, 200);
    assert_eq!(pipeline.count(&format!("uptime_hour WHERE hour = {}", hour(bad))), 1);
    assert_eq!(pipeline.audit().0, Some(0));
}

#[test]
fn rows_are_stored_while_a_migration_waits_for_a_reader() {
    let pipeline = Pipeline::new("migration_waits");
    pipeline.topic().create();
    let mut reader = as_the_release_before(&pipeline);
    reader.run("BEGIN; SELECT count(*) FROM result");
    let mut consumer = None;
    while_rows_are_stored(&pipeline, pipeline.database_url(), || {
        let migrating = pipeline.consumer();
        eventually("it has tried three times", || migrating.times_logged("waits for a lock") >= 3);
        consumer = Some(migrating);
    });
    reader.run("ROLLBACK");
    let consumer = consumer.unwrap();
    consumer.wait_for_log("migrated schema");
    eventually("it is ready", || consumer.get("/health/ready").0 == 200);
}

#[test]
fn rows_are_stored_while_a_day_that_is_due_waits_for_a_reader() {
    let pipeline = as_ingest("drop_waits");
    let _gone = Gone(pipeline.name().to_owned());
    assert_eq!(set_up(&pipeline, &["--apply"]).code, Some(0));
    store_at(&pipeline, &[noon(6), noon(5)]);
    let mut owner = pipeline.database();
    owner.run("UPDATE retention SET keep_days = 3");
    let mut reader = pipeline.database();
    reader.run("BEGIN; SELECT count(*) FROM result");
    let url = url_of("isitup", "isitup", pipeline.name());
    while_rows_are_stored(&pipeline, &url, || {
        let keeper = keeper(&pipeline);
        keeper.wait_for_log("dropping the day");
        assert_eq!(keeper.get("/health/ready").0, 200, "a reader is no fault");
        assert!(keeper.metric("isitup_housekeeping_failures_total") >= 1.0);
        reader.run("ROLLBACK");
        within(AGAIN, "the old days are gone", || owner.count(DROPPED) == 0);
    });
}

/// Whether the server runs a statement like this one for the schema.
fn runs(database: &mut Database, statement: &str) -> bool {
    let schema: String = database.value("SELECT current_schema()::text");
    database.count(&format!(
        "pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_class c ON c.oid = l.relation
         WHERE a.state = 'active' AND a.query LIKE '{statement}%' AND c.relnamespace = '{schema}'::regnamespace"
    )) > 0
}

/// It ends in time, and what it held is free.
#[track_caller]
fn ends_in_time(service: Service) {
    let begin = Instant::now();
    let ended = service.sigterm();
    assert!(begin.elapsed() < STOP_LIMIT, "it took {:?}: {}", begin.elapsed(), ended.log);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
}

#[test]
fn a_consumer_ends_though_its_housekeeping_sums_for_long() {
    ends_while_it_sums(&Pipeline::new("long_sum"));
}

#[test]
fn a_consumer_behind_a_pooler_ends_though_its_housekeeping_sums_for_long() {
    let pooler = PgBouncer::before(shared_servers().postgres_url());
    ends_while_it_sums(&Pipeline::new("long_sum_pooled").postgres_url(pooler.url()));
}

fn ends_while_it_sums(pipeline: &Pipeline<'_>) {
    store_at(pipeline, &[noon(1)]);
    let mut database = pipeline.database();
    database.run(&format!(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(3600); RETURN NEW; END';
         CREATE TRIGGER slow BEFORE INSERT ON uptime_hour FOR EACH ROW EXECUTE FUNCTION slow();
         INSERT INTO dirty_hour (hour, partition, marked_at) VALUES ('{}', -1, '-infinity')
         ON CONFLICT (hour, partition) DO UPDATE SET marked_at = '-infinity'",
        UtcTime::from_micros(noon(1))
    ));
    let consumer = keeper(pipeline);
    eventually("it sums up", || runs(&mut database, "INSERT INTO uptime_hour"));
    ends_in_time(consumer);
    assert_eq!(pipeline.count("maintenance WHERE owner IS NULL"), 1, "the turn is given back");
}

#[test]
fn a_consumer_ends_though_its_housekeeping_waits_for_a_reader() {
    let pipeline = Pipeline::new("detach_waits");
    store_at(&pipeline, &[noon(6)]);
    let mut reader = pipeline.database();
    reader.run("BEGIN; SELECT count(*) FROM result");
    let consumer = keeper(&pipeline);
    let half_done = "pg_inherits WHERE inhdetachpending AND inhparent = 'result'::regclass";
    eventually("it detaches a day", || pipeline.count(half_done) == 1);
    ends_in_time(consumer);
    assert_eq!(pipeline.count("maintenance WHERE owner IS NULL"), 1, "the turn is given back");
    reader.run("ROLLBACK");
    let _consumer = keeper(&pipeline);
    within(AGAIN, "the old day is gone", || pipeline.count(DROPPED) == 0);
}

#[test]
fn a_consumer_ends_though_its_migration_waits() {
    let pipeline = Pipeline::new("migration_stops");
    let mut other = as_the_release_before(&pipeline);
    for (hold, word) in [
        ("BEGIN; SELECT count(*) FROM result", "waits for a lock"),
        (
            "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('isitup migrate ' || current_schema(), 0))",
            "another process migrates",
        ),
    ] {
        other.run(hold);
        let consumer = pipeline.consumer();
        consumer.wait_for_log(word);
        ends_in_time(consumer);
        other.run("ROLLBACK");
    }
    // A migration that takes long, as a change to each row does.
    other.run(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(3600); RETURN NEW; END';
         CREATE TRIGGER slow BEFORE UPDATE ON site_status FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    let consumer = pipeline.consumer();
    // Of a query its beginning is shown.
    let updates = "pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%CREATE TABLE certificate%'";
    eventually("it migrates", || other.count(updates) > 0);
    ends_in_time(consumer);
}

#[test]
fn rows_are_summed_up_though_the_role_reads_old_snapshots_by_default() {
    let site = site::well("hello");
    let pipeline = as_ingest("role_isolation").site("hello", site.url());
    let name = pipeline.name().to_owned();
    let _gone = Gone(name.clone());
    assert_eq!(set_up(&pipeline, &["--apply"]).code, Some(0));
    pipeline.database().run(&format!("ALTER ROLE {name}_ingest SET default_transaction_isolation = 'repeatable read'"));
    store_at(&pipeline, &[noon(6)]);
    pipeline.database().run("UPDATE retention SET keep_days = 3");
    let keeper = keeper(&pipeline);
    keeper.wait_for_log("dropped: older than 3 days");
    assert!(!keeper.has_logged("READ COMMITTED"), "{:?}", keeper.said());
}
