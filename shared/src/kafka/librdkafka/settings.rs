//! What differs from librdkafka's own settings, and why. Their meaning:
//! <https://github.com/confluentinc/librdkafka/blob/v2.12.1/CONFIGURATION.md>.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use super::super::KafkaError;
use crate::config::{Credential, KafkaConfig, KafkaTls, Security, TopicShape};
use crate::secret::Secret;

/// The most bytes of a batch. Whatever else is asked of a broker waits behind the one that is under way to it: so that a slow
/// line, too, gets all of it through in time.
const BATCH_LIMIT: usize = 64 << 10;
/// The most bytes of a partition, and of all, in an answer to a fetch; for the same reason. A larger record comes alone.
const PARTITION_LIMIT: usize = 64 << 10;
const FETCH_LIMIT: usize = 128 << 10;

/// How the brokers are reached.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) brokers: String,
    pub(super) security: Security,
    pub(super) shape: TopicShape,
}

impl Settings {
    pub(super) fn new(config: &KafkaConfig, security: &Security) -> Self {
        Self { brokers: config.brokers.join(","), security: security.clone(), shape: config.create_topic }
    }

    /// What both sides share.
    fn common(&self) -> Result<ClientConfig, KafkaError> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "isitup")
            // Whatever our own level: lost connections are counted by its lines.
            .set_log_level(RDKafkaLogLevel::Info)
            // A cable that was pulled is to be noticed within seconds; the defaults are 60 s and 30 s.
            .set("socket.timeout.ms", "10000")
            .set("socket.connection.setup.timeout.ms", "5000")
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "2000")
            // A leader that moved, or a topic that was made anew, is found soon.
            .set("topic.metadata.refresh.interval.ms", "10000");
        self.secure(&mut config)?;
        Ok(config)
    }

    fn secure(&self, config: &mut ClientConfig) -> Result<(), KafkaError> {
        match &self.security {
            Security::Plaintext => {
                config.set("security.protocol", "plaintext");
            }
            Security::Tls(tls) => {
                config.set("security.protocol", "ssl");
                encrypt(config, tls);
            }
            Security::Sasl(tls, sasl) => {
                config
                    .set("security.protocol", "sasl_ssl")
                    .set("sasl.mechanism", sasl.mechanism.name())
                    .set("sasl.username", &sasl.username)
                    .set("sasl.password", password(&sasl.password)?.expose());
                encrypt(config, tls);
            }
        }
        Ok(())
    }

    /// For making topics.
    pub(super) fn admin(&self) -> Result<ClientConfig, KafkaError> {
        self.common()
    }

    /// The sending side.
    pub(super) fn producer(&self) -> Result<ClientConfig, KafkaError> {
        let mut config = self.common()?;
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // Of a producer that it has not met in a partition yet, a broker takes records from any number on. So where the first
            // batch was refused (by one that did not know yet that it leads), the second was stored; and the library took the
            // first for stored, too: "implicitly acked by subsequent batch success". Seen with new topics: the event was gone.
            .set("max.in.flight.requests.per.connection", "1")
            // What there is is sent at once; while a request is under way, the rest gathers into batches by itself.
            .set("linger.ms", "0")
            .set("batch.size", BATCH_LIMIT.to_string())
            // The broker's limit counts, not one of our own.
            .set("message.max.bytes", "10000000")
            .set("request.timeout.ms", "10000")
            .set("message.timeout.ms", "60000")
            .set("queue.buffering.max.kbytes", "65536")
            // A topic is made with the configured number of partitions, not with the broker's.
            .set("allow.auto.create.topics", "false");
        Ok(config)
    }

    /// One whose records every broker refuses, see [`super::may_write`].
    pub(super) fn refused_producer(&self) -> Result<ClientConfig, KafkaError> {
        let mut config = self.common()?;
        config.set("enable.idempotence", "false").set("acks", "2").set("allow.auto.create.topics", "false");
        Ok(config)
    }

    /// The reading side. It joins no group, but the library wants the name of one.
    pub(super) fn consumer(&self, group: &str) -> Result<ClientConfig, KafkaError> {
        let mut config = self.common()?;
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // Where an offset is gone, that is told, and never jumped over.
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("session.timeout.ms", "6000")
            .set("fetch.wait.max.ms", "500")
            .set("max.partition.fetch.bytes", PARTITION_LIMIT.to_string())
            .set("fetch.max.bytes", FETCH_LIMIT.to_string())
            // The library raises the limit of a fetch to this one.
            .set("message.max.bytes", FETCH_LIMIT.to_string())
            .set("fetch.error.backoff.ms", "200")
            // The default lets a full queue rest for a second although it is emptied at once.
            .set("fetch.queue.backoff.ms", "20")
            // The only place where the library says that the topic is another one, see `Context::log`. It goes on at the old
            // offset, with nothing but a FIXME in its `rd_kafka_topic_metadata_update`.
            .set("debug", "metadata")
            .set_log_level(RDKafkaLogLevel::Debug)
            // What is read ahead; the default of 64 MiB is more than the whole consumer needs otherwise.
            .set("queued.max.messages.kbytes", "8192")
            .set("queued.min.messages", "20000")
            .set("check.crcs", "true");
        Ok(config)
    }

    /// The certificates as they are on disk now.
    pub(super) fn files(&self) -> Files {
        let tls = match &self.security {
            Security::Plaintext => return Files::default(),
            Security::Tls(tls) | Security::Sasl(tls, _) => tls,
        };
        let pair = tls.identity.iter().flat_map(|pair| [&pair.cert_file, &pair.key_file]);
        Files(tls.ca_file.iter().chain(pair).map(|path| (path.clone(), stamp(path))).collect())
    }
}

/// Files, and when and with what size each was written; the library reads them once, when a client is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Files(Vec<(PathBuf, Option<(SystemTime, u64)>)>);

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// The password as it is now: those from vaults end, and those in files are replaced.
fn password(credential: &Credential) -> Result<Secret, KafkaError> {
    match credential.source.read() {
        Ok(anew) => Ok(anew.unwrap_or_else(|| credential.secret.clone())),
        Err(reason) => Err(KafkaError::Setup(format!(
            "the password of Kafka could not be had anew: {} {reason}",
            credential.setting
        ))),
    }
}

fn encrypt(config: &mut ClientConfig, tls: &KafkaTls) {
    config.set("enable.ssl.certificate.verification", "true").set("ssl.endpoint.identification.algorithm", "https");
    if let Some(file) = &tls.ca_file {
        config.set("ssl.ca.location", file.to_string_lossy());
    }
    if let Some(pair) = &tls.identity {
        config
            .set("ssl.certificate.location", pair.cert_file.to_string_lossy())
            .set("ssl.key.location", pair.key_file.to_string_lossy());
    }
}
