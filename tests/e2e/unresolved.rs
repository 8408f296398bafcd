//! Names of servers that have no address.

use crate::harness::Pipeline;

/// Never resolves, by RFC 6761.
const HOST: &str = "no-such-host.invalid";

#[track_caller]
fn is_told(pipeline: &Pipeline<'_>, program: &str, words: &str) {
    let checked = pipeline.check_config(program);
    let is_told = checked.output.lines().any(|line| line.contains(" NOT WELL: ") && line.contains(words));
    assert!(is_told && checked.code == Some(3), "{program} does not say {words:?}, but {checked:?}");
}

#[test]
fn a_name_that_does_not_resolve_is_told_with_where_it_stands() {
    let url = format!("postgres://isitup@{HOST}:5432/isitup?sslmode=disable");
    let words = "PostgreSQL: the host in postgres.url does not resolve: ";
    is_told(&Pipeline::new("unresolved_postgres").postgres_url(url), "isitup-consumer", words);
    for client in ["kafka-rust", "librdkafka"] {
        let pipeline = Pipeline::new("unresolved_kafka").kafka(format!("client: {client}, brokers: ['{HOST}:9092']"));
        let pipeline = pipeline.site("a", "http://127.0.0.1:1/");
        let words = format!("no Kafka broker answers at {HOST}:9092: its name does not resolve: ");
        for program in ["isitup-producer", "isitup-consumer"] {
            is_told(&pipeline, program, &words);
        }
    }
}
