//! The consumer's configuration: its own sections of the file that both services share.

use std::path::Path;

use isitup_shared::config::{ConsumerConfig, KafkaConfig, LogConfig, PostgresConfig, Problems, ProducerConfig, load};

use crate::store;

/// What the consumer needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// What is logged, and how.
    pub log: LogConfig,
    /// Where events come from.
    pub kafka: KafkaConfig,
    /// Where results go; `None` where only the console is wanted.
    pub postgres: Option<PostgresConfig>,
    /// The consumer's own settings.
    pub consumer: ConsumerConfig,
}

impl Config {
    /// Reads `file`, where one is given, and the environment. Without `needs_postgres` the section `postgres` may be
    /// missing.
    ///
    /// # Errors
    /// All that is wrong, at once.
    pub(crate) fn read(file: Option<&Path>, needs_postgres: bool) -> Result<Self, Problems> {
        let mut root = load(file)?;
        let log = LogConfig::read(&mut root);
        let kafka = KafkaConfig::read(&mut root);
        let wants_postgres = needs_postgres || root.contains("postgres");
        let postgres = if wants_postgres { PostgresConfig::read(&mut root, store::understand) } else { None };
        let consumer = ConsumerConfig::read(&mut root);
        // Read only so that its mistakes are found here too.
        ProducerConfig::read(&mut root);
        for key in ["defaults", "groups", "domains", "domains_file"] {
            root.skip(key);
        }
        let is_whole = postgres.is_some() || !wants_postgres;
        let config = kafka.filter(|_| is_whole).map(|kafka| Self { log, kafka, postgres, consumer });
        root.finish_root(config)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_the_driver_does_not_know_in_a_url_is_a_mistake_of_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yml");
        for (query, expected) in [
            ("pgbouncer=true", "unknown option `pgbouncer`; correct it, or take it out"),
            ("connect_timeout=soon", "invalid value for option `connect_timeout`; correct it, or take it out"),
        ] {
            let yaml = format!("kafka: {{brokers: [k:9092]}}\npostgres:\n  url: postgres://u:s3cret@h/d?{query}\n");
            fs::write(&file, yaml).unwrap();
            let told = Config::read(Some(&file), true).unwrap_err().to_string();
            assert_eq!(told, format!("{}:3: postgres.url: {expected}", file.display()));
        }
    }
}
