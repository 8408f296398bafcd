//! The commands as people and scripts meet them: output and exit codes.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Database, Finished, Pipeline, Service, eventually, shared_servers, site};

/// A pipeline with results of a site that is up and one that is down, and a consumer that goes on.
fn with_results(name: &str) -> (Pipeline<'static>, Service) {
    let site = site::well("hello");
    let pipeline = Pipeline::new(name).site("good", site.url()).site("bad", site::CLOSED);
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(8);
    pipeline.wait_for_each_site();
    pipeline.prove(producer);
    (pipeline, consumer)
}

fn json_lines(finished: &Finished) -> Vec<Value> {
    finished
        .output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line:?}")))
        .collect()
}

#[test]
fn peek_shows_the_newest_checks_to_people_and_as_json() {
    let (pipeline, _consumer) = with_results("peek");
    let peek = pipeline.ask(&["peek", "--limit", "5", "--json"]);
    assert_eq!(peek.code, Some(0), "{peek:?}");
    let rows = json_lines(&peek);
    assert_eq!(rows.len(), 5);
    let times: Vec<&str> = rows.iter().map(|row| row["scheduled_at"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "newest first: {times:?}");
    assert!(
        rows.iter()
            .all(|row| row["site"] == "good" && row["status"] == 200 || row["failure_kind"] == "connect_refused")
    );

    let table = pipeline.ask(&["peek"]);
    assert_eq!(table.code, Some(0), "{table:?}");
    for word in ["good", "bad", "up", "down", "200", "connect_refused"] {
        assert!(table.output.contains(word), "{word} is not in\n{}", table.output);
    }
}

#[test]
fn peek_follow_shows_what_comes() {
    let (pipeline, _consumer) = with_results("follow");
    let follower = pipeline.consumer_with(&["peek", "--limit", "1", "--follow", "--json"]);
    eventually("the newest row is shown", || follower.output().len() == 1);
    let producer = pipeline.producer();
    eventually("new rows follow", || follower.output().len() >= 5);
    assert_eq!(producer.sigterm().code, Some(0));
    let finished = follower.sigterm();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(json_lines(&finished).len() >= 5);
}

#[test]
fn report_shows_uptime_of_each_site() {
    let (pipeline, _consumer) = with_results("report");
    let report = pipeline.ask(&["report", "--since", "1h", "--json"]);
    assert_eq!(report.code, Some(0), "{report:?}");
    let report: Value = serde_json::from_str(&report.output).unwrap();
    let sites = report["sites"].as_array().unwrap();
    let percent =
        |name| sites.iter().find(|site| site["site"] == name).and_then(|site| site["uptime_percent"].as_f64());
    assert_eq!((percent("good"), percent("bad"), sites.len()), (Some(100.0), Some(0.0), 2), "{report}");
    let table = pipeline.ask(&["report"]);
    assert_eq!(table.code, Some(0));
    assert!(table.output.contains("good") && table.output.contains("100"), "{}", table.output);
}

#[test]
fn the_console_sink_prints_each_check_as_one_json_line_and_needs_no_postgres() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("console").site("good", site.url()).site("bad", site::CLOSED);
    let (producer, config) = (pipeline.producer(), pipeline.folder().join("console.yml"));
    let text = fs::read_to_string(pipeline.folder().join("config.yml")).unwrap();
    let kept = text.lines().filter(|line| !line.starts_with("postgres:"));
    fs::write(&config, kept.collect::<Vec<_>>().join("\n")).unwrap();
    let config = config.to_str().unwrap();
    let console = pipeline.consumer_with(&["run", "--sink", "console"]);
    let without = Service::start("the console", {
        let mut command = crate::harness::command("isitup-consumer");
        command.args(["--config", config, "run", "--sink", "console"]);
        command
    });
    eventually("20 checks are printed", || console.output().len() >= 20 && without.output().len() >= 20);
    assert_eq!(producer.sigterm().code, Some(0));
    let told = pipeline.topic().events().iter().filter(|event| event["type"] == "check").count();
    for consumer in [console, without] {
        eventually("all checks are printed", || consumer.output().len() == told);
        let finished = consumer.sigterm();
        assert_eq!(finished.code, Some(0), "{finished:?}");
        let lines = json_lines(&finished);
        assert!(lines.iter().all(|line| line["type"] == "check" && line["outcome"].is_string()), "{finished:?}");
    }
}

#[test]
fn both_sinks_at_once_print_and_store() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("both_sinks").site("good", site.url());
    let producer = pipeline.producer();
    let consumer = pipeline.consumer_with(&["--sink", "console", "--sink", "postgres"]);
    pipeline.wait_for_rows(5);
    pipeline.prove(producer);
    let stored = pipeline.count("check_result");
    eventually("as many are printed as stored", || i64::try_from(consumer.output().len()).unwrap() == stored);
}

#[test]
fn migrate_may_run_again_and_ten_at_once() {
    let pipeline = Pipeline::new("migrate");
    let all: Vec<Service> = (0..10).map(|_| pipeline.consumer_with(&["migrate"])).collect();
    for one in all {
        let finished = one.wait();
        assert_eq!(finished.code, Some(0), "{finished:?}");
    }
    assert_eq!(pipeline.ask(&["migrate"]).code, Some(0));
    for view in ["check_result", "latest_status", "uptime", "audit"] {
        assert_eq!(pipeline.database().count(view), 0);
    }
}

#[test]
fn drop_refuses_without_yes_and_says_what_it_would_drop() {
    let pipeline = Pipeline::new("dropped");
    assert_eq!(pipeline.ask(&["migrate"]).code, Some(0));
    let refused = pipeline.ask(&["drop"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.output.contains(pipeline.name()) && refused.output.contains("result"), "{refused:?}");
    assert!(refused.log.contains("--yes"), "{refused:?}");
    assert_eq!(pipeline.count("site"), 0);

    let dropped = pipeline.ask(&["drop", "--yes"]);
    assert_eq!(dropped.code, Some(0), "{dropped:?}");
    let mut database = Database::connect(shared_servers().postgres_url(), "public").unwrap();
    assert_eq!(database.count(&format!("pg_namespace WHERE nspname = '{}'", pipeline.name())), 0);
    assert_eq!(pipeline.ask(&["drop", "--yes"]).code, Some(0), "what is gone is gone");
}

#[test]
fn drop_without_yes_refuses_at_once_while_the_database_is_away() {
    let pipeline = Pipeline::new("drop_away").postgres_url("postgres://nobody@127.0.0.1:1/none".to_owned());
    let refused = pipeline.ask(&["drop", "--wait", "60s"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.log.contains("add --yes") && refused.log.contains("cannot be shown"), "{refused:?}");
    assert!(!refused.log.contains("waiting for PostgreSQL") && refused.output.is_empty(), "{refused:?}");
}

#[test]
fn drop_without_yes_refuses_though_a_table_is_locked() {
    let pipeline = Pipeline::new("drop_locked");
    assert_eq!(pipeline.ask(&["migrate"]).code, Some(0));
    let mut lock = pipeline.database();
    lock.run("BEGIN; LOCK TABLE result IN ACCESS EXCLUSIVE MODE");
    let refused = pipeline.ask(&["drop"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.log.contains("add --yes") && refused.log.contains("lock timeout"), "{refused:?}");
}

#[test]
fn an_unreachable_database_is_exit_code_3_within_the_limit() {
    let url = "postgres://nobody:secret-word@127.0.0.1:1/none".to_owned();
    let pipeline = Pipeline::new("unreachable").postgres_url(url);
    for command in [&["migrate"][..], &["audit"], &["peek"], &["report"], &["drop", "--yes"]] {
        let begin = Instant::now();
        let finished = pipeline.ask(&[command, &["--wait", "1s"]].concat());
        assert_eq!(finished.code, Some(3), "{command:?}: {finished:?}");
        assert!(begin.elapsed() < Duration::from_secs(15), "{command:?} took {:?}", begin.elapsed());
        assert!(finished.output.is_empty() && finished.log.contains("127.0.0.1"), "{command:?}: {finished:?}");
        assert!(!finished.log.contains("secret-word"), "{finished:?}");
    }
}

#[test]
fn a_wrong_configuration_is_exit_code_2_and_names_file_line_key_and_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.yml");
    let text = "kafka: {brokers: [127.0.0.1:1]}\npostgres:\n  url: postgres://a@127.0.0.1:1/a\n  schema: No-Schema\n\
                domains: [http://127.0.0.1/]\nproducer: {workers: many}\nconsummer: {lease: 1s}\n";
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let run = |program: &str| {
        let mut command = crate::harness::command(program);
        command.args(["--config", path]);
        Service::start(program, command).wait()
    };
    for (program, mistakes) in [
        ("isitup-producer", vec![":6", "producer.workers", "many", ":7", "consummer"]),
        ("isitup-consumer", vec![":4", "postgres.schema", "No-Schema", ":6", "producer.workers", ":7", "consummer"]),
    ] {
        let finished = run(program);
        assert_eq!((finished.code, finished.output.as_str()), (Some(2), ""), "{finished:?}");
        for mistake in mistakes {
            assert!(finished.log.contains(mistake), "{program} does not name {mistake}:\n{}", finished.log);
        }
        assert!(finished.log.contains(path), "{}", finished.log);
    }
}

#[test]
fn bad_usage_is_exit_code_2_and_help_is_0() {
    let run = |program: &str, args: &[&str]| {
        let mut command = crate::harness::command(program);
        command.args(args);
        Service::start(program, command).wait()
    };
    for program in ["isitup-producer", "isitup-consumer"] {
        assert_eq!(run(program, &["--no-such-thing"]).code, Some(2));
        assert_eq!(run(program, &["--config", "/no/such/file.yml"]).code, Some(2));
        let help = run(program, &["--help"]);
        assert_eq!(help.code, Some(0));
        assert!(help.output.contains("Examples") && help.output.contains("Exit codes"), "{}", help.output);
        assert_eq!(run(program, &["--version"]).code, Some(0));
    }
}

#[test]
fn a_check_of_urls_needs_no_servers_and_exits_1_when_one_is_down() {
    let site = site::well("hello");
    let check = |urls: &[&str]| {
        let mut command = crate::harness::command("isitup-producer");
        command.arg("check").arg("--json").args(urls);
        Service::start("the check", command).wait()
    };
    let up = check(&[site.url()]);
    assert_eq!((up.code, json_lines(&up)[0]["outcome"].as_str()), (Some(0), Some("up")), "{up:?}");
    let one_down = check(&[site.url(), site::CLOSED]);
    assert_eq!((one_down.code, json_lines(&one_down).len()), (Some(1), 2), "{one_down:?}");
    assert_eq!(check(&["ftp://127.0.0.1/"]).code, Some(2));
}
