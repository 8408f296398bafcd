//! A configuration that comes from the environment alone.

use crate::harness::{Lane, Pipeline, Service, command, secured, shared_servers, site};

#[test]
fn both_services_run_without_a_file() {
    let (first, second) = (site::well("hello"), site::well("hello"));
    let pipeline = Pipeline::new("environment");
    let start = |program: &str| {
        let mut command = command(program);
        command
            .envs(Lane::current().environment(shared_servers()))
            .env("ISITUP__KAFKA__TOPIC", pipeline.name())
            .env("ISITUP__POSTGRES__URL", secured::as_services_get(shared_servers().postgres_url()))
            .env("ISITUP__POSTGRES__SCHEMA", pipeline.name())
            .env("ISITUP__PRODUCER__SPOOL__PATH", pipeline.spool())
            .env("ISITUP__PRODUCER__LISTEN", "127.0.0.1:0")
            .env("ISITUP__CONSUMER__LISTEN", "127.0.0.1:0")
            .env("ISITUP__DEFAULTS__INTERVAL", "500ms")
            .env("ISITUP__DOMAINS", format!("{},{}", first.url(), second.url()));
        Service::start(program, command)
    };
    let (producer, _consumer) = (start("isitup-producer"), start("isitup-consumer"));
    pipeline.wait_for_rows(6);
    assert_eq!(producer.sigterm().code, Some(0));
    pipeline.wait_until_read();
    assert_eq!(pipeline.count("latest_status WHERE outcome = 'up'"), 2);
    assert_eq!(pipeline.audit().0, Some(0));
}

#[test]
fn the_environment_overrides_the_file_and_an_unknown_variable_is_an_error() {
    let pipeline = Pipeline::new("overridden").site("a", site::CLOSED);
    let mut check = pipeline.command("isitup-producer", &["check-config"]);
    check.env("ISITUP__KAFKA__TOPIC", "another");
    let said = Service::start("the check", check).wait();
    assert!(said.code == Some(0) && said.output.contains("topic another"), "{said:?}");

    let mut check = pipeline.command("isitup-producer", &["check-config"]);
    check.env("ISITUP__KAFKA__TOPICS", "another");
    let said = Service::start("the check", check).wait();
    assert!(said.code == Some(2) && said.log.contains("ISITUP__KAFKA__TOPICS"), "{said:?}");
}
