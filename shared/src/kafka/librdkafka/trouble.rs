//! librdkafka's troubles in words that name the setting to mend.

use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};

use super::super::KafkaError;
use super::settings::Settings;
use crate::config::{KafkaTls, Security};

/// What an event of the library means; nothing where another event says it better.
pub(super) fn of_event(code: Code, reason: &str, settings: &Settings) -> Option<KafkaError> {
    let (broker, reason) = split(reason);
    match code {
        // Comes after what befell the last of them.
        Code::AllBrokersDown => None,
        // The reading side joins no group, so that it may well have no rights on one.
        Code::GroupAuthorizationFailed | Code::CoordinatorNotAvailable | Code::PartitionEOF => None,
        Code::AutoOffsetReset | Code::OffsetOutOfRange => None,
        Code::Authentication => Some(KafkaError::Setup(authentication(broker, reason, settings))),
        Code::SSL => Some(of_tls(broker, reason, settings)),
        Code::UnsupportedFeature | Code::SaslAuthenticationFailed => {
            Some(KafkaError::Setup(authentication(broker, reason, settings)))
        }
        Code::TopicAuthorizationFailed => Some(KafkaError::Setup(no_rights("the topic", settings))),
        Code::BrokerTransportFailure | Code::OperationTimedOut | Code::Resolve | Code::TimedOutQueue => {
            Some(of_transport(broker, reason, settings))
        }
        _ => None,
    }
}

/// `ssl://kafka:9093/bootstrap: what happened` in its parts.
fn split(reason: &str) -> (&str, &str) {
    let Some((head, tail)) = reason.split_once(": ") else { return ("the broker", reason) };
    let address = head.rsplit_once("://").map_or(head, |(_, address)| address);
    let address = address.split_once('/').map_or(address, |(address, _)| address);
    if address.contains(' ') { ("the broker", reason) } else { (address, tail) }
}

/// Without how long it took and in which state of the library.
fn bare(reason: &str) -> &str {
    reason.split(" (after ").next().unwrap_or(reason).trim_end_matches([':', ' '])
}

fn tls_of(settings: &Settings) -> Option<&KafkaTls> {
    match &settings.security {
        Security::Plaintext => None,
        Security::Tls(tls) | Security::Sasl(tls, _) => Some(tls),
    }
}

fn authentication(broker: &str, reason: &str, settings: &Settings) -> String {
    let Security::Sasl(_, sasl) = &settings.security else {
        return format!(
            "{broker} wants a user name and a password, which kafka.sasl does not give; set kafka.sasl: {}",
            bare(reason)
        );
    };
    let mechanism = sasl.mechanism.name();
    if reason.contains("mechanism") && (reason.contains("upported") || reason.contains("enabled mechanisms")) {
        return format!(
            "{broker} does not offer {mechanism}: set kafka.sasl.mechanism to one that its listener has enabled"
        );
    }
    format!(
        "{broker} refuses user {:?} by {mechanism}: the user is unknown or the password wrong; \
         mend kafka.sasl.username or kafka.sasl.password",
        sasl.username
    )
}

fn of_tls(broker: &str, reason: &str, settings: &Settings) -> KafkaError {
    let Some(tls) = tls_of(settings) else { return KafkaError::Connection(bare(reason).to_owned()) };
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    let ca = tls.ca_file.as_ref().map_or_else(
        || "kafka.tls.ca_file is not set, so the system's authorities count".to_owned(),
        |file| format!("kafka.tls.ca_file is {:?}", file.display().to_string()),
    );
    let ours = tls.identity.as_ref().map_or_else(
        || "kafka.tls.cert_file is not set".to_owned(),
        |pair| format!("kafka.tls.cert_file is {:?}", pair.cert_file.display().to_string()),
    );
    // That a certificate is missing Java brokers call bad, too.
    let is_missing = tls.identity.is_none() && has(&["alert number 42"]);
    let message = if is_missing || has(&["certificate required", "alert number 116", "client SSL authentication"]) {
        format!("{broker} asks for a client certificate: set kafka.tls.cert_file and kafka.tls.key_file")
    } else if has(&[
        "alert unknown ca",
        "alert bad certificate",
        "alert certificate unknown",
        "alert certificate expired",
        "alert number 42",
        "alert number 46",
        "alert number 48",
        "alert number 45",
    ]) {
        format!("{broker} does not accept our certificate: it knows no such authority, or it has expired; {ours}")
    } else if has(&["certificate verify failed"]) {
        format!(
            "the certificate of {broker} cannot be verified: its authority is not the one we trust, or it is for another name \
             or out of date; {ca}"
        )
    } else if has(&["wrong version number", "packet length too long"]) {
        format!("{broker} does not speak TLS: name its TLS listener in kafka.brokers, or take out kafka.tls")
    } else if has(&["Disconnected", "PLAINTEXT"]) {
        // The latter is but the library's guess at the former.
        format!(
            "{broker} closes the connection at the beginning of TLS: unless it is only starting or ending, it does not speak TLS; \
             name its TLS listener in kafka.brokers, or take out kafka.tls"
        )
    } else {
        format!("no TLS connection to {broker}: {}", bare(reason))
    };
    KafkaError::Setup(message)
}

fn of_transport(broker: &str, reason: &str, settings: &Settings) -> KafkaError {
    let with_tls = tls_of(settings).is_some();
    if !with_tls && (reason.contains("SSL listener") || reason.contains("ApiVersion")) && reason.contains("isconnected")
    {
        return KafkaError::Setup(format!(
            "{broker} closes the connection on a plaintext request: it may be a TLS listener; \
             set kafka.tls, or name the plaintext listener in kafka.brokers"
        ));
    }
    // By TLS 1.3 our certificate is refused only after the handshake.
    if with_tls && (reason.contains("SSL_HANDSHAKE") || reason.contains("SSL alert number")) {
        return of_tls(broker, reason, settings);
    }
    let detail = match bare(reason) {
        refused if refused.contains("Connection refused") => "connection refused".to_owned(),
        other if other.starts_with("Failed to resolve") => format!("its name does not resolve: {other}"),
        other => other.to_owned(),
    };
    let reason = if broker == settings.brokers { detail } else { format!("{broker}: {detail}") };
    KafkaError::Unreachable { brokers: settings.brokers.clone(), reason }
}

fn no_rights(on: &str, settings: &Settings) -> String {
    let user = match &settings.security {
        Security::Sasl(_, sasl) => format!("user {:?}", sasl.username),
        Security::Tls(KafkaTls { identity: Some(_), .. }) => {
            "the owner of our certificate (kafka.tls.cert_file)".to_owned()
        }
        _ => "this client".to_owned(),
    };
    format!(
        "{user} has no rights on {on}: grant them by kafka-acls (the producer: Describe and Write, and Create where the \
         topic is missing; the consumer: Describe and Read)"
    )
}

/// Why no client could be made: something is wrong with a file or a setting.
pub(super) fn of_creation(error: &ClientError, settings: &Settings) -> KafkaError {
    let text = error.to_string();
    let file = |key: &str| match (tls_of(settings), key) {
        (Some(tls), "ca_file") => tls.ca_file.as_ref().map(|path| path.display().to_string()),
        (Some(tls), "cert_file") => tls.identity.as_ref().map(|pair| pair.cert_file.display().to_string()),
        (Some(tls), _) => tls.identity.as_ref().map(|pair| pair.key_file.display().to_string()),
        (None, _) => None,
    };
    let shown = |key: &str| file(key).map_or_else(|| "not set".to_owned(), |path| format!("{path:?}"));
    let message = if text.contains("key values mismatch") || text.contains("private key check failed") {
        format!("kafka.tls.key_file {} is not the key of kafka.tls.cert_file {}", shown("key_file"), shown("cert_file"))
    } else if text.contains("ssl.ca.location") {
        format!("kafka.tls.ca_file {} cannot be read as a PEM certificate", shown("ca_file"))
    } else if text.contains("ssl.certificate.location") {
        format!("kafka.tls.cert_file {} cannot be read as a PEM certificate", shown("cert_file"))
    } else if text.contains("ssl.key.location") {
        format!("kafka.tls.key_file {} cannot be read as a PEM key without a passphrase", shown("key_file"))
    } else {
        format!("librdkafka cannot begin: {text}")
    };
    KafkaError::Setup(message)
}

/// Why the cluster was not asked.
pub(super) fn of_metadata(error: &ClientError, settings: &Settings) -> KafkaError {
    match error.rdkafka_error_code() {
        Some(Code::BrokerTransportFailure | Code::OperationTimedOut | Code::AllBrokersDown) | None => {
            KafkaError::Unreachable { brokers: settings.brokers.clone(), reason: "none answers in time".to_owned() }
        }
        Some(Code::NotLeaderForPartition | Code::LeaderNotAvailable | Code::UnknownTopicOrPartition) => {
            KafkaError::LeaderMoving("a leader is not known yet".to_owned())
        }
        Some(code) => KafkaError::Connection(code.to_string()),
    }
}

/// What the cluster says of a whole topic.
pub(super) fn of_topic(code: Code, topic: &str, settings: &Settings) -> KafkaError {
    match code {
        Code::TopicAuthorizationFailed => KafkaError::Setup(no_rights(&format!("topic {topic}"), settings)),
        Code::LeaderNotAvailable => KafkaError::LeaderMoving("none is elected yet".to_owned()),
        code => KafkaError::Refused(code.to_string()),
    }
}

/// Why a topic was not made.
pub(super) fn of_creating(code: Code, no_topic: &KafkaError, settings: &Settings) -> KafkaError {
    match code {
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => {
            KafkaError::Setup(format!("{no_topic} (this client has no right to create it)"))
        }
        Code::InvalidReplicationFactor => KafkaError::Setup(format!(
            "the topic cannot be made with kafka.create_topic.replication_factor {}: the cluster has fewer brokers",
            settings.shape.replication_factor
        )),
        code => KafkaError::Refused(format!("the topic was not made: {code}")),
    }
}

/// What befell a partition.
pub(super) fn of_partition(code: Code, partition: i32, settings: &Settings) -> KafkaError {
    match code {
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => {
            KafkaError::Setup(no_rights("the topic", settings))
        }
        Code::UnknownPartition | Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::NotLeaderForPartition => {
            KafkaError::LeaderMoving(format!("partition {partition}: {code}"))
        }
        Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend => {
            KafkaError::Refused("fewer replicas are in sync than the topic's min.insync.replicas asks for".to_owned())
        }
        Code::MessageTimedOut => KafkaError::Connection("a record was not acknowledged within 60 s".to_owned()),
        Code::NoOffset => KafkaError::Connection("a record counted as stored, but nobody knows where".to_owned()),
        Code::PurgeQueue | Code::PurgeInflight => KafkaError::Connection("the client was given up".to_owned()),
        code => KafkaError::Refused(code.to_string()),
    }
}
