//! Which Kafka, by which client and over what kind of connection: the whole suite runs on each of these pairs, as
//! `ISITUP_TEST_KAFKA` says. Tests that are about one of them say so themselves (`kafka_security.rs`).
//!
//! The tests themselves look at Kafka over its plaintext listener on every lane. So does a pipeline whose brokers are
//! behind a proxy: what is encrypted a proxy cannot read.

use std::path::PathBuf;

use isitup_dev::{Stack, StackOptions, kafka_password};
use isitup_shared::config::{KafkaClient, Security};

/// A pair of a client and a Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// kafka-rust on Kafka 3.9 with ZooKeeper.
    KafkaRust,
    /// librdkafka on Kafka 3.9 with ZooKeeper.
    Librdkafka,
    /// librdkafka on Kafka 4.
    Librdkafka4,
    /// The same over TLS, both sides with a certificate.
    Mtls,
    /// The same over TLS, with a password by SCRAM-SHA-512.
    Scram,
}

/// One key of the configuration's section `kafka`, such as `["tls", "ca_file"]`, and what it is set to, as YAML.
type Setting = (&'static [&'static str], String);

impl Lane {
    /// The one that `ISITUP_TEST_KAFKA` names.
    pub(crate) fn current() -> Self {
        match std::env::var("ISITUP_TEST_KAFKA").as_deref() {
            Err(_) | Ok("" | "kafka-rust") => Self::KafkaRust,
            Ok("librdkafka") => Self::Librdkafka,
            Ok("librdkafka-4") => Self::Librdkafka4,
            Ok("mtls") => Self::Mtls,
            Ok("scram") => Self::Scram,
            Ok(other) => {
                panic!("ISITUP_TEST_KAFKA is {other:?}: there are kafka-rust, librdkafka, librdkafka-4, mtls and scram")
            }
        }
    }

    /// The servers it needs.
    pub(crate) fn options(self) -> StackOptions {
        let is_secured = matches!(self, Self::Mtls | Self::Scram);
        let is_kafka_4 = is_secured || self == Self::Librdkafka4;
        StackOptions { is_kafka_4, is_secured, ..StackOptions::default() }
    }

    /// Whether a release without librdkafka can be on it: it speaks with Kafka up to 3.9, in plaintext.
    pub(crate) fn is_for_kafka_rust(self) -> bool {
        matches!(self, Self::KafkaRust | Self::Librdkafka)
    }

    /// What the tests themselves speak by, over plaintext.
    pub(crate) fn client(self) -> KafkaClient {
        if self == Self::KafkaRust { KafkaClient::KafkaRust } else { KafkaClient::Librdkafka(Security::Plaintext) }
    }

    /// What the producers write where a test does not say it, as `ISITUP_TEST_FORMAT` says: json or avro, on any pair.
    pub(crate) fn format() -> String {
        std::env::var("ISITUP_TEST_FORMAT").ok().filter(|format| !format.is_empty()).unwrap_or_else(|| "json".into())
    }

    /// Whether Kafka tells by numbers what the client sends again, and drops it.
    pub(crate) fn is_idempotent(self) -> bool {
        self != Self::KafkaRust
    }

    /// How the services reach Kafka: the `servers`' or, in plaintext, what stands at the other addresses.
    pub(crate) fn settings(self, servers: &Stack, behind: Option<&[String]>) -> Vec<Setting> {
        let client = if self == Self::KafkaRust { "kafka-rust" } else { "librdkafka" };
        let replicas = servers.brokers().len();
        let mut settings: Vec<Setting> =
            vec![(&["client"], client.to_owned()), (&["create_topic", "replication_factor"], replicas.to_string())];
        let file = |name: &str| quoted(servers.certificate(name));
        let brokers = match (self, behind) {
            (_, Some(brokers)) => brokers,
            (Self::Mtls, None) => {
                settings.push((&["tls", "ca_file"], file("ca.pem")));
                settings.push((&["tls", "cert_file"], file("service.cert")));
                settings.push((&["tls", "key_file"], file("service.key")));
                servers.listener("mtls")
            }
            (Self::Scram, None) => {
                settings.push((&["tls", "ca_file"], file("ca.pem")));
                settings.push((&["sasl", "mechanism"], "SCRAM-SHA-512".to_owned()));
                settings.push((&["sasl", "username"], "isitup".to_owned()));
                settings.push((&["sasl", "password"], kafka_password("isitup")));
                servers.listener("sasl")
            }
            (_, None) => servers.brokers(),
        };
        settings.push((&["brokers"], format!("[{}]", brokers.join(", "))));
        settings
    }

    /// The same as YAML: what stands between the braces of `kafka: {}`.
    pub(crate) fn yaml(self, servers: &Stack, behind: Option<&[String]>) -> String {
        let settings = self.settings(servers, behind);
        let mut parts: Vec<String> = Vec::new();
        for (path, value) in settings.iter().filter(|(path, _)| path.len() == 1) {
            parts.push(format!("{}: {value}", path[0]));
        }
        for section in ["create_topic", "tls", "sasl"] {
            let is_in = |(path, _): &&Setting| path.len() == 2 && path[0] == section;
            let key = |(path, value): &Setting| format!("{}: {value}", path[1]);
            let keys: Vec<String> = settings.iter().filter(is_in).map(key).collect();
            if !keys.is_empty() {
                parts.push(format!("{section}: {{{}}}", keys.join(", ")));
            }
        }
        parts.join(", ")
    }

    /// The same as variables of the environment.
    pub(crate) fn environment(self, servers: &Stack) -> Vec<(String, String)> {
        let variable = |(path, value): Setting| {
            let plain = value.trim_matches(['[', ']', '"']).replace(", ", ",");
            (format!("ISITUP__KAFKA__{}", path.join("__").to_uppercase()), plain)
        };
        self.settings(servers, None).into_iter().map(variable).collect()
    }
}

fn quoted(path: PathBuf) -> String {
    format!("{:?}", path.display().to_string())
}
