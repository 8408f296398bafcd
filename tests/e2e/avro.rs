//! Avro and JSON beside each other in one topic: written, read, proved, set aside and shown alike.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use isitup_shared::config::Format;
use isitup_shared::event::{Draft, Sealer, decode};
use isitup_shared::time::UtcTime;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Pipeline, Service, command, eventually, message, site};
use crate::poison::{check, with};

/// A producer that writes this format, whatever the file says, and perhaps finds no Kafka.
fn producer(pipeline: &Pipeline<'_>, format: &str, brokers: Option<&str>) -> Service {
    let mut command = pipeline.command("isitup-producer", &[]);
    command.env("ISITUP__KAFKA__FORMAT", format);
    if let Some(brokers) = brokers {
        command.env("ISITUP__KAFKA__BROKERS", brokers);
    }
    Service::start(&format!("the producer of {format}"), command)
}

/// The same event in Avro.
fn in_avro(json: &[u8]) -> Vec<u8> {
    let event = decode(json).unwrap();
    Sealer::new(event.envelope.producer_id, &event.envelope.location)
        .seal(&Draft::new(&event.body, Format::Avro), event.envelope.seq)
}

/// `decode` with this on its standard input.
fn decoded(input: &[u8], args: &[&str]) -> Output {
    let mut command: Command = command("isitup-consumer");
    command.arg("decode").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn avro_goes_the_whole_way_and_every_row_is_what_was_told() {
    let (well, to) = (site::well("hello"), site::well("there"));
    let away = format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", to.url());
    let pipeline = Pipeline::new("avro")
        .site("good", well.url())
        .site_with("bad", well.url(), "group: tests, expect: {status: [404], body: nowhere}")
        .site("closed", site::CLOSED)
        .site("moved", site::answering(away).url());
    let producer = producer(&pipeline, "avro", None);
    let consumer = pipeline.consumer();
    pipeline.wait_for_rows(24);
    pipeline.prove(producer);
    assert!(pipeline.topic().messages().iter().all(|message| message::is_avro(message)));
    assert_eq!(consumer.metric("isitup_events_rejected_total"), 0.0);
    for what in ["hops IS NOT NULL", "further_failures IS NOT NULL", "failure_kind = 'connect_refused'"] {
        assert!(pipeline.count(&format!("check_result WHERE {what}")) > 0, "no row where {what}");
    }
    assert_eq!(consumer.sigterm().code, Some(0));

    let checks: Vec<Value> = pipeline.topic().events().into_iter().filter(|event| event["type"] == "check").collect();
    let console = pipeline.consumer_with(&["run", "--sink", "console"]);
    eventually("all checks are printed", || console.output().len() == checks.len());
    let mut printed: Vec<Value> = console.output().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let number = |event: &Value| event["seq"].as_i64();
    printed.sort_by_key(number);
    let mut told = checks;
    told.sort_by_key(number);
    assert_eq!(printed, told, "the console prints Avro as the JSON that it would have been");

    // Half of the topic again, found by the events' own times.
    let middle = told[told.len() / 2]["finished_at"].as_str().unwrap().to_owned();
    let replayed = pipeline.ask(&["replay", "--from", &middle]);
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    let again = pipeline.consumer();
    pipeline.prove_stored();
    let duplicates = again.metric("isitup_duplicates_total");
    assert!(duplicates > 0.0 && duplicates < told.len() as f64 + 10.0, "{duplicates} of {}", told.len());
}

#[test]
fn a_producer_that_changes_its_format_publishes_what_its_spool_holds_as_it_is() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("mixed").site("good", site.url()).site("bad", site::CLOSED);
    let nowhere = Some("127.0.0.1:1");
    let _consumer = pipeline.consumer();
    let first = producer(&pipeline, "json", nowhere);
    site.wait_for_checks(6);
    first.kill9();
    let second = producer(&pipeline, "avro", nowhere);
    site.wait_for_checks(6);
    assert_eq!(second.sigterm().code, Some(0));
    // The spool holds both now, and more of both comes.
    let third = producer(&pipeline, "json", None);
    pipeline.wait_for_rows(16);
    third.kill9();
    let fourth = producer(&pipeline, "avro", None);
    pipeline.wait_for_more_rows(6);
    pipeline.prove(fourth);
    let messages = pipeline.topic().messages();
    let avro = messages.iter().filter(|message| message::is_avro(message)).count();
    assert!(avro >= 12 && messages.len() - avro >= 12, "{avro} of {}", messages.len());
    // The same event is the same row, whichever format it comes in.
    let one =
        messages.iter().find(|message| !message::is_avro(message) && text(message).contains("\"check\"")).unwrap();
    pipeline.topic().send(0, &[in_avro(one)]);
    pipeline.wait_until_read();
    assert_eq!((pipeline.count("rejected"), pipeline.audit().0), (0, Some(0)));
}

#[test]
fn avro_that_cannot_be_stored_is_set_aside_whole_and_tried_again() {
    let (pipeline, id) = (Pipeline::new("avro_rejected"), Uuid::new_v4());
    let topic = pipeline.topic();
    topic.create();
    let good = |seq| in_avro(check(id, seq).to_string().as_bytes());
    let mut newer = good(2);
    newer[2..10].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 0xab]);
    let old =
        in_avro(&with(check(id, 3), "scheduled_at", json!(UtcTime::from_micros(1_750_000_000_000_000).to_string())));
    let cut = good(4)[..60].to_vec();
    let mut future = good(5);
    // The first field of the datum is the version, in zigzag.
    future[10] = 4;
    let strange = [newer, old, cut, future];
    let mut messages = vec![good(1)];
    messages.extend(strange.iter().cloned());
    messages.push(good(6));
    topic.send(0, &messages);
    let consumer = pipeline.consumer();
    eventually("both good ones are stored", || pipeline.count("check_result") == 2);
    pipeline.wait_until_read();
    eventually("the rejected ones are counted", || consumer.metric("isitup_events_rejected_total") == 4.0);
    assert_eq!(consumer.sigterm().code, Some(0));
    let mut database = pipeline.database();
    let kept: Vec<Vec<u8>> = database.column(r#"SELECT raw FROM rejected ORDER BY "offset""#, &[]);
    assert_eq!(kept, strange, "whole");
    let reasons: Vec<String> = database.column(r#"SELECT reason FROM rejected ORDER BY "offset""#, &[]);
    let expected = [
        "unknown Avro schema 01020304050607ab; this release reads c4ffc4ef1433ece6",
        "2025-06-15 is older than the 90 days",
        "not an event: Avro: body.",
        "unknown schema version 2; this release reads version 1",
    ];
    for (reason, words) in reasons.iter().zip(expected) {
        assert!(reason.contains(words), "{reason:?} does not say {words:?}");
    }

    let listed = pipeline.ask(&["rejected", "list"]);
    assert!(listed.output.contains("Avro, schema 01020304050607ab"), "{}", listed.output);
    let shown = pipeline.ask(&["rejected", "show", "0:2"]);
    assert!(shown.output.contains(r#""location": "tests""#), "what can be read is shown: {}", shown.output);
    let mut longer = pipeline.command("isitup-consumer", &["rejected", "retry", "--all", "--json"]);
    longer.env("ISITUP__CONSUMER__RETENTION", "4000d");
    let retried = Service::start("the retry with longer retention", longer).wait();
    let outcome: Value = serde_json::from_str(&retried.output).unwrap_or_else(|_| panic!("{retried:?}"));
    assert_eq!((retried.code, &outcome["stored"], &outcome["tried"]), (Some(1), &json!(1), &json!(4)), "{outcome}");
    assert_eq!((pipeline.count("check_result WHERE seq = 3"), pipeline.count("rejected")), (1, 3));
}

#[test]
fn decode_prints_a_message_of_either_format_and_says_why_another_would_be_rejected() {
    let json = check(Uuid::from_u128(7), 42).to_string().into_bytes();
    let avro = in_avro(&json);
    let (of_json, of_avro) = (decoded(&json, &["--json"]), decoded(&avro, &["--json"]));
    assert_eq!((of_json.status.code(), of_avro.status.code()), (Some(0), Some(0)), "{of_avro:?}");
    assert_eq!(of_json.stdout, of_avro.stdout, "the same event, so the same line");
    let line: Value = serde_json::from_slice(&of_avro.stdout).unwrap();
    assert_eq!(line, serde_json::from_slice::<Value>(&json).unwrap());

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("message");
    std::fs::write(&file, &avro).unwrap();
    let shown = decoded(b"", &[file.to_str().unwrap()]);
    let lines = text(&shown.stdout);
    assert_eq!(shown.status.code(), Some(0), "{shown:?}");
    assert!(
        lines.starts_with(&format!("check event in Avro, schema 8838698af18c29c4, {} bytes\n", avro.len())),
        "{lines}"
    );
    assert!(lines.contains("\n  seq           42\n"), "{lines}");

    let many = [&json[..], b"\n", &with(check(Uuid::nil(), 1), "v", json!(2)), b"\n", &json, b"\n"].concat();
    let some = decoded(&many, &["-", "--json"]);
    assert_eq!((some.status.code(), text(&some.stdout).lines().count()), (Some(1), 2), "{some:?}");
    let cases: [(&[u8], &str); 4] = [
        (&many, "line 2 would be rejected: unknown schema version 2; this release reads version 1"),
        (b"", "the message would be rejected: empty value"),
        (b"\x89PNG\r\n", "the message would be rejected: not UTF-8"),
        (&avro[..50], "the message would be rejected: not an event: Avro: "),
    ];
    for (input, words) in cases {
        let output = decoded(input, &[]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).starts_with(&format!("isitup-consumer: {words}")), "{output:?}");
    }
    let missing = decoded(b"", &["/nowhere/message"]);
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
    assert_eq!(text(&missing.stderr), "isitup-consumer: /nowhere/message: No such file or directory (os error 2)\n");
}
