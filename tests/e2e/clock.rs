//! The wall clock is stepped while a producer works, or between two runs: the cadence holds, the step is an event, each slot
//! of the time that the clock showed is a row or declared, as often as it came.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::clockwork::Clockwork;
use crate::harness::proxy::{Behaviour, Proxy};
use crate::harness::{Pipeline, Service, eventually, shared_servers, site, within};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// 50 checks a second.
fn steady(pipeline: Pipeline<'static>, site: &site::Site) -> Pipeline<'static> {
    let pipeline = pipeline.every(Duration::from_millis(200));
    (0..10).fold(pipeline, |pipeline, number| pipeline.site(&format!("steady {number}"), site.url()))
}

fn start(pipeline: &Pipeline<'_>, clock: &Clockwork) -> Service {
    Service::start("the producer", clock.drives(pipeline.command("isitup-producer", &[])))
}

/// Waits until the producer has told so many steps, and some checks were made since.
fn wait_for_steps(pipeline: &Pipeline<'_>, steps: i64) {
    eventually(&format!("{steps} steps are told"), || {
        pipeline.count("producer_event WHERE type = 'clock_step'") == steps
    });
    pipeline.wait_for_more_rows(100);
}

/// The steps that the producers told, in seconds.
fn steps(pipeline: &Pipeline<'_>) -> Vec<f64> {
    let told = "SELECT step_us / 1e6::float8 FROM producer_event WHERE type = 'clock_step' ORDER BY seq";
    pipeline.database().column(told, &[])
}

#[track_caller]
fn assert_steps(pipeline: &Pipeline<'_>, wanted: &[f64]) {
    assert_steps_within(2.0, pipeline, wanted);
}

#[track_caller]
fn assert_steps_within(seconds: f64, pipeline: &Pipeline<'_>, wanted: &[f64]) {
    let told = steps(pipeline);
    let is_near =
        told.len() == wanted.len() && told.iter().zip(wanted).all(|(told, wanted)| (told - wanted).abs() < seconds);
    assert!(is_near, "steps of {told:?} s were told, not of {wanted:?} s");
}

/// In the order of the producer's numbers a site's slots ascend, save where the clock was put back, once for each time.
#[track_caller]
fn assert_order(pipeline: &Pipeline<'_>, backward_steps: usize) {
    let mut events = pipeline.topic().events();
    events.sort_by_key(|event| event["seq"].as_u64());
    let mut slots: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in events.iter().filter(|event| event["type"] == "check") {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        slots.entry(text(&event["site"])).or_default().push(text(&event["scheduled_at"]));
    }
    for (site, slots) in slots {
        let descents = slots.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert_eq!(descents, backward_steps, "{site}: {slots:?}");
    }
}

/// Checks that reach the site in so long.
fn checks_in(site: &site::Site, time: Duration) -> u64 {
    let (asked, began) = (site.asked(), Instant::now());
    thread::sleep(time);
    let lasted = began.elapsed();
    let asked = site.asked() - asked;
    // Per time as asked for: on a busy machine the sleep lasts longer.
    (asked as f64 * time.as_secs_f64() / lasted.as_secs_f64()) as u64
}

#[test]
fn a_clock_stepped_by_an_hour_either_way_keeps_the_cadence_and_tells_each_step() {
    let (site, clock) = (site::well("hello"), Clockwork::new());
    let pipeline = steady(Pipeline::new("hour"), &site);
    let _consumer = pipeline.consumer();
    let producer = start(&pipeline, &clock);
    pipeline.wait_for_rows(100);
    for (number, step) in [HOUR, -HOUR, -HOUR].into_iter().enumerate() {
        clock.step(step);
        eventually("some 100 checks in 2 s after a step", || {
            (40..=160).contains(&checks_in(&site, Duration::from_secs(2)))
        });
        wait_for_steps(&pipeline, number as i64 + 1);
    }
    pipeline.prove(producer);
    assert_steps(&pipeline, &[3600.0, -3600.0, -3600.0]);
    assert_order(&pipeline, 2);
}

#[test]
fn a_clock_stepped_by_a_day_either_way_loses_nothing() {
    let (site, clock) = (site::well("hello"), Clockwork::new());
    let pipeline = steady(Pipeline::new("day"), &site);
    let _consumer = pipeline.consumer();
    let producer = start(&pipeline, &clock);
    pipeline.wait_for_rows(100);
    for (number, step) in [DAY, -DAY, -DAY].into_iter().enumerate() {
        clock.step(step);
        wait_for_steps(&pipeline, number as i64 + 1);
    }
    pipeline.prove(producer);
    assert_steps(&pipeline, &[86_400.0, -86_400.0, -86_400.0]);
    assert_order(&pipeline, 2);
}

#[test]
fn what_a_clock_dates_days_ahead_is_set_aside_with_the_reason_and_the_audit_names_it() {
    let (site, clock) = (site::well("hello"), Clockwork::new());
    let pipeline = steady(Pipeline::new("days_ahead"), &site);
    let _consumer = pipeline.consumer();
    let producer = start(&pipeline, &clock);
    pipeline.wait_for_rows(100);
    clock.step(3 * DAY);
    eventually("results of days to come are set aside", || pipeline.count("rejected") >= 100);
    clock.step(-3 * DAY);
    pipeline.wait_for_more_rows(100);
    assert_eq!(producer.sigterm().code, Some(0));
    pipeline.wait_until_read();

    let mut database = pipeline.database();
    let others = database.count("rejected WHERE reason NOT LIKE '%is more than one day ahead of%'");
    assert_eq!(others, 0);
    let set_aside: Vec<i64> =
        database.column("SELECT (convert_from(raw, 'UTF8')::jsonb ->> 'seq')::bigint FROM rejected ORDER BY 1", &[]);
    let (code, audit) = pipeline.audit();
    let missing: Vec<i64> = audit["producers"][0]["missing_ranges"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|range| range[0].as_i64().unwrap()..=range[1].as_i64().unwrap())
        .collect();
    assert_eq!((code, missing), (Some(1), set_aside), "just what was set aside is missing");
}

#[test]
fn a_clock_that_drifts_is_followed_without_a_word() {
    let (site, clock) = (site::well("hello"), Clockwork::new());
    let pipeline = steady(Pipeline::new("drift"), &site);
    let _consumer = pipeline.consumer();
    let producer = start(&pipeline, &clock);
    pipeline.wait_for_rows(100);
    for drift in [400_000, 300_000, -400_000, -300_000] {
        clock.step(drift);
        // The producer compares the clocks once a second.
        let asked = site.asked();
        eventually("two seconds' checks are made", || site.asked() >= asked + 100);
    }
    pipeline.prove(producer);
    assert_eq!(pipeline.count("producer_event WHERE type = 'clock_step'"), 0);
    assert_order(&pipeline, 0);
}

#[test]
fn a_clock_put_back_between_a_crash_and_the_restart_is_told_and_the_time_between_is_declared() {
    let (site, clock) = (site::well("hello"), Clockwork::new());
    let pipeline = steady(Pipeline::new("crash_and_step"), &site);
    let _consumer = pipeline.consumer();
    for step in [-HOUR, HOUR] {
        let producer = start(&pipeline, &clock);
        pipeline.wait_for_more_rows(100);
        producer.kill9();
        clock.step(step);
    }
    let producer = start(&pipeline, &clock);
    pipeline.wait_for_more_rows(100);
    pipeline.prove(producer);
    // Put forward it cannot be told from an hour of being down, and is declared as such.
    // With the time that the start took.
    assert_steps_within(60.0, &pipeline, &[-3600.0]);
    assert_eq!(pipeline.count("gap WHERE reason = 'producer_down' AND sites IS NULL"), 2);
}

#[test]
fn what_a_spool_loses_after_steps_of_the_clock_hides_no_time_that_either_clock_showed() {
    let (site, clock, kafka) = (site::well("hello"), Clockwork::new(), Proxy::kafka(shared_servers().kafka()));
    let pipeline = steady(Pipeline::new("cut_after_steps").broker_behind(kafka.address()), &site);
    let _consumer = pipeline.consumer();
    let producer = start(&pipeline, &clock);
    pipeline.wait_for_rows(100);
    clock.step(-HOUR);
    wait_for_steps(&pipeline, 1);
    kafka.behave(Behaviour::Refuse);
    site.wait_for_checks(50);
    clock.step(HOUR);
    eventually("the second step is noticed", || producer.metric("isitup_clock_steps_total") == 2.0);
    site.wait_for_checks(100);
    producer.kill9();
    // Of what was written last a quarter is left.
    let path = pipeline.segments().pop().unwrap();
    let written = fs::read(&path).unwrap().iter().rposition(|byte| *byte != 0).unwrap() as u64;
    OpenOptions::new().write(true).open(path).unwrap().set_len(written / 4).unwrap();

    kafka.behave(Behaviour::Forward);
    let producer = start(&pipeline, &clock);
    pipeline.wait_for_more_rows(100);
    pipeline.prove(producer);
    assert_steps(&pipeline, &[-3600.0, 3600.0]);
}

/// A producer whose clocks on the wall are those of Berlin, from a few seconds before `change` until after it.
#[track_caller]
fn assert_change_of_zone_is_no_step(change: &str, window: &str) {
    let (site, clock) = (site::well("hello"), Clockwork::new());
    let settings = format!("maintenance: [{{weekly: {window:?}, time_zone: Europe/Berlin}}]");
    let pipeline = Pipeline::new("zone").every(Duration::from_millis(200)).site_with("a", site.url(), &settings);
    let mut consumer = pipeline.command("isitup-consumer", &[]);
    consumer.env("ISITUP__CONSUMER__RETENTION", "36500d");
    let _consumer = Service::start("the consumer", consumer);
    eventually("the schema is made", || pipeline.count("partition_offset") >= 0 && pipeline.count("result_day") > 0);
    let until_change =
        format!("SELECT (extract(epoch FROM '{change}'::timestamptz - clock_timestamp()) * 1000000)::bigint");
    clock.step(pipeline.database().value::<i64>(&until_change) - 15 * SECOND);
    let mut producer = pipeline.command("isitup-producer", &[]);
    producer.env("TZ", "Europe/Berlin");
    let producer = Service::start("the producer", clock.drives(producer));
    let after = format!("check_result WHERE scheduled_at >= '{change}'");
    eventually("the change has come", || pipeline.count(&after) >= 10);
    pipeline.prove(producer);

    assert_eq!(pipeline.count("producer_event WHERE type = 'clock_step'"), 0);
    assert!(pipeline.count(&format!("check_result WHERE scheduled_at < '{change}'")) >= 5);
    let wrong = format!("check_result WHERE maintenance <> (scheduled_at >= '{change}')");
    assert_eq!(pipeline.count(&wrong), 0, "maintenance begins with the change");
    assert_order(&pipeline, 0);
}

#[test]
fn a_change_to_winter_time_is_no_step_and_its_second_hour_has_maintenance_again() {
    assert_change_of_zone_is_no_step("2026-10-25 01:00Z", "Sun 02:00-02:30");
}

#[test]
fn a_change_to_summer_time_is_no_step_and_maintenance_follows_the_clocks() {
    assert_change_of_zone_is_no_step("2026-03-29 01:00Z", "Sun 03:00-03:30");
}

#[test]
fn a_consumer_whose_clock_is_stepped_keeps_its_share_since_leases_go_by_the_database() {
    let (site, clock) = (site::well("hello"), Clockwork::new());
    let pipeline = steady(Pipeline::new("lease_clock"), &site).lease(Duration::from_secs(10));
    let stepped = Service::start("the stepped consumer", clock.drives(pipeline.command("isitup-consumer", &[])));
    let _other = pipeline.consumer();
    let producer = pipeline.producer();
    let owners = || {
        let mut database = pipeline.database();
        database.column::<String>(
            "SELECT DISTINCT owner::text FROM partition_offset WHERE owner IS NOT NULL ORDER BY 1",
            &[],
        )
    };
    let shares = "SELECT count(*) FROM partition_offset WHERE owner IS NOT NULL GROUP BY owner";
    let is_shared =
        || pipeline.count("partition_offset") == 6 && pipeline.database().column::<i64>(shares, &[]) == [3, 3];
    eventually("both hold three partitions", is_shared);
    let before =
        (owners(), pipeline.database().column::<i64>("SELECT epoch FROM partition_offset ORDER BY partition", &[]));
    for step in [HOUR, -2 * HOUR, HOUR] {
        clock.step(step);
        // Longer than the lease.
        let began = Instant::now();
        within(Duration::from_secs(60), "a lease's time goes by", || began.elapsed() > Duration::from_secs(11));
        pipeline.wait_for_more_rows(50);
    }
    let after =
        (owners(), pipeline.database().column::<i64>("SELECT epoch FROM partition_offset ORDER BY partition", &[]));
    assert_eq!(before, after, "no partition has changed hands");
    assert_eq!(stepped.get("/health/ready").0, 200);
    pipeline.prove(producer);
}
