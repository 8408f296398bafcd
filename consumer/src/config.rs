//! The consumer's configuration: its own sections of the file that both services share.

use std::path::Path;

use isitup_shared::config::{
    ConsumerConfig, KafkaConfig, LogConfig, PostgresConfig, Problems, Service, Sources, Whole, load,
};

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
    /// What was read beside the file, for who else may read or change it.
    pub sources: Sources,
}

/// How much of a configuration a command reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it, the form of the producer's sections too: what `run` and `check-config` answer for.
    Whole,
    /// What the consumer is told: a mistake in a list of sites must not keep anybody from asking what is stored.
    Own,
}

impl Config {
    /// Reads `file`, where one is given, and the environment. Without `needs_postgres` the section `postgres` may be
    /// missing.
    ///
    /// # Errors
    /// All that is wrong, at once.
    pub(crate) fn read(file: Option<&Path>, needs_postgres: bool, extent: Extent) -> Result<Self, Problems> {
        if extent == Extent::Own {
            return Self::read_own(file, needs_postgres);
        }
        let whole = Whole::load(file, Service::Consumer { needs_postgres })?;
        let Whole { log, kafka, postgres, consumer, sources, .. } = whole;
        Ok(Self { log, kafka, postgres, consumer, sources })
    }

    fn read_own(file: Option<&Path>, needs_postgres: bool) -> Result<Self, Problems> {
        let mut root = load(file)?;
        let log = LogConfig::read(&mut root);
        let kafka = KafkaConfig::read(&mut root);
        let wants_postgres = needs_postgres || root.contains("postgres");
        let postgres = PostgresConfig::read(&mut root, wants_postgres);
        let consumer = ConsumerConfig::read(&mut root);
        for key in ["producer", "defaults", "groups", "domains", "domains_file"] {
            root.skip(key);
        }
        let sources = root.sources();
        let is_whole = postgres.is_some() || !wants_postgres;
        let config = kafka.filter(|_| is_whole).map(|kafka| Self { log, kafka, postgres, consumer, sources });
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
            let told = Config::read(Some(&file), true, Extent::Own).unwrap_err().to_string();
            assert_eq!(told, format!("{}:3: postgres.url: {expected}", file.display()));
        }
    }

    #[test]
    fn the_form_of_a_url_is_what_the_driver_takes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yml");
        let values = [
            "",
            "0",
            "1",
            "-1",
            "65535",
            "65536",
            "x",
            "any",
            "read-write",
            "read-only",
            "primary",
            "disable",
            "prefer",
            "require",
            "random",
            "direct",
            "postgres",
            "1,2",
            "127.0.0.1",
            "127.0.0.1,::1",
            "h",
            "%FF",
            "a%26b",
        ];
        let names = [
            "user",
            "password",
            "dbname",
            "options",
            "application_name",
            "host",
            "hostaddr",
            "port",
            "connect_timeout",
            "tcp_user_timeout",
            "keepalives",
            "keepalives_idle",
            "keepalives_interval",
            "keepalives_retries",
            "target_session_attrs",
            "channel_binding",
            "load_balance_hosts",
            "sslnegotiation",
            "pgbouncer",
            "service",
            "a%FF",
        ];
        let of_options = names.iter().flat_map(|name| values.iter().map(move |value| format!("u@h/d?{name}={value}")));
        let others = [
            "h/d",
            "u@h/d?a",
            "u@h/d?connect_timeout=1&",
            "u@h/d?connect_timeout=1&&port=1",
            "h/d?application_name=a@b",
            "u%FF@h/d",
            "u@h/%FF",
            "u:p%FF@h/d",
            "u@h:1/d",
            "u@[::1]/d",
            "u@h/d?",
            "u@h",
        ];
        for rest in of_options.chain(others.map(str::to_owned)) {
            let yaml = format!(
                "kafka: {{brokers: [k:9092]}}\npostgres: {{url: 'postgres://{rest}', tls: {{mode: disable}}}}\n"
            );
            fs::write(&file, yaml).unwrap();
            let read = Config::read(Some(&file), true, Extent::Own);
            let by_driver = format!("postgres://{rest}").parse::<postgres::Config>();
            // Of these the password and what is said of TLS are taken out before, and an @ that is no user's is refused.
            let is_ours = rest.contains("password=") || rest.contains("a@b");
            assert!(is_ours || read.is_ok() == by_driver.is_ok(), "{rest}: {read:?}, {by_driver:?}");
        }
    }
}
