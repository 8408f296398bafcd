//! Listeners that ask who somebody is, and what they may: TLS, mutual TLS and SASL over TLS, with an authorizer.
//!
//! Who comes over the plaintext listener, which brokers use among themselves and tests to look at what is so, may do all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::jars::Line;
use super::ports::Port;

/// Those who may be let in by a certificate or a password. What they may do is granted to them later.
pub(crate) const USERS: [&str; 2] = ["isitup", "limited"];
/// The kinds of SCRAM, as Kafka has them.
pub(super) const SCRAM: [&str; 2] = ["SCRAM-SHA-256", "SCRAM-SHA-512"];

/// A user's password; it is no secret.
pub(crate) fn password(user: &str) -> String {
    format!("{user}-secret")
}

/// Listeners beside the plaintext one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listener {
    /// Asks nobody who they are.
    Tls,
    /// Asks for a certificate.
    Mtls,
    /// Asks for a password, by PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
    Sasl,
    /// By SCRAM-SHA-512 only.
    Scram,
    /// Has a certificate that has expired.
    Expired,
    /// Has a certificate for another host.
    Misnamed,
}

const ALL: [Listener; 6] =
    [Listener::Tls, Listener::Mtls, Listener::Sasl, Listener::Scram, Listener::Expired, Listener::Misnamed];

impl Listener {
    /// What the stack's addresses call it.
    fn name(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Mtls => "mtls",
            Self::Sasl => "sasl",
            Self::Scram => "scram",
            Self::Expired => "expired",
            Self::Misnamed => "misnamed",
        }
    }

    fn protocol(self) -> &'static str {
        if self.mechanisms().is_empty() { "SSL" } else { "SASL_SSL" }
    }

    fn mechanisms(self) -> &'static [&'static str] {
        match self {
            Self::Sasl => &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"],
            Self::Scram => &["SCRAM-SHA-512"],
            _ => &[],
        }
    }

    /// The file with its key and certificate.
    fn identity(self) -> &'static str {
        match self {
            Self::Expired => "expired-server.pem",
            Self::Misnamed => "misnamed-server.pem",
            _ => "server.pem",
        }
    }

    fn settings(self, certificates: &Path) -> String {
        let prefix = format!("listener.name.{}.", self.name());
        let client = if self == Self::Mtls { "required" } else { "none" };
        let mut lines = vec![
            "num.network.threads=1".to_owned(),
            "ssl.keystore.type=PEM".to_owned(),
            format!("ssl.keystore.location={}", certificates.join(self.identity()).display()),
            "ssl.truststore.type=PEM".to_owned(),
            format!("ssl.truststore.location={}", certificates.join("ca.pem").display()),
            format!("ssl.client.auth={client}"),
            // The subject of a certificate is a name like CN=isitup; the user is what stands there.
            "ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/".to_owned(),
        ];
        if !self.mechanisms().is_empty() {
            lines.push(format!("sasl.enabled.mechanisms={}", self.mechanisms().join(",")));
        }
        lines.extend(self.mechanisms().iter().map(|mechanism| jaas(mechanism)));
        lines.iter().map(|line| format!("{prefix}{line}\n")).collect()
    }
}

/// How one mechanism looks people up: PLAIN in the settings themselves, SCRAM in Kafka's metadata.
fn jaas(mechanism: &str) -> String {
    let module = if mechanism == "PLAIN" {
        let users = USERS.map(|user| format!(" user_{user}=\"{}\"", password(user))).concat();
        format!("plain.PlainLoginModule required{users}")
    } else {
        "scram.ScramLoginModule required".to_owned()
    };
    format!("{}.sasl.jaas.config=org.apache.kafka.common.security.{module};", mechanism.to_lowercase())
}

/// What asks whether somebody may do something.
pub(super) fn authorizer(line: Line) -> String {
    let class = match line {
        Line::Three => "kafka.security.authorizer.AclAuthorizer",
        Line::Four => "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    };
    format!("authorizer.class.name={class}\nsuper.users=User:ANONYMOUS\n")
}

/// The listeners of one broker.
pub(crate) struct Secured {
    ports: Vec<(Listener, Port)>,
    certificates: PathBuf,
}

impl Secured {
    /// On free ports, with what lies in the folder `certificates`.
    pub(super) fn on_free_ports(certificates: &Path) -> Result<Self> {
        let port = |listener| Ok((listener, Port::free()?));
        Ok(Self { ports: ALL.into_iter().map(port).collect::<Result<_>>()?, certificates: certificates.to_owned() })
    }

    /// Each with a comma before it, as are the protocols.
    pub(super) fn listeners(&self) -> String {
        let one =
            |(listener, port): &(Listener, Port)| format!(",{}://{}", listener.name().to_uppercase(), port.address());
        self.ports.iter().map(one).collect()
    }

    pub(super) fn protocols(&self) -> String {
        ALL.iter().map(|listener| format!(",{}:{}", listener.name().to_uppercase(), listener.protocol())).collect()
    }

    pub(super) fn settings(&self, line: Line) -> String {
        let listeners: String = ALL.iter().map(|listener| listener.settings(&self.certificates)).collect();
        listeners + &authorizer(line)
    }

    /// `127.0.0.1:<port>` of each listener, by its name.
    pub(super) fn addresses(&self) -> BTreeMap<&'static str, String> {
        self.ports.iter().map(|(listener, port)| (listener.name(), port.address())).collect()
    }
}
