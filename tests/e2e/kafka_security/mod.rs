//! TLS, certificates, passwords and rights at a real Kafka 4: what is well runs; what is wrong is told within seconds, in
//! words that name what to mend, while the checks go on and wait; once it is mended, all of them arrive.

mod replaced;
mod rights;
mod told;

use std::path::{Path, PathBuf};
use std::time::Duration;

use isitup_dev::kafka_password;

use crate::harness::{Pipeline, Service, eventually, secured_kafka, site, within};

/// How soon a mistake is told: the services look for 10 s at most; the rest is for a busy machine.
const TOLD: Duration = Duration::from_secs(30);

/// `kafka.tls` with this authority's file and, where there are two more, with a certificate and its key.
fn tls(files: &[&Path]) -> String {
    let keys = ["ca_file", "cert_file", "key_file"].iter().zip(files);
    let settings: Vec<String> = keys.map(|(key, file)| format!("{key}: {file:?}")).collect();
    format!("tls: {{{}}}", settings.join(", "))
}

/// The same with files of the stack.
fn tls_by(files: &[&str]) -> String {
    let files: Vec<PathBuf> = files.iter().map(|name| secured_kafka().certificate(name)).collect();
    tls(&files.iter().map(PathBuf::as_path).collect::<Vec<_>>())
}

/// TLS, and a user's password by some mechanism.
fn sasl(mechanism: &str, user: &str, password: &str) -> String {
    format!("{}, sasl: {{mechanism: {mechanism}, username: {user}, password: {password}}}", tls_by(&["ca.pem"]))
}

fn well_by(mechanism: &str) -> String {
    sasl(mechanism, "isitup", &kafka_password("isitup"))
}

/// The address of a listener.
fn at(listener: &str) -> &'static str {
    if listener == "plaintext" { secured_kafka().kafka() } else { &secured_kafka().listener(listener)[0] }
}

/// The section `kafka` for a listener.
fn way(listener: &str, security: &str) -> String {
    let comma = if security.is_empty() { "" } else { ", " };
    format!("client: librdkafka, brokers: ['{}']{comma}{security}", at(listener))
}

fn pipeline(name: &str, kafka: String) -> (site::Site, Pipeline<'static>) {
    let site = site::well("hello");
    let pipeline = Pipeline::with_kafka_of(secured_kafka(), name).kafka(kafka).site("a", site.url());
    (site, pipeline)
}

#[track_caller]
fn runs_over(name: &str, listener: &str, security: &str) {
    let (_site, pipeline) = pipeline(name, way(listener, security));
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(6);
    assert_eq!(pipeline.check_config("isitup-producer").code, Some(0));
    assert_eq!(pipeline.check_config("isitup-consumer").code, Some(0));
    pipeline.prove(producer);
}

#[test]
fn a_pipeline_runs_over_tls() {
    runs_over("tls", "tls", &tls_by(&["ca.pem"]));
}

#[test]
fn a_pipeline_runs_over_mutual_tls() {
    runs_over("mtls", "mtls", &tls_by(&["ca.pem", "service.cert", "service.key"]));
}

#[test]
fn a_pipeline_runs_with_a_password_by_plain() {
    runs_over("sasl_plain", "sasl", &well_by("PLAIN"));
}

#[test]
fn a_pipeline_runs_with_a_password_by_scram_sha_256() {
    runs_over("scram_256", "sasl", &well_by("SCRAM-SHA-256"));
}

#[test]
fn a_pipeline_runs_with_a_password_by_scram_sha_512() {
    runs_over("scram_512", "scram", &well_by("SCRAM-SHA-512"));
}

fn refused(user: &str, mechanism: &str) -> String {
    format!(
        "{} refuses user {user:?} by {mechanism}: the user is unknown or the password wrong; \
         mend kafka.sasl.username or kafka.sasl.password",
        at("sasl")
    )
}

#[track_caller]
fn wait_until_told(service: &Service, message: &str) {
    within(TOLD, message, || service.said().iter().any(|said| said.ends_with(message)));
}

#[test]
fn kafka_rust_on_kafka_4_says_which_client_to_set() {
    let kafka = format!("client: kafka-rust, brokers: ['{}']", at("plaintext"));
    let (_site, pipeline) = pipeline("old_client", kafka);
    let producer = pipeline.producer();
    let message = "the broker no longer takes this client's fetch requests, it is Kafka 4 or newer: \
                   set kafka.client: librdkafka, or use a broker up to 3.9";
    wait_until_told(&producer, message);
    for program in ["isitup-producer", "isitup-consumer"] {
        let checked = pipeline.check_config(program);
        assert!(checked.output.contains(message) && checked.code == Some(3), "{checked:?}");
    }
    assert_eq!(producer.sigterm().code, Some(0));
    let pipeline = pipeline.kafka(way("plaintext", ""));
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(4);
    pipeline.prove(producer);
}

#[test]
fn contradictions_and_missing_files_are_errors_of_the_configuration() {
    let tls = tls_by(&["ca.pem"]);
    for (security, message) in [
        (
            format!("client: kafka-rust, brokers: ['a:1'], {tls}"),
            "kafka.tls: kafka-rust speaks plaintext only; TLS and SASL need kafka.client: librdkafka",
        ),
        (
            way("sasl", "sasl: {mechanism: PLAIN, username: isitup, password: any}"),
            "kafka.sasl: without TLS the password could be read on the way; set kafka.tls too, with its ca_file, or \
             `tls: {}` where the system knows the authority",
        ),
        (
            way("tls", "tls: {ca_file: /no/such/ca.pem}"),
            "kafka.tls.ca_file: the file it names cannot be read: No such file or directory (os error 2)",
        ),
        (
            way("tls", &format!("{}, cert_file: /no/such/service.cert}}", tls.trim_end_matches('}'))),
            "kafka.tls.cert_file: needs key_file beside it: a certificate is of use with its key only",
        ),
    ] {
        let (_site, pipeline) = pipeline("contradiction", security);
        for program in ["isitup-producer", "isitup-consumer"] {
            let checked = pipeline.check_config(program);
            let told = checked.log.lines().any(|line| line.ends_with(message));
            assert!(told && checked.code == Some(2), "{program} does not say {message:?}, but {checked:?}");
        }
    }
}

#[test]
fn no_password_and_no_key_reaches_a_log_or_health() {
    let secret = "n0t-the-passw0rd-of-kafka";
    let (_site, pipeline) = pipeline("kafka_secrets", way("sasl", &sasl("PLAIN", "isitup", secret)));
    let start = |program: &str| Service::start(program, pipeline.command(program, &["--log-level", "trace"]));
    for service in [start("isitup-producer"), start("isitup-consumer")] {
        eventually("it is refused", || service.has_logged("refuses user"));
        let pages = ["/health/ready", "/metrics"].map(|path| service.get(path).1);
        let finished = service.sigterm();
        let all = pages.concat() + &finished.log + &finished.output;
        assert!(all.len() > 1000 && !all.contains(secret), "the password is in what it says");
    }
}
