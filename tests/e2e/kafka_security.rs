//! TLS, certificates, passwords and rights at a real Kafka 4: what is well runs; what is wrong is told within seconds, in
//! words that name what to mend, while the checks go on and wait; once it is mended, all of them arrive.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use isitup_dev::{Operation, Resource, kafka_password};

use crate::harness::{Finished, Pipeline, Service, eventually, secured_kafka, site, within};

/// How soon a mistake is told.
const TOLD: Duration = Duration::from_secs(10);
const RIGHTS: &str = "grant them by kafka-acls (the producer: Describe and Write, and Create where the topic is missing; \
                      the consumer: Describe and Read)";

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

fn check_config(pipeline: &Pipeline<'_>, program: &str) -> Finished {
    Service::start("the check", pipeline.command(program, &["check-config", "--connect"])).wait()
}

#[track_caller]
fn runs_over(name: &str, listener: &str, security: &str) {
    let (_site, pipeline) = pipeline(name, way(listener, security));
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(6);
    assert_eq!(check_config(&pipeline, "isitup-producer").code, Some(0));
    assert_eq!(check_config(&pipeline, "isitup-consumer").code, Some(0));
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

/// A wrong set-up at `listener` is told by both services and by their `check-config`; the checks wait in the spool; once it is as in `mended`, all arrive.
#[track_caller]
fn is_told_and_mended(name: &str, (listener, wrong): (&str, &str), message: &str, mended: (&str, &str)) {
    let (site, pipeline) = pipeline(name, way(listener, wrong));
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    wait_until_told(&producer, &format!("events wait in the spool: {message}"));
    wait_until_told(&consumer, &format!("waiting for Kafka: {message}"));
    for program in ["isitup-producer", "isitup-consumer"] {
        let checked = check_config(&pipeline, program);
        let told = checked.output.lines().any(|told| told.ends_with(&format!(" NOT WELL: {message}")));
        assert!(told && checked.code == Some(3), "{program} does not say {message:?}, but {checked:?}");
    }
    site.wait_for_checks(4);
    assert!(producer.metric("isitup_spool_events") >= 4.0, "the checks wait");
    assert_eq!(producer.get("/health/ready").0, 200, "a producer that waits for Kafka does its work");
    assert_eq!((producer.sigterm().code, consumer.sigterm().code), (Some(0), Some(0)));

    let pipeline = pipeline.kafka(way(mended.0, mended.1));
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(6);
    pipeline.prove(producer);
}

#[test]
fn an_authority_that_did_not_sign_the_brokers_certificate_is_named() {
    let pair = ["service.cert", "service.key"];
    let message = format!(
        "the certificate of {} cannot be verified: its authority is not the one we trust; kafka.tls.ca_file is {:?}",
        at("mtls"),
        secured_kafka().certificate("other-ca.pem")
    );
    let wrong = tls_by(&["other-ca.pem", pair[0], pair[1]]);
    is_told_and_mended("wrong_ca", ("mtls", &wrong), &message, ("mtls", &tls_by(&["ca.pem", pair[0], pair[1]])));
}

#[test]
fn an_authority_that_the_system_does_not_know_needs_its_file() {
    let message = format!(
        "the certificate of {} cannot be verified: its authority is not the one we trust; kafka.tls.ca_file is not set, \
         so the system's authorities count",
        at("tls")
    );
    is_told_and_mended("system_ca", ("tls", "tls: {}"), &message, ("tls", &tls_by(&["ca.pem"])));
}

#[test]
fn an_authority_that_has_expired_is_told_with_its_day() {
    let message = format!(
        "the authority in kafka.tls.ca_file {:?} has expired on 2021-01-01T00:00:00Z: get the new one",
        secured_kafka().certificate("expired-ca.pem")
    );
    is_told_and_mended("expired_ca", ("tls", &tls_by(&["expired-ca.pem"])), &message, ("tls", &tls_by(&["ca.pem"])));
}

#[test]
fn a_broker_whose_certificate_has_expired_is_told_with_its_day() {
    let message = format!(
        "the certificate of {} has expired on 2021-01-01T00:00:00Z: let the broker have a new one",
        at("expired")
    );
    let security = tls_by(&["ca.pem"]);
    is_told_and_mended("expired_server", ("expired", &security), &message, ("tls", &security));
}

#[test]
fn a_broker_whose_certificate_is_for_another_host_is_told_with_the_names_it_is_for() {
    let message = format!(
        "the certificate of {} is for kafka.example.com, not for 127.0.0.1: write in kafka.brokers a name that it is for",
        at("misnamed")
    );
    let security = tls_by(&["ca.pem"]);
    is_told_and_mended("misnamed", ("misnamed", &security), &message, ("tls", &security));
}

#[test]
fn our_certificate_that_has_expired_is_told_with_its_day() {
    let message = format!(
        "our certificate, kafka.tls.cert_file {:?}, has expired on 2021-01-01T00:00:00Z: get a new one",
        secured_kafka().certificate("expired.cert")
    );
    let wrong = tls_by(&["ca.pem", "expired.cert", "expired.key"]);
    let mended = tls_by(&["ca.pem", "service.cert", "service.key"]);
    is_told_and_mended("expired_client", ("mtls", &wrong), &message, ("mtls", &mended));
}

#[test]
fn our_certificate_of_an_authority_that_the_broker_does_not_know_is_named() {
    let message = format!(
        "{} does not accept our certificate: it knows no such authority, or it has expired; kafka.tls.cert_file is {:?}",
        at("mtls"),
        secured_kafka().certificate("foreign.cert")
    );
    let wrong = tls_by(&["ca.pem", "foreign.cert", "foreign.key"]);
    let mended = tls_by(&["ca.pem", "service.cert", "service.key"]);
    is_told_and_mended("foreign_client", ("mtls", &wrong), &message, ("mtls", &mended));
}

#[test]
fn a_broker_that_asks_for_a_certificate_which_is_not_configured_is_told() {
    let message =
        format!("{} asks for a client certificate: set kafka.tls.cert_file and kafka.tls.key_file", at("mtls"));
    let mended = tls_by(&["ca.pem", "service.cert", "service.key"]);
    is_told_and_mended("no_certificate", ("mtls", &tls_by(&["ca.pem"])), &message, ("mtls", &mended));
}

#[test]
fn a_key_that_does_not_fit_the_certificate_is_told_with_both_files() {
    let file = |name: &str| secured_kafka().certificate(name);
    let message = format!(
        "kafka.tls.key_file {:?} is not the key of kafka.tls.cert_file {:?}",
        file("limited.key"),
        file("service.cert")
    );
    let wrong = tls_by(&["ca.pem", "service.cert", "limited.key"]);
    let mended = tls_by(&["ca.pem", "service.cert", "service.key"]);
    is_told_and_mended("foreign_key", ("mtls", &wrong), &message, ("mtls", &mended));
}

fn refused(user: &str, mechanism: &str) -> String {
    format!(
        "{} refuses user {user:?} by {mechanism}: the user is unknown or the password wrong; \
         mend kafka.sasl.username or kafka.sasl.password",
        at("sasl")
    )
}

#[test]
fn a_wrong_password_is_told_with_the_user_and_never_shown() {
    for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
        let wrong = sasl(mechanism, "isitup", "n0t-the-passw0rd");
        let name = format!("wrong_password_{}", mechanism.len());
        is_told_and_mended(&name, ("sasl", &wrong), &refused("isitup", mechanism), ("sasl", &well_by(mechanism)));
    }
}

#[test]
fn an_unknown_user_is_told_by_name() {
    let wrong = sasl("SCRAM-SHA-256", "nobody", "any");
    let mended = ("sasl", &*well_by("SCRAM-SHA-256"));
    is_told_and_mended("unknown_user", ("sasl", &wrong), &refused("nobody", "SCRAM-SHA-256"), mended);
}

#[test]
fn a_mechanism_that_the_listener_has_not_enabled_is_named() {
    let message =
        format!("{} does not offer PLAIN: set kafka.sasl.mechanism to one that its listener has enabled", at("scram"));
    let (wrong, mended) = (well_by("PLAIN"), well_by("SCRAM-SHA-512"));
    is_told_and_mended("mechanism", ("scram", &wrong), &message, ("scram", &mended));
}

#[test]
fn a_listener_that_wants_a_password_which_is_not_configured_is_told_with_its_mechanisms() {
    let message = format!(
        "{} wants a user name and a password: set kafka.sasl, with its mechanism one of SCRAM-SHA-512",
        at("scram")
    );
    let wrong = tls_by(&["ca.pem"]);
    is_told_and_mended("no_password", ("scram", &wrong), &message, ("scram", &well_by("SCRAM-SHA-512")));
}

#[test]
fn tls_spoken_to_a_plaintext_listener_is_told() {
    let message = format!(
        "{} does not speak TLS: name its TLS listener in kafka.brokers, or take out kafka.tls",
        at("plaintext")
    );
    is_told_and_mended("tls_at_plaintext", ("plaintext", &tls_by(&["ca.pem"])), &message, ("plaintext", ""));
}

#[test]
fn plaintext_spoken_to_a_tls_listener_is_told() {
    let message = format!("{} speaks TLS: set kafka.tls, or name the plaintext listener in kafka.brokers", at("tls"));
    is_told_and_mended("plaintext_at_tls", ("tls", ""), &message, ("tls", &tls_by(&["ca.pem"])));
}

/// A pipeline of the user `limited`, who may only do what a test grants.
fn limited(name: &str) -> (site::Site, Pipeline<'static>) {
    pipeline(name, way("sasl", &sasl("SCRAM-SHA-512", "limited", &kafka_password("limited"))))
}

fn grant(pipeline: &Pipeline<'_>, operations: &[Operation]) {
    secured_kafka().allow("limited", Resource::Topic(pipeline.name()), operations).unwrap();
}

#[track_caller]
fn wait_until_told(service: &Service, message: &str) {
    within(TOLD, message, || service.said().iter().any(|said| said.ends_with(message)));
}

#[test]
fn without_the_right_to_see_or_make_the_topic_that_is_told_and_granting_it_suffices() {
    let (site, pipeline) = limited("may_not_create");
    let (producer, name) = (pipeline.producer(), pipeline.name());
    wait_until_told(&producer, &format!("user \"limited\" has no rights on topic {name}: {RIGHTS}"));
    grant(&pipeline, &[Operation::Describe]);
    let made_by_hand = format!(
        "Kafka has no topic {name:?} yet; where the broker does not make topics by itself, run: kafka-topics \
         --bootstrap-server {} --command-config client.properties --create --topic {name} --partitions 6 --replication-factor 1 --config \
         message.timestamp.type=LogAppendTime (this client has no right to create it)",
        at("sasl")
    );
    wait_until_told(&producer, &made_by_hand);
    site.wait_for_checks(4);
    grant(&pipeline, &[Operation::Create, Operation::Write, Operation::Read]);
    let _consumer = pipeline.consumer();
    pipeline.wait_for_rows(6);
    pipeline.prove(producer);
}

#[test]
fn without_the_right_to_write_that_is_told_and_granting_it_suffices() {
    let (site, pipeline) = limited("may_not_write");
    grant(&pipeline, &[Operation::Describe, Operation::Create, Operation::Read]);
    let checked = check_config(&pipeline, "isitup-producer");
    let message = format!("user \"limited\" has no rights on the topic: {RIGHTS}");
    assert!(checked.output.contains(&format!("NOT WELL: {message}")) && checked.code == Some(3), "{checked:?}");
    let producer = pipeline.producer();
    wait_until_told(&producer, &message);
    site.wait_for_checks(4);
    assert!(producer.metric("isitup_spool_events") >= 4.0, "the checks wait");
    grant(&pipeline, &[Operation::Write]);
    let _consumer = pipeline.consumer();
    pipeline.wait_for_rows(6);
    assert_eq!(check_config(&pipeline, "isitup-producer").code, Some(0));
    pipeline.prove(producer);
}

#[test]
fn without_the_right_to_read_that_is_told_and_granting_it_suffices() {
    let (_site, pipeline) = limited("may_not_read");
    grant(&pipeline, &[Operation::Describe, Operation::Create, Operation::Write]);
    let producer = pipeline.producer();
    producer.wait_until_published(4);
    let consumer = pipeline.consumer();
    wait_until_told(&consumer, &format!("user \"limited\" has no rights on the topic: {RIGHTS}"));
    assert_eq!(consumer.get("/health/ready").0, 503);
    let checked = check_config(&pipeline, "isitup-consumer");
    let told = format!("NOT WELL: user \"limited\" has no rights on the topic: {RIGHTS}");
    assert!(checked.output.contains(&told) && checked.code == Some(3), "{checked:?}");
    grant(&pipeline, &[Operation::Read]);
    pipeline.wait_for_rows(4);
    consumer.wait_for_readiness(200);
    pipeline.prove(producer);
}

/// Puts a file of the stack in the place of one of the pipeline's, at once, as an operator should.
fn replace(pipeline: &Pipeline<'_>, file: &str, by: &str) -> PathBuf {
    let (path, fresh) = (pipeline.folder().join(file), pipeline.folder().join(format!("{file}.new")));
    fs::copy(secured_kafka().certificate(by), &fresh).unwrap();
    fs::rename(&fresh, &path).unwrap();
    path
}

#[test]
fn certificates_replaced_on_disk_are_taken_up_without_a_restart() {
    let (site, pipeline) = pipeline("replaced", String::new());
    let files = [("ca.pem", "other-ca.pem"), ("service.cert", "service.cert"), ("service.key", "service.key")];
    let files = files.map(|(file, by)| replace(&pipeline, file, by));
    let pipeline = pipeline.kafka(way("mtls", &tls(&files.each_ref().map(PathBuf::as_path))));
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    producer.wait_for_log("its authority is not the one we trust");
    replace(&pipeline, "ca.pem", "ca.pem");
    pipeline.wait_for_rows(4);

    // Of another user, who may nothing: so it shows that the new certificate is in use.
    replace(&pipeline, "service.cert", "limited.cert");
    replace(&pipeline, "service.key", "limited.key");
    producer.wait_for_log("the owner of our certificate (kafka.tls.cert_file) has no rights on");
    site.wait_for_checks(4);
    replace(&pipeline, "service.cert", "service.cert");
    replace(&pipeline, "service.key", "service.key");
    producer.wait_for_log("Kafka takes events again");
    pipeline.wait_for_more_rows(4);
    pipeline.prove(producer);
}

#[test]
fn a_password_replaced_in_its_file_is_taken_up_without_a_restart() {
    let (site, pipeline) = pipeline("replaced_password", String::new());
    let file = pipeline.folder().join("password");
    fs::write(&file, "n0t-the-passw0rd").unwrap();
    let password = format!("password_file: {file:?}");
    let sasl = format!("sasl: {{mechanism: SCRAM-SHA-512, username: isitup, {password}}}");
    let pipeline = pipeline.kafka(way("sasl", &format!("{}, {sasl}", tls_by(&["ca.pem"]))));
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    wait_until_told(&producer, &refused("isitup", "SCRAM-SHA-512"));
    wait_until_told(&consumer, &refused("isitup", "SCRAM-SHA-512"));
    // As it may be for a moment.
    fs::write(&file, "").unwrap();
    let empty = "the password of Kafka could not be had anew: kafka.sasl.password_file is empty: put the secret there, \
                 or take this setting out";
    wait_until_told(&producer, empty);
    wait_until_told(&consumer, empty);
    site.wait_for_checks(4);
    fs::write(&file, kafka_password("isitup")).unwrap();
    pipeline.wait_for_rows(6);
    pipeline.prove(producer);
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
        let checked = check_config(&pipeline, program);
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
            "kafka.tls.ca_file: \"/no/such/ca.pem\" cannot be read: No such file or directory (os error 2)",
        ),
        (
            way("tls", &format!("{}, cert_file: /no/such/service.cert}}", tls.trim_end_matches('}'))),
            "kafka.tls.cert_file: needs key_file beside it: a certificate is of use with its key only",
        ),
    ] {
        let (_site, pipeline) = pipeline("contradiction", security);
        for program in ["isitup-producer", "isitup-consumer"] {
            let checked = check_config(&pipeline, program);
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
