//! Wrong set-ups of TLS and passwords, each told in the very words that are to be read here.

use super::{at, pipeline, refused, sasl, tls_by, wait_until_told, way, well_by};
use crate::harness::secured_kafka;

/// A wrong set-up at `listener` is told by both services and by their `check-config`; the checks wait in the spool; once it is
/// as in `mended`, all arrive.
#[track_caller]
fn is_told_and_mended(name: &str, (listener, wrong): (&str, &str), message: &str, mended: (&str, &str)) {
    let (site, pipeline) = pipeline(name, way(listener, wrong));
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    wait_until_told(&producer, &format!("events wait in the spool: {message}"));
    wait_until_told(&consumer, &format!("waiting for Kafka: {message}"));
    for program in ["isitup-producer", "isitup-consumer"] {
        let checked = pipeline.check_config(program);
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
        "the certificate of {} cannot be verified: its authority is not the one we trust, or it is for another name or out of \
         date; kafka.tls.ca_file is {:?}",
        at("mtls"),
        secured_kafka().certificate("other-ca.pem")
    );
    let wrong = tls_by(&["other-ca.pem", pair[0], pair[1]]);
    is_told_and_mended("wrong_ca", ("mtls", &wrong), &message, ("mtls", &tls_by(&["ca.pem", pair[0], pair[1]])));
}

#[test]
fn an_authority_that_the_system_does_not_know_needs_its_file() {
    let message = format!(
        "the certificate of {} cannot be verified: its authority is not the one we trust, or it is for another name or out of \
         date; kafka.tls.ca_file is not set, so the system's authorities count",
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
        "{} closes the connection at the beginning of TLS: unless it is only starting or ending, it does not speak TLS; name its \
         TLS listener in kafka.brokers, or take out kafka.tls",
        at("plaintext")
    );
    is_told_and_mended("tls_at_plaintext", ("plaintext", &tls_by(&["ca.pem"])), &message, ("plaintext", ""));
}

#[test]
fn plaintext_spoken_to_a_tls_listener_is_told() {
    let message = format!("{} speaks TLS: set kafka.tls, or name the plaintext listener in kafka.brokers", at("tls"));
    is_told_and_mended("plaintext_at_tls", ("tls", ""), &message, ("tls", &tls_by(&["ca.pem"])));
}
