//! Makes the fixture of a release, once, when it is released: `ISITUP_TEST_OLD_BIN=FOLDER_OF_ITS_PROGRAMS
//! ISITUP_TEST_FIXTURE=tests/upgrade/VERSION cargo test -p isitup-tests --test e2e -- --ignored the_fixture`. A fixture is
//! never made anew: it shows what that release left, not what a later one would. `tests/upgrade/unreleased` alone is, and
//! has no database, as long as migrations are still to come; it gets the release's name.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::fixture::Fixture;
use super::release::Release;
use crate::harness::{OwnPostgres, Pipeline, Service, site};

#[test]
#[ignore = "by hand, once for each release"]
fn the_fixture_of_a_release_is_made_by_that_release() {
    let Ok(folder) = std::env::var("ISITUP_TEST_FIXTURE") else {
        eprintln!("no check but a tool: nothing is made, as ISITUP_TEST_FIXTURE names no folder");
        return;
    };
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    fs::create_dir_all(&folder).unwrap();
    let (release, fixture) = (Release::before().unwrap(), Fixture::at(folder));
    keep_topic_and_database(&release, &fixture);
    keep_spool(&release, &fixture);
}

fn keep_topic_and_database(release: &Release, fixture: &Fixture) {
    let server = OwnPostgres::on_small_disk(300);
    let mut client = server.client();
    client.batch_execute("ALTER SYSTEM SET log_statement = 'all'").unwrap();
    client.batch_execute("SELECT pg_reload_conf()").unwrap();
    let (well, slow) = (site::well("hello"), site::slow(Duration::from_millis(1300)));
    let moved = site::answering(format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", well.url()));
    let url = server.url();
    let pipeline = Pipeline::new("fixture")
        .postgres_url(url.clone())
        .proved_at(url)
        .site("good", well.url())
        .site_with("bad", well.url(), "group: tests, expect: {status: [404], body: nowhere}")
        .site_with("closed", site::CLOSED, "confirm: {times: 2, within: 200ms}")
        .site_with(
            "maintained",
            site::CLOSED,
            "maintenance: [{from: '2020-01-01T00:00:00Z', to: '2100-01-01T00:00:00Z'}]",
        )
        .site("slow", slow.url())
        .site("moved", moved.url());
    let producer = release.start(&pipeline, "isitup-producer", &[]);
    let consumer = release.start(&pipeline, "isitup-consumer", &[]);
    pipeline.wait_for_rows(40);
    producer.kill9();
    pipeline.topic().send(1, &[b"no event".to_vec(), b"\xff\xfe".to_vec()]);
    let again = release.start_with_avro(&pipeline);
    pipeline.wait_for_more_rows(40);
    assert_eq!(again.sigterm().code, Some(0));
    pipeline.wait_until_read();
    for command in [&["peek"][..], &["report"], &["audit"], &["rejected", "list"], &["rejected", "retry", "--all"]] {
        release.start(&pipeline, "isitup-consumer", command).wait();
    }
    assert_eq!(consumer.sigterm().code, Some(0));
    let messages: Vec<(i32, Vec<u8>)> =
        pipeline.topic().read().into_iter().map(|message| (message.partition, message.value)).collect();
    fixture.keep_topic(&messages);
    if fixture.name() != "unreleased" {
        fixture.keep_database(&pipeline);
        fixture.keep_statements(&server.log(), &pipeline);
    }
}

/// The spool of a producer that found no Kafka and was killed twice.
fn keep_spool(release: &Release, fixture: &Fixture) {
    let site = site::well("hello");
    let pipeline = Pipeline::new("fixture_spool").site("good", site.url()).site("bad", site::CLOSED);
    for format in ["json", "avro"] {
        let mut command = release.command(&pipeline, "isitup-producer", &[]);
        command.env("ISITUP__KAFKA__BROKERS", "127.0.0.1:1").env("ISITUP__KAFKA__FORMAT", format);
        let producer = Service::start("the producer without Kafka", command);
        site.wait_for_checks(12);
        producer.kill9();
    }
    fixture.keep_spool(&pipeline.spool());
}
