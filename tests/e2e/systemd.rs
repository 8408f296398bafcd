//! Under systemd: what it is told, and whether its watchdog tells a service that hangs from one that waits.

use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Manager, Pipeline, Service, eventually, site, trace, units, within};

/// What nobody listens on.
const NOWHERE: &str = "127.0.0.1:1";

#[test]
fn a_producer_tells_that_it_started_is_ready_reads_its_sites_anew_and_ends() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("systemd_producer").site("a", site.url());
    let manager = Manager::in_folder(pipeline.folder());
    let producer = Service::start("the producer", manager.managing(pipeline.command("isitup-producer", &[])));
    manager.wait_for("STATUS=ready");
    assert_eq!(manager.heard().first().map(String::as_str), Some("READY=1"));
    eventually("the watchdog is fed again and again", || manager.times("WATCHDOG=1") > 5);

    producer.signal(Signal::HUP);
    manager.wait_for("RELOADING=1");
    eventually("it is ready again", || manager.times("READY=1") == 2);
    let reload = manager.heard().into_iter().skip_while(|line| line != "RELOADING=1").nth(1);
    assert!(reload.as_ref().is_some_and(|line| line.starts_with("MONOTONIC_USEC=")), "{reload:?}");

    assert_eq!(producer.sigterm().code, Some(0));
    manager.wait_for("STOPPING=1");
}

#[test]
fn a_consumer_without_its_servers_has_started_and_says_what_it_waits_for_and_is_left_alone() {
    let pipeline = Pipeline::new("systemd_waiting")
        .broker_behind(NOWHERE.into())
        .postgres_url(format!("postgres://x@{NOWHERE}/x"));
    let manager = Manager::in_folder(pipeline.folder());
    let consumer = Service::start("the consumer", manager.managing(pipeline.command("isitup-consumer", &[])));
    manager.wait_for("READY=1");
    manager.wait_for("STATUS=Kafka");
    let fed = manager.times("WATCHDOG=1");
    eventually("the watchdog is fed all the same", || manager.times("WATCHDOG=1") > fed + 10);
    assert!(!manager.heard().iter().any(|line| line == "STATUS=ready"), "{:?}", manager.heard());
    assert_eq!(consumer.sigterm().code, Some(0));
    manager.wait_for("STOPPING=1");
}

#[test]
fn a_consumer_with_its_servers_is_ready() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("systemd_consumer").site("a", site.url());
    let manager = Manager::in_folder(pipeline.folder());
    let _producer = pipeline.producer();
    let consumer = Service::start("the consumer", manager.managing(pipeline.command("isitup-consumer", &[])));
    manager.wait_for("STATUS=ready");
    assert_eq!(consumer.sigterm().code, Some(0));
    manager.wait_for("STOPPING=1");
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn a_producer_of_which_one_thread_stands_still_feeds_its_watchdog_no_more() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("systemd_stuck").site("a", site.url());
    let manager = Manager::in_folder(pipeline.folder());
    let mut command = manager.managing(pipeline.command("isitup-producer-failpoints", &[]));
    command.env("FAILPOINTS", "spool.written=10*off->return(hold)");
    let stuck = Service::start("the producer", command);
    stuck.wait_for_log("held at spool.written");
    assert!(!manager.would_restart(), "it may still be the disk");
    within(Duration::from_secs(300), "its watchdog goes hungry", || manager.would_restart());
    manager.wait_for("hangs: nothing was heard of it");
}

#[test]
fn the_services_ask_the_system_for_nothing_that_their_units_forbid() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("systemd_calls").site("a", site.url());
    let calls = |program: &str| pipeline.folder().join(program).with_extension("calls");
    let start = |program: &str| {
        let counted = trace::counted(&pipeline.command(program, &[]), &calls(program));
        Service::start(program, counted)
    };
    let (producer, consumer) = (start("isitup-producer"), start("isitup-consumer"));
    pipeline.wait_for_rows(3);
    producer.signal(Signal::HUP);
    producer.wait_for_log("the configuration was read anew");
    assert_eq!(producer.sigterm().code, Some(0));
    pipeline.wait_until_read();
    assert_eq!(consumer.sigterm().code, Some(0));
    for program in ["isitup-producer", "isitup-consumer"] {
        let mut asked = Vec::new();
        eventually("strace has told all", || {
            asked = trace::names_in(&calls(program));
            asked.len() > 20
        });
        let allowed = units::allowed_calls(program);
        let forbidden: Vec<_> = asked.iter().filter(|name| !allowed.contains(*name)).collect();
        assert!(forbidden.is_empty(), "{program} asks for {forbidden:?}");
    }
}
