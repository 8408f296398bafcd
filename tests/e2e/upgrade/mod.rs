//! Each release takes up what the one before left: its events, its spool, its database; and both run side by side.
//!
//! What they left is kept in `tests/upgrade/`, a folder for each release, made once by that release itself (see `making`).
//! Releases are told apart by their folders' names; 0.1.0 is the state before Avro.

mod fixture;
mod making;
mod release;

use std::collections::BTreeSet;

use isitup_shared::event::{avro_fingerprint, decode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Pipeline, Service, eventually, message, oracle, site};
use crate::poison::check;
use fixture::{Fixture, releases};
use release::Release;

/// Longer than any fixture is old.
const RETENTION: (&str, &str) = ("ISITUP__CONSUMER__RETENTION", "36500d");

/// A consumer that keeps what a fixture has, however old it is by now.
fn consumer(pipeline: &Pipeline<'_>) -> Service {
    Service::start("the consumer", consumer_command(pipeline, &[]))
}

fn consumer_command(pipeline: &Pipeline<'_>, args: &[&str]) -> std::process::Command {
    let mut command = pipeline.command("isitup-consumer", args);
    command.env(RETENTION.0, RETENTION.1);
    command
}

fn producer_of(pipeline: &Pipeline<'_>, format: &str) -> Service {
    let mut command = pipeline.command("isitup-producer", &[]);
    command.env("ISITUP__KAFKA__FORMAT", format);
    Service::start(&format!("the producer of {format}"), command)
}

#[test]
fn events_of_each_release_are_read_as_they_were_told() {
    for fixture in releases() {
        let mut kinds = BTreeSet::new();
        for (_, bytes) in fixture.topic().into_iter().filter(|(_, bytes)| message::as_json(bytes).is_some()) {
            let told = message::as_json(&bytes).unwrap();
            let read = decode(&bytes).unwrap_or_else(|error| panic!("{}: {error}: {told}", fixture.name()));
            assert_eq!(serde_json::from_str::<Value>(&read.to_json()).unwrap(), told, "{}", fixture.name());
            let format = if avro_fingerprint(&bytes).is_some() { "avro" } else { "json" };
            kinds.insert((format, read.body.type_name()));
        }
        let has_avro = fixture.name() != "0.1.0";
        assert_eq!(kinds.contains(&("avro", "check")), has_avro, "{}: {kinds:?}", fixture.name());
        for kind in ["check", "gap", "producer"] {
            assert!(kinds.iter().any(|(_, found)| *found == kind), "{} has no {kind}", fixture.name());
        }
    }
}

#[test]
fn a_spool_of_each_release_is_published_wholly_and_goes_on_under_its_name() {
    for fixture in releases() {
        let site = site::well("hello");
        let pipeline = Pipeline::new("old_spool").site("good", site.url());
        fixture.unpack_spool(pipeline.folder());
        let waiting = oracle::spool::events_in(&pipeline.spool());
        assert!(waiting.len() > 20, "{} has {} events in its spool", fixture.name(), waiting.len());
        let (_consumer, producer) = (consumer(&pipeline), producer_of(&pipeline, "avro"));
        pipeline.wait_for_rows(i64::try_from(waiting.len()).unwrap() + 4);
        assert_eq!(producer.sigterm().code, Some(0));
        pipeline.wait_until_read();
        let told = pipeline.topic().events();
        for event in &waiting {
            assert!(told.contains(event), "{} had {event} in its spool", fixture.name());
        }
        let producers: BTreeSet<&str> = told.iter().map(|event| event["producer_id"].as_str().unwrap()).collect();
        assert_eq!(producers.len(), 1, "it goes on under its name");
        assert_eq!(told.iter().filter(|event| event["reason"] == "spool_corrupt").count(), 0, "nothing was lost");
        let messages = pipeline.topic().messages();
        assert!(messages.iter().any(|message| message::is_avro(message)), "what is new is Avro");
        let (code, audit) = pipeline.audit();
        assert_eq!((code, pipeline.count("rejected")), (Some(0), 0), "{audit}");
    }
}

#[test]
fn a_database_of_each_release_is_migrated_with_its_data_and_takes_the_statements_of_that_release() {
    for fixture in releases().into_iter().filter(Fixture::has_database) {
        let pipeline = Pipeline::new("old_database").site("good", site::CLOSED);
        let (topic, mut database) = (pipeline.topic(), pipeline.database());
        topic.create();
        let messages = fixture.topic();
        for partition in 0..6 {
            let of_it: Vec<Vec<u8>> =
                messages.iter().filter(|(p, _)| *p == partition).map(|(_, m)| m.clone()).collect();
            topic.send(partition, &of_it);
        }
        fixture.restore_database(&pipeline);
        let all = "SELECT md5(string_agg(r::text, '|' ORDER BY producer_id, seq)) FROM check_result_before r";
        database.run("CREATE TEMPORARY TABLE check_result_before AS TABLE check_result");
        let (rows, rejected) = (database.count("check_result"), database.count("rejected"));
        assert!(rows > 20 && rejected > 0, "{} has {rows} rows", fixture.name());
        let before: String = database.value(all);

        let migrated = pipeline.ask(&["migrate"]);
        assert_eq!(migrated.code, Some(0), "{migrated:?}");
        let columns: Vec<String> = database.column(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = 'check_result_before'::regclass AND attnum > 0 ORDER BY attnum",
            &[],
        );
        database.run(&format!(
            "TRUNCATE check_result_before; INSERT INTO check_result_before SELECT {} FROM check_result",
            columns.iter().map(|column| format!("{column:?}")).collect::<Vec<_>>().join(", ")
        ));
        assert_eq!(database.value::<String>(all), before, "what was stored reads as before");
        for statement in fixture.statements(&pipeline) {
            database.prepare(&statement).unwrap_or_else(|error| {
                panic!("a consumer of {} could not go on: {error:?}:\n{statement}", fixture.name())
            });
        }

        let consumer = consumer(&pipeline);
        topic.send(2, &[check(Uuid::from_u128(7), 1).to_string().into_bytes()]);
        eventually("what is new is stored", || pipeline.count("check_result") == rows + 1);
        assert_eq!(consumer.metric("isitup_duplicates_total"), 0.0, "it goes on where the old one stood");
        assert_eq!(consumer.sigterm().code, Some(0));
        let replayed = pipeline.ask(&["replay", "--from", "earliest"]);
        assert_eq!(replayed.code, Some(0), "{replayed:?}");
        let again = self::consumer(&pipeline);
        pipeline.wait_until_read();
        assert_eq!(pipeline.count("check_result"), rows + 1, "all is known already");
        eventually("doubles are counted", || again.metric("isitup_duplicates_total") > rows as f64);
        assert_eq!(pipeline.audit().0, Some(0));
        for command in ["peek", "report"] {
            assert_eq!(pipeline.ask(&[command]).code, Some(0), "{command}");
        }
    }
}

/// The whole way from the release before to this one, on a running pipeline: database, consumers, producers.
#[test]
#[ignore = "long: make test-faults runs it"]
fn the_database_is_migrated_and_services_are_replaced_one_by_one_while_the_release_before_runs() {
    let Some(old) = Release::before() else { return };
    let site = site::well("hello");
    let pipeline = Pipeline::new("upgraded").site("good", site.url()).site("bad", site::CLOSED);
    let old_producer = old.start(&pipeline, "isitup-producer", &[]);
    let old_consumer = old.start(&pipeline, "isitup-consumer", &[]);
    pipeline.wait_for_rows(12);

    let migrated = pipeline.ask(&["migrate"]);
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    pipeline.wait_for_more_rows(12);
    assert!(!old_consumer.has_logged("ERROR"), "the old consumer goes on in the new schema: {:?}", old_consumer.said());
    let new_consumer = pipeline.consumer();
    eventually("both have partitions", || {
        new_consumer.metric("isitup_partitions_owned") >= 1.0 && old_consumer.metric("isitup_partitions_owned") >= 1.0
    });
    pipeline.wait_for_more_rows(12);
    assert_eq!(old_consumer.sigterm().code, Some(0));
    pipeline.wait_for_more_rows(12);
    assert_eq!(old_producer.sigterm().code, Some(0));
    let producer = producer_of(&pipeline, "avro");
    pipeline.wait_for_more_rows(12);
    pipeline.prove(producer);
    assert_eq!(pipeline.count("rejected"), 0);
}

/// The other order: the old consumer understands nothing of what the new producer writes, and loses nothing of it.
#[test]
#[ignore = "long: make test-faults runs it"]
fn a_producer_that_is_upgraded_first_loses_nothing_though_the_consumer_before_rejects_what_it_writes() {
    let Some(old) = Release::before() else { return };
    let site = site::well("hello");
    let pipeline = Pipeline::new("upgraded_first").site("good", site.url()).site("bad", site::CLOSED);
    let old_consumer = old.start(&pipeline, "isitup-consumer", &[]);
    let in_json = producer_of(&pipeline, "json");
    pipeline.wait_for_rows(8);
    assert_eq!(in_json.sigterm().code, Some(0));
    assert_eq!(pipeline.count("rejected"), 0, "JSON of the same version is read by both");
    let in_avro = producer_of(&pipeline, "avro");
    eventually("the old consumer has set Avro aside", || pipeline.count("rejected") >= 12);
    assert_eq!(old_consumer.sigterm().code, Some(0));
    let consumer = pipeline.consumer();
    pipeline.wait_for_more_rows(6);
    let retried = pipeline.ask(&["rejected", "retry", "--all", "--json"]);
    let outcome: Value = serde_json::from_str(&retried.output).unwrap_or_else(|_| panic!("{retried:?}"));
    assert_eq!((retried.code, &outcome["rejected"]), (Some(0), &json!([])), "{outcome}");
    pipeline.prove(in_avro);
    assert_eq!((pipeline.count("rejected"), consumer.metric("isitup_events_rejected_total")), (0, 0.0));
}
