//! The disk under a spool fails: it is full, out of inodes, read-only, limited, or gone. The producer lives, says what is
//! the matter, and declares what it could not keep.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::harness::mount::Mount;
use crate::harness::proxy::{Behaviour, Proxy};
use crate::harness::{Pipeline, Service, eventually, shared_servers, site, within};

/// Sites whose results are long, so that disks and segments are soon full: some 4 MB in 2 s.
fn wordy<'a>(pipeline: Pipeline<'a>, site: &site::Site) -> Pipeline<'a> {
    // Each backslash of a query takes two bytes in JSON.
    let url = format!("{}?{}", site.url(), "\\".repeat(2000));
    (0..100).fold(pipeline.every(Duration::from_millis(200)), |pipeline, number| {
        pipeline.site(&format!("wordy {number}"), &url)
    })
}

/// Waits until the producer says that its disk refuses, in these words, and that it declares what it cannot keep.
#[track_caller]
fn wait_until_refused(producer: &Service, words: &str) {
    eventually("the producer is not ready", || producer.get("/health/ready").0 == 503);
    let (_, why) = producer.get("/health/ready");
    assert!(why.contains("cannot be written") && why.contains(words), "{why}");
    assert_eq!(producer.get("/health/live").0, 200);
}

/// Waits until slots are missed because nothing can be kept.
#[track_caller]
fn wait_until_declared(producer: &Service) {
    let declared = || producer.metric("isitup_gaps_declared_total{reason=\"spool_full\"}");
    let before = declared();
    within(Duration::from_secs(240), "slots are missed", || declared() > before);
}

/// Waits until the disk takes events again, and some more results are stored.
#[track_caller]
fn wait_until_well(pipeline: &Pipeline<'_>, producer: &Service) {
    eventually("the producer is ready again", || producer.get("/health/ready").0 == 200);
    pipeline.wait_for_more_rows(200);
}

fn full_spans(pipeline: &Pipeline<'_>) -> i64 {
    pipeline.count("gap WHERE reason = 'spool_full' AND \"from\" IS NOT NULL")
}

#[test]
fn a_full_disk_stops_no_producer_and_what_was_checked_meanwhile_is_kept_when_there_is_room_again() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("full_disk").busy_with(&site);
    let disk = Mount::tmpfs(&pipeline.spool(), "size=16m");
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    for but_for in [0, 5000] {
        let filling = disk.fill(but_for);
        wait_until_refused(&producer, "No space left on device");
        let asked = site.asked();
        eventually("checks go on", || site.asked() > asked + 100);
        drop(filling);
        wait_until_well(&pipeline, &producer);
    }
    pipeline.prove(producer);
    assert_eq!(pipeline.count("gap WHERE reason NOT IN ('spool_full', 'overrun')"), 0);
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn slots_that_are_missed_while_the_disk_is_full_are_declared_by_span() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("full_span").every(Duration::from_millis(100));
    let pipeline = (0..150).fold(pipeline, |pipeline, number| pipeline.site(&format!("busy {number}"), site.url()));
    let disk = Mount::tmpfs(&pipeline.spool(), "size=64m");
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    let filling = disk.fill(0);
    wait_until_refused(&producer, "No space left on device");
    // Some thousand events find room in memory; then checks wait, and slots are missed.
    wait_until_declared(&producer);
    within(Duration::from_secs(120), "no check is begun that nothing has room for", || {
        let asked = site.asked();
        thread::sleep(Duration::from_secs(2));
        site.asked() == asked
    });
    drop(filling);
    wait_until_well(&pipeline, &producer);
    pipeline.prove(producer);
    assert!(full_spans(&pipeline) > 0);
}

#[test]
fn a_producer_that_ends_on_a_full_disk_loses_nothing_that_it_had_kept() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("full_end").busy_with(&site);
    let disk = Mount::tmpfs(&pipeline.spool(), "size=16m");
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    let filling = disk.fill(0);
    wait_until_refused(&producer, "No space left on device");
    assert_eq!(producer.sigterm().code, Some(0));
    // Nor does a start do any harm: it is refused.
    let refused = pipeline.producer().wait();
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.log.contains("No space left on device (os error 28); check producer.spool.path"),
        "{}",
        refused.log
    );
    drop(filling);

    let producer = pipeline.producer();
    pipeline.wait_for_more_rows(300);
    pipeline.prove(producer);
    assert_eq!(pipeline.count("gap WHERE reason = 'producer_down'"), 1);
    assert_eq!(pipeline.count("gap WHERE reason = 'spool_corrupt'"), 0, "a start that was refused leaves no damage");
}

#[test]
fn a_disk_out_of_inodes_stops_no_producer_and_nothing_is_lost() {
    let (site, kafka) = (site::well("hello"), Proxy::kafka(shared_servers().kafka()));
    let pipeline = wordy(Pipeline::new("no_inodes").broker_behind(kafka.address()), &site);
    let disk = Mount::tmpfs(&pipeline.spool(), "nr_inodes=64");
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(100);
    // While Kafka acknowledges, a full segment is emptied where it lies and no other file is needed.
    kafka.behave(Behaviour::Refuse);
    let filling = disk.fill_inodes();
    eventually("no segment can be made", || {
        filling.take_inodes();
        producer.get("/health/ready").0 == 503
    });
    wait_until_refused(&producer, "No space left on device");
    drop(filling);
    kafka.behave(Behaviour::Forward);
    wait_until_well(&pipeline, &producer);
    pipeline.prove(producer);
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_like_any_other() {
    let site = site::well("hello");
    let pipeline = wordy(Pipeline::new("limited"), &site);
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(100);
    let limit = |bytes: &str| {
        let process = producer.process().to_string();
        let done = Command::new("prlimit").args(["--pid", &process, &format!("--fsize={bytes}")]).status().unwrap();
        assert!(done.success());
    };
    limit("1000000:unlimited");
    wait_until_refused(&producer, "File too large");
    limit("unlimited:unlimited");
    wait_until_well(&pipeline, &producer);
    pipeline.prove(producer);
}

#[test]
fn a_read_only_disk_refuses_a_start_in_clear_words_and_nothing_is_harmed() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("read_only").busy_with(&site);
    let disk = Mount::tmpfs(&pipeline.spool(), "size=64m");
    let _consumer = pipeline.consumer();
    let producer = pipeline.producer();
    pipeline.wait_for_rows(300);
    producer.kill9();
    disk.remount("ro");
    let refused = pipeline.producer().wait();
    assert_eq!(refused.code, Some(1));
    assert!(refused.log.contains("Read-only file system (os error 30); check producer.spool.path"), "{}", refused.log);
    disk.remount("rw");
    let producer = pipeline.producer();
    pipeline.wait_for_more_rows(300);
    pipeline.prove(producer);
}

/// Makes the system refuse a producer's calls, as a failing disk would, until dropped.
struct Refusal(std::process::Child);

impl Refusal {
    /// `calls` fail with `error`.
    fn of(producer: &Service, calls: &str, error: &str) -> Self {
        let inject = format!("inject={calls}:error={error}");
        let process = producer.process().to_string();
        let mut strace = Command::new("setpriv");
        strace.args([
            "--pdeathsig",
            "KILL",
            "--",
            "strace",
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={calls}"),
        ]);
        Self(strace.args(["-e", &inject, "-p", &process]).spawn().unwrap())
    }
}

impl Drop for Refusal {
    fn drop(&mut self) {
        // In order, so that the process goes on.
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let _ = self.0.wait();
    }
}

#[test]
fn a_disk_that_fails_while_it_is_used_stops_no_producer() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("failing_disk").busy_with(&site);
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    for (calls, error, words) in [
        ("fdatasync", "EIO", "Input/output error"),
        ("pwrite64", "EROFS", "Read-only file system"),
        ("pwrite64,fdatasync", "EDQUOT", "quota exceeded"),
    ] {
        let refusal = Refusal::of(&producer, calls, error);
        wait_until_refused(&producer, words);
        drop(refusal);
        wait_until_well(&pipeline, &producer);
    }
    pipeline.prove(producer);
}

#[test]
fn a_spool_folder_that_is_taken_away_is_made_anew_and_the_producer_keeps_its_name_and_numbers() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("folder_gone").busy_with(&site);
    let _consumer = pipeline.consumer();
    let producer = pipeline.producer();
    pipeline.wait_for_rows(300);
    // At one moment, as the producer goes on writing.
    let gone = pipeline.folder().join("gone");
    fs::rename(pipeline.spool(), &gone).unwrap();
    fs::remove_dir_all(gone).unwrap();
    producer.wait_for_log("was taken away; it begins anew");
    pipeline.wait_for_more_rows(300);
    producer.kill9();
    // What it says is on disk is on disk again.
    let producer = pipeline.producer();
    pipeline.wait_for_more_rows(300);
    pipeline.prove(producer);
    assert_eq!(pipeline.count("producer"), 1);
}

#[test]
fn a_spool_folder_that_cannot_be_made_is_told_in_clear_words() {
    let pipeline = Pipeline::new("no_folder").site("a", site::CLOSED);
    fs::write(pipeline.spool(), "a file").unwrap();
    let refused = pipeline.producer().wait();
    assert_eq!(refused.code, Some(1));
    assert!(refused.log.contains("check producer.spool.path"), "{}", refused.log);
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn a_spool_that_outgrows_its_size_drops_the_oldest_ups_and_says_which() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("outgrown").every(Duration::from_millis(100)).site("down", site::CLOSED);
    let pipeline = (0..150).fold(pipeline, |pipeline, number| pipeline.site(&format!("busy {number}"), site.url()));
    let start = |broker: &str| {
        let mut command = pipeline.command("isitup-producer", &[]);
        command.env("ISITUP__KAFKA__BROKERS", broker).env("ISITUP__PRODUCER__SPOOL__MAX_SIZE", "16MiB");
        Service::start("the producer", command)
    };
    let producer = start("127.0.0.1:1");
    within(Duration::from_secs(300), "the spool drops results", || producer.has_logged("the spool is full"));
    let asked = site.asked();
    eventually("checks go on", || site.asked() > asked + 1000);
    assert_eq!(producer.sigterm().code, Some(0));

    let (producer, _consumer) = (start(pipeline.broker()), pipeline.consumer());
    within(Duration::from_secs(120), "the spool is empty", || producer.metric("isitup_spool_events") < 3000.0);
    assert_eq!(producer.sigterm().code, Some(0));
    pipeline.prove_stored();
    let dropped =
        |sites: &str| pipeline.count(&format!("gap WHERE reason = 'spool_full' AND first_seq > 0 AND {sites}"));
    assert!(dropped("sites IS NOT NULL") > 0);
    assert_eq!(dropped("(sites IS NULL OR 'down' = ANY (sites))"), 0, "an outage was dropped while there were ups");
}
