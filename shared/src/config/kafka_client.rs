//! The keys `client`, `tls` and `sasl` of the `kafka` section: which client library, over what kind of connection.

#[cfg(feature = "librdkafka")]
use std::path::PathBuf;

use std::fmt;

#[cfg(feature = "librdkafka")]
use super::Credential;
use super::{Scalar, Section};
#[cfg(feature = "librdkafka")]
use crate::tls;

/// A client library, with what it alone can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KafkaClient {
    /// kafka-rust: plaintext, brokers up to 3.9.
    #[default]
    KafkaRust,
    /// librdkafka: Kafka 4, TLS and SASL too.
    #[cfg(feature = "librdkafka")]
    Librdkafka(Security),
}

/// How the connection to the brokers is secured.
#[cfg(feature = "librdkafka")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    #[default]
    Plaintext,
    /// TLS; with a key pair the client proves who it is by it.
    Tls(KafkaTls),
    /// TLS, and a user name with a password inside of it.
    Sasl(KafkaTls, Sasl),
}

/// Whom to trust, and how to prove who we are.
#[cfg(feature = "librdkafka")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaTls {
    /// The authorities that may vouch for the brokers; without, those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate and its key.
    pub identity: Option<KeyPairFiles>,
}

/// A certificate and its private key, both PEM.
#[cfg(feature = "librdkafka")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPairFiles {
    /// The certificate, followed by those between it and the authority.
    pub cert_file: PathBuf,
    /// The key, not encrypted.
    pub key_file: PathBuf,
}

/// A user name and password.
#[cfg(feature = "librdkafka")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sasl {
    /// How the password is proved.
    pub mechanism: Mechanism,
    /// Who we are.
    pub username: String,
    /// The password, which is had anew for each new client.
    pub password: Credential,
}

/// A SASL mechanism.
#[cfg(feature = "librdkafka")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// The password itself is sent, inside of TLS.
    Plain,
    /// A challenge is answered (RFC 7677).
    ScramSha256,
    /// The same with the longer hash.
    ScramSha512,
}

impl fmt::Display for KafkaClient {
    /// The library, and how the connection is secured.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KafkaRust => f.write_str("kafka-rust, plaintext"),
            #[cfg(feature = "librdkafka")]
            Self::Librdkafka(security) => write!(f, "librdkafka, {security}"),
        }
    }
}

#[cfg(feature = "librdkafka")]
impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plaintext => f.write_str("plaintext"),
            Self::Tls(KafkaTls { identity: None, .. }) => f.write_str("TLS"),
            Self::Tls(KafkaTls { identity: Some(pair), .. }) => {
                write!(f, "TLS with our certificate {:?}", pair.cert_file.display().to_string())
            }
            Self::Sasl(_, sasl) => write!(f, "TLS, user {:?} by {}", sasl.username, sasl.mechanism.name()),
        }
    }
}

impl KafkaClient {
    /// Reads `client`, `tls` and `sasl` of the section `kafka`.
    pub(super) fn read(section: &mut Section) -> Option<Self> {
        match section.get::<Name>("client").unwrap_or(Name::KafkaRust) {
            Name::KafkaRust => {
                for key in ["tls", "sasl"] {
                    if section.contains(key) {
                        let remedy = "kafka-rust speaks plaintext only; TLS and SASL need kafka.client: librdkafka";
                        section.refuse(key, remedy);
                    }
                }
                Some(Self::KafkaRust)
            }
            Name::Librdkafka => Self::read_librdkafka(section),
        }
    }

    #[cfg(feature = "librdkafka")]
    fn read_librdkafka(section: &mut Section) -> Option<Self> {
        let (with_tls, with_sasl) = (section.contains("tls"), section.contains("sasl"));
        let place_of_sasl = section.place_of("sasl");
        let tls = KafkaTls::read(section)?;
        if !with_sasl {
            // Known all the same, for the message about an unknown key.
            section.skip("sasl");
            return Some(Self::Librdkafka(if with_tls { Security::Tls(tls) } else { Security::Plaintext }));
        }
        let sasl = Sasl::read(section);
        if !with_tls {
            let message = "without TLS the password could be read on the way; \
                           set kafka.tls too, with its ca_file, or `tls: {}` where the system knows the authority";
            section.refuse_at(&place_of_sasl, "sasl", message);
            return None;
        }
        Some(Self::Librdkafka(Security::Sasl(tls, sasl?)))
    }

    #[cfg(not(feature = "librdkafka"))]
    fn read_librdkafka(section: &mut Section) -> Option<Self> {
        let message = "librdkafka was left out when this program was built; build it without --no-default-features, \
                       or use kafka-rust with a plaintext broker up to 3.9";
        section.refuse("client", message);
        section.skip("tls");
        section.skip("sasl");
        None
    }
}

#[cfg(feature = "librdkafka")]
impl KafkaTls {
    fn read(kafka: &mut Section) -> Option<Self> {
        let mut section = kafka.section("tls");
        let ca_file = section.file_for("ca_file", tls::certificates);
        let identity = KeyPairFiles::read(&mut section);
        section.finish();
        Some(Self { ca_file, identity })
    }
}

#[cfg(feature = "librdkafka")]
impl KeyPairFiles {
    fn read(section: &mut Section) -> Option<Self> {
        for (key, other) in [("cert_file", "key_file"), ("key_file", "cert_file")] {
            if section.contains(key) && !section.contains(other) {
                section.refuse(key, format!("needs {other} beside it: a certificate is of use with its key only"));
            }
        }
        let cert_file = section.file_for("cert_file", tls::certificates);
        let key_file = section.key_file("key_file", tls::private_key);
        Some(Self { cert_file: cert_file?, key_file: key_file? })
    }
}

#[cfg(feature = "librdkafka")]
impl Sasl {
    fn read(kafka: &mut Section) -> Option<Self> {
        let mut section = kafka.section("sasl");
        let mechanism = section.require("mechanism", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, as the broker offers");
        let username = section.require::<String>("username", "the name of the Kafka user");
        let password = section.require_credential("password", "the password of the Kafka user");
        section.finish();
        Some(Self { mechanism: mechanism?, username: username?, password: password? })
    }
}

#[cfg(feature = "librdkafka")]
impl Mechanism {
    /// Its name in the registry of SASL mechanisms.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

#[cfg(feature = "librdkafka")]
impl Scalar for Mechanism {
    const WHAT: &'static str = "a SASL mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512";
    const HARMLESS: bool = true;

    fn parse(text: &str) -> Option<Self> {
        [Self::Plain, Self::ScramSha256, Self::ScramSha512].into_iter().find(|mechanism| mechanism.name() == text)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    KafkaRust,
    Librdkafka,
}

impl Scalar for Name {
    const WHAT: &'static str = "a Kafka client: kafka-rust or librdkafka";
    const HARMLESS: bool = true;

    fn parse(text: &str) -> Option<Self> {
        match text {
            "kafka-rust" => Some(Self::KafkaRust),
            "librdkafka" => Some(Self::Librdkafka),
            _ => None,
        }
    }
}
