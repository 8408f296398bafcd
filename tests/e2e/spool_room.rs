//! The spool alone on its file system, with room for few segments or none: once Kafka has acknowledged what it holds, it
//! goes on by itself. The test plays Kafka.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use isitup_producer::spool::{Feed, Ledger, Spool, SpoolGauge, SpoolHandle};
use isitup_shared::config::{Format, SpoolConfig};
use isitup_shared::event::{Body, Check, Draft};
use isitup_shared::shutdown::Shutdown;
use isitup_shared::time::UtcTime;

use crate::harness::mount::Mount;
use crate::harness::proxy::{Behaviour, Proxy};
use crate::harness::{Pipeline, eventually, shared_servers, site, within};

/// More than any of these disks has room for.
const EVENTS: u64 = 12_000;
const SOON: Duration = Duration::from_secs(120);

/// About 2 KB.
fn draft() -> Draft {
    let url = format!("https://example.com/{}", "x".repeat(900));
    Draft::new(&Body::Check(Box::new(Check::up("a", &url, UtcTime::now()))), Format::Json)
}

fn open(folder: &Path) -> Spool {
    let config = SpoolConfig { path: folder.to_owned(), max_size: 1 << 30 };
    Spool::open(&config, "tests", Format::Json).unwrap()
}

/// A running spool, into which somebody puts [`EVENTS`] as fast as it takes them.
fn fill(folder: &Path) -> (Feed, SpoolHandle, thread::JoinHandle<()>) {
    let (intake, feed, handle) = open(folder).start(Arc::new(Ledger::default()), Shutdown::new()).unwrap();
    let filler = thread::spawn(move || (0..EVENTS).for_each(|_| intake.put(draft(), Vec::new())));
    (feed, handle, filler)
}

fn wait_until_full(gauge: &SpoolGauge) {
    within(SOON, "the disk is full", || gauge.blocked().is_some_and(|why| why.contains("No space left on device")));
}

/// Acknowledges events until `last` is among them.
fn acknowledge_up_to(last: u64, feed: &mut Feed, given: &mut BTreeMap<u64, Vec<u8>>) {
    let deadline = Instant::now() + SOON;
    while feed.taken() < last {
        assert!(Instant::now() < deadline, "{} of {last} came, then none", feed.taken());
        let events = feed.take(1000, Duration::from_millis(50)).unwrap();
        let count = events.len();
        for event in events {
            let before = given.insert(event.seq, event.message.clone());
            assert!(before.is_none_or(|before| before == event.message), "{} is two events", event.seq);
        }
        feed.acknowledged(feed.taken(), count, None);
    }
}

#[test]
fn a_spool_without_room_goes_on_when_kafka_acknowledges() {
    for options in ["size=4m", "size=5m", "size=8500k", "size=13m", "size=64m,nr_inodes=5", "size=64m,nr_inodes=6"] {
        let folder = tempfile::tempdir().unwrap();
        let _disk = Mount::tmpfs(folder.path(), options);
        let (mut feed, handle, filler) = fill(folder.path());
        wait_until_full(&handle.gauge());
        let mut given = BTreeMap::new();
        acknowledge_up_to(EVENTS, &mut feed, &mut given);
        filler.join().unwrap();
        assert_eq!(given.len() as u64, EVENTS, "{options}: each event came");
        within(SOON, "it can be written again", || handle.gauge().blocked().is_none());
        handle.finish();
        assert_eq!(open(folder.path()).declared, [], "{options}: nothing is lost");
    }
}

#[test]
fn a_spool_without_room_that_is_restarted_goes_on_when_kafka_acknowledges() {
    for options in ["size=4m", "size=5m", "size=8500k", "size=64m,nr_inodes=5"] {
        let folder = tempfile::tempdir().unwrap();
        let disk = Mount::tmpfs(folder.path(), options);
        let stop = Shutdown::new();
        let (intake, feed, handle) = open(folder.path()).start(Arc::new(Ledger::default()), stop.clone()).unwrap();
        let filler = thread::spawn(move || (0..EVENTS).for_each(|_| intake.put(draft(), Vec::new())));
        wait_until_full(&handle.gauge());
        stop.trigger();
        handle.finish();
        filler.join().unwrap();
        drop(feed);

        // As brim-full as it was left, and more.
        let filling = (!options.contains("inodes")).then(|| disk.fill(0));
        let spool = open(folder.path());
        assert_eq!(spool.declared, [], "{options}");
        let (intake, mut feed, handle) = spool.start(Arc::new(Ledger::default()), Shutdown::new()).unwrap();
        let kept = u64::try_from(handle.gauge().events()).unwrap();
        assert!(kept > 500, "{options}: {kept} events");
        let filler = thread::spawn(move || (0..EVENTS).for_each(|_| intake.put(draft(), Vec::new())));
        acknowledge_up_to(kept + EVENTS, &mut feed, &mut BTreeMap::new());
        filler.join().unwrap();
        drop(filling);
        handle.finish();
    }
}

#[test]
fn a_producer_on_a_small_disk_goes_on_when_kafka_is_back() {
    let (site, kafka) = (site::well("hello"), Proxy::kafka(shared_servers().kafka()));
    let pipeline = Pipeline::new("small_disk").broker_behind(kafka.address()).every(Duration::from_millis(200));
    let url = format!("{}?{}", site.url(), "\\".repeat(1500));
    let pipeline = (0..20).fold(pipeline, |pipeline, number| pipeline.site(&format!("wordy {number}"), &url));
    let _disk = Mount::tmpfs(&pipeline.spool(), "size=5m");
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    producer.wait_for_log("and it needs at least 12.0 MiB");
    pipeline.wait_for_rows(100);
    kafka.behave(Behaviour::Refuse);
    within(SOON, "the disk is full", || producer.get("/health/ready").0 == 503);
    kafka.behave(Behaviour::Forward);
    eventually("it is ready again", || producer.get("/health/ready").0 == 200);
    pipeline.wait_for_more_rows(500);
    producer.wait_for_empty_spool();
    pipeline.prove(producer);
    assert_eq!(pipeline.count("gap WHERE reason NOT IN ('spool_full', 'overrun')"), 0);
}

#[test]
fn a_producer_whose_newest_segment_is_removed_keeps_on_publishing() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("segment_gone").busy_with(&site);
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    for _ in 0..3 {
        let newest = pipeline.segments().pop().unwrap();
        std::fs::remove_file(newest).unwrap();
        pipeline.wait_for_more_rows(200);
        assert_eq!(producer.get("/health/ready").0, 200);
    }
    assert!(!producer.has_logged("in use by another producer"));
    pipeline.prove(producer);
}
