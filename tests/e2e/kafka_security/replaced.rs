//! Certificates and passwords that are replaced while the services run.

use std::fs;
use std::path::PathBuf;

use isitup_dev::kafka_password;

use super::{pipeline, refused, tls, tls_by, wait_until_told, way};
use crate::harness::{Pipeline, secured_kafka};

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
    producer.wait_for_log("the configuration was read anew");
    assert!(!producer.has_logged("needs a restart"), "{:?}", producer.said());
    pipeline.prove(producer);
}
