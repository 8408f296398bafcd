//! One tiny file for each mistake, with its exact message.

use std::fs;
use std::path::PathBuf;

use super::layers::load_with;
use super::{ConsumerConfig, KafkaConfig, LogConfig, PostgresConfig, Problems, ProducerConfig, TlsMode};

type All = (LogConfig, KafkaConfig, PostgresConfig, ProducerConfig, ConsumerConfig);

/// Reads `yaml` as `config.yml` with `variables` over it, all sections, and gives the mistakes with the bare file name.
fn read(yaml: &str, variables: &[(&str, &str)]) -> Result<All, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yml");
    fs::write(&path, yaml.replace("DIR", dir.path().to_str().unwrap())).unwrap();
    for (name, text) in [
        ("secret", "0123\n"),
        ("empty", "\n"),
        ("encrypted.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n"),
        ("cert.pem", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"),
        ("key.pem", "-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----\n"),
    ] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let folder = format!("{}/", dir.path().display());
    read_file(Some(path), variables).map_err(|problems| problems.to_string().replace(&folder, ""))
}

fn read_file(path: Option<PathBuf>, variables: &[(&str, &str)]) -> Result<All, Problems> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut root = load_with(path.as_deref(), variables)?;
    let log = LogConfig::read(&mut root);
    let kafka = KafkaConfig::read(&mut root);
    let postgres = PostgresConfig::read(&mut root, |_| Ok(()));
    let producer = ProducerConfig::read(&mut root);
    let consumer = ConsumerConfig::read(&mut root);
    let all = kafka.and_then(|kafka| Some((log, kafka, postgres?, producer, consumer)));
    root.finish_root(all)
}

const WELL: &str = "kafka: {brokers: [k:9092]}\npostgres: {url: postgres://u@h/d}\n";

#[test]
fn each_mistake_is_told_with_file_line_key_value_and_what_is_allowed() {
    let cases = [
        ("kafka: [", "config.yml:2: not YAML: while parsing a node, did not find expected node content"),
        ("- a", "config.yml:1: the file must be a mapping of keys to values, such as `kafka:`"),
        ("log: {level: info}\nlog: {}", "config.yml:2: the key \"log\" stands here twice"),
        (
            "log: {level: loud}",
            "config.yml:3: log.level: \"loud\" is not a log level: off, error, warn, info, debug or trace",
        ),
        ("log: {format: xml}", "config.yml:3: log.format: \"xml\" is not a log format: text or json"),
        ("log: noisy", "config.yml:3: log: \"noisy\" is not a mapping"),
        ("log:\n  colour: red", "config.yml:4: log.colour: unknown key; allowed here: format, level"),
        ("colour: red", "config.yml:3: colour: unknown key; allowed here: consumer, kafka, log, postgres, producer"),
        ("producer: {workers: 0}", "config.yml:3: producer.workers: \"0\": 1 to 10000 is allowed"),
        ("producer: {workers: many}", "config.yml:3: producer.workers: \"many\" is not a whole number"),
        ("producer: {workers: [1]}", "config.yml:3: producer.workers: a list is not a whole number"),
        ("producer: {location: ''}", "config.yml:3: producer.location: \"\": 1 to 256 visible characters are allowed"),
        (
            "producer: {spool: {max_size: 1000}}",
            "config.yml:3: producer.spool.max_size: \"1000\" is not a size: write a number with its unit, such as 512KiB, 1MiB or 1GiB",
        ),
        (
            "producer: {spool: {max_size: 1MiB}}",
            "config.yml:3: producer.spool.max_size: \"1MiB\": the spool needs at least 16MiB",
        ),
        (
            "producer: {listen: here}",
            "config.yml:3: producer.listen: \"here\" is not an address and port to listen on, such as 127.0.0.1:9101",
        ),
        (
            "consumer: {retention: 90}",
            "config.yml:3: consumer.retention: \"90\" is not a duration: write a number with its unit, such as 500ms, 30s, 5m, 12h or 14d",
        ),
        (
            "consumer: {retention: 1h}",
            "config.yml:3: consumer.retention: \"1h\": results are kept by the day: at least 1d",
        ),
        ("consumer: {lease: 1s}", "config.yml:3: consumer.lease: \"1s\": a lease is 2s to 10m"),
    ];
    for (yaml, expected) in cases {
        let whole = if yaml.starts_with("kafka") || yaml.starts_with('-') || yaml.starts_with("log: {level: info}") {
            yaml.to_owned()
        } else {
            format!("{WELL}{yaml}")
        };
        assert_eq!(read(&whole, &[]).unwrap_err(), expected, "{yaml}");
    }
}

#[test]
fn mistakes_in_the_kafka_section() {
    let cases = [
        (
            "{}",
            "config.yml: kafka.brokers: missing: the Kafka brokers to begin with, such as [kafka:9092] (or set ISITUP__KAFKA__BROKERS)",
        ),
        (
            "{brokers: []}",
            "config.yml: kafka.brokers: missing: the Kafka brokers to begin with, such as [kafka:9092] (or set ISITUP__KAFKA__BROKERS)",
        ),
        (
            "{brokers: [kafka]}",
            "config.yml:2: kafka.brokers[0]: \"kafka\" is not a broker's address: write host:port, such as kafka:9092",
        ),
        (
            "{brokers: ['k:1'], topic: a b}",
            "config.yml:2: kafka.topic: \"a b\" is not a topic's name: 1 to 249 of a-z, A-Z, 0-9, dot, underscore and dash",
        ),
        ("{brokers: ['k:1'], format: xml}", "config.yml:2: kafka.format: \"xml\" is not a format: json or avro"),
        (
            "{brokers: ['k:1'], client: java}",
            "config.yml:2: kafka.client: \"java\" is not a Kafka client: kafka-rust or librdkafka",
        ),
        (
            "{brokers: ['k:1'], tls: {ca_file: a}}",
            "config.yml:2: kafka.tls: kafka-rust speaks plaintext only; TLS and SASL need kafka.client: librdkafka",
        ),
        (
            "{brokers: ['k:1'], create_topic: {partitions: 0}}",
            "config.yml:2: kafka.create_topic.partitions: \"0\": 1 to 10000 is allowed",
        ),
    ];
    for (kafka, expected) in cases {
        let yaml = format!("postgres: {{url: postgres://u@h/d}}\nkafka: {kafka}\n");
        assert_eq!(read(&yaml, &[]).unwrap_err(), expected, "{kafka}");
    }
}

#[cfg(not(feature = "librdkafka"))]
#[test]
fn a_build_without_librdkafka_says_so() {
    let yaml = "postgres: {url: postgres://u@h/d}\nkafka: {brokers: ['k:1'], client: librdkafka, tls: {}}\n";
    let expected = "config.yml:2: kafka.client: librdkafka was left out when this program was built; \
                    build it without --no-default-features, or use kafka-rust with a plaintext broker up to 3.9";
    assert_eq!(read(yaml, &[]).unwrap_err(), expected);
}

#[cfg(feature = "librdkafka")]
#[test]
fn mistakes_in_how_librdkafka_is_to_connect() {
    let cases = [
        (
            "sasl: {mechanism: PLAIN, username: u, password: hunter2}",
            "config.yml:2: kafka.sasl: without TLS the password could be read on the way; set kafka.tls too, with its ca_file, or `tls: {}` where the system knows the authority",
        ),
        (
            "tls: {}, sasl: {mechanism: GSSAPI, username: u, password: hunter2}",
            "config.yml:2: kafka.sasl.mechanism: \"GSSAPI\" is not a SASL mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
        ),
        (
            "tls: {}, sasl: {mechanism: PLAIN, username: u}",
            "config.yml: kafka.sasl.password: missing: the password of the Kafka user (or set ISITUP__KAFKA__SASL__PASSWORD)",
        ),
        (
            "tls: {}, sasl: {mechanism: PLAIN, password: hunter2}",
            "config.yml: kafka.sasl.username: missing: the name of the Kafka user (or set ISITUP__KAFKA__SASL__USERNAME)",
        ),
        (
            "tls: {ca_file: none.pem}",
            "config.yml:2: kafka.tls.ca_file: \"none.pem\" cannot be read: No such file or directory (os error 2)",
        ),
        (
            "tls: {ca_file: secret}",
            "config.yml:2: kafka.tls.ca_file: \"secret\" holds no certificate: it must have lines from BEGIN CERTIFICATE to END CERTIFICATE",
        ),
        (
            "tls: {cert_file: cert.pem}",
            "config.yml:2: kafka.tls.cert_file: needs key_file beside it: a certificate is of use with its key only",
        ),
        (
            "tls: {key_file: key.pem}",
            "config.yml:2: kafka.tls.key_file: needs cert_file beside it: a certificate is of use with its key only",
        ),
        (
            "tls: {cert_file: cert.pem, key_file: cert.pem}",
            "config.yml:2: kafka.tls.key_file: \"cert.pem\" holds no private key: it must have lines from BEGIN PRIVATE KEY to END",
        ),
        (
            "tls: {cert_file: cert.pem, key_file: encrypted.pem}",
            "config.yml:2: kafka.tls.key_file: \"encrypted.pem\" holds a private key that is encrypted, and no password for it can be given: take the encryption off (openssl pkey), and close the file to others instead",
        ),
        (
            "tls: {verify: no}",
            "config.yml:2: kafka.tls.verify: unknown key; allowed here: ca_file, cert_file, key_file",
        ),
    ];
    for (keys, expected) in cases {
        let yaml =
            format!("postgres: {{url: postgres://u@h/d}}\nkafka: {{brokers: ['k:1'], client: librdkafka, {keys}}}\n");
        assert_eq!(read(&yaml, &[]).unwrap_err(), expected, "{keys}");
    }
}

#[cfg(feature = "librdkafka")]
#[test]
fn the_way_to_kafka_is_plaintext_tls_or_sasl_within_tls() {
    use super::{Credential, KafkaClient, KafkaTls, KeyPairFiles, Mechanism, Sasl, SecretSource, Security};
    use crate::secret::Secret;
    let client = |keys: &str| {
        let yaml =
            format!("postgres: {{url: postgres://u@h/d}}\nkafka: {{brokers: ['k:1'], client: librdkafka{keys}}}\n");
        let KafkaClient::Librdkafka(security) = read(&yaml, &[]).unwrap().1.client else { panic!("another client") };
        security
    };
    assert_eq!(client(""), Security::Plaintext);
    assert_eq!(client(", tls: {}"), Security::Tls(KafkaTls::default()));
    let with_pair = client(", tls: {cert_file: cert.pem, key_file: key.pem}");
    let Security::Tls(KafkaTls { ca_file: None, identity: Some(KeyPairFiles { cert_file, key_file }) }) = with_pair
    else {
        panic!("{with_pair:?}")
    };
    assert!(cert_file.ends_with("cert.pem") && key_file.ends_with("key.pem"));
    let sasl = client(", tls: {}, sasl: {mechanism: SCRAM-SHA-512, username: u, password: '0123'}");
    let password =
        Credential { secret: Secret::new("0123"), setting: "kafka.sasl.password".into(), source: SecretSource::Given };
    let expected = Sasl { mechanism: Mechanism::ScramSha512, username: "u".into(), password };
    assert_eq!(sasl, Security::Sasl(KafkaTls::default(), expected));
}

#[test]
fn mistakes_in_the_postgres_section_never_echo_a_password() {
    let cases = [
        (
            "{}",
            "config.yml: postgres.url: missing: where the results are stored, such as postgres://isitup@postgres:5432/isitup (or set ISITUP__POSTGRES__URL)",
        ),
        (
            "{url: 'mysql://u:hunter2@h/d'}",
            "config.yml:2: postgres.url: the value (not shown) is not a PostgreSQL URL, such as postgres://isitup@postgres:5432/isitup",
        ),
        (
            "{url: postgres://h/d, schema: No}",
            "config.yml:2: postgres.schema: \"No\" is not a schema's name: a-z or _, then up to 62 of a-z, 0-9 and _",
        ),
        (
            "{url: postgres://h/d, password: hunter2, password_file: f}",
            "config.yml:2: postgres.password: stands beside password_file; keep one of the two",
        ),
        (
            "{url: postgres://h/d, password_file: DIR/none}",
            "config.yml:2: postgres.password_file: \"none\" cannot be read: No such file or directory (os error 2)",
        ),
        (
            "{url: postgres://h/d, password_file: f, password_command: f}",
            "config.yml:2: postgres.password_file: stands beside password_command; keep one of the two",
        ),
        (
            "{url: 'postgres://u:hunter2@h/d', password_file: f}",
            "config.yml:2: postgres.password_file: stands beside the password in postgres.url; keep one of the two",
        ),
        (
            "{url: postgres://h/d, password_command: 'echo hunter2; echo sealed >&2; exit 7'}",
            "config.yml:2: postgres.password_command: the command failed (exit status: 7): sealed",
        ),
        (
            "{url: postgres://h/d, password_command: [no-such-program, hunter2]}",
            "config.yml:2: postgres.password_command: the command \"no-such-program\" cannot be run: No such file or directory (os error 2)",
        ),
        (
            "{url: postgres://h/d, password_command: {a: b}}",
            "config.yml:2: postgres.password_command: is no command: a text for the shell, or a list of a program and its arguments",
        ),
        (
            "{url: postgres://h/d, tls: {mode: prefer}}",
            "config.yml:2: postgres.tls.mode: \"prefer\" is not a mode: disable, require, verify-ca or verify-full (prefer and allow protect from nobody who can change what passes)",
        ),
        (
            "{url: 'postgres://h/d?sslmode=allow'}",
            "config.yml:2: postgres.url: sslmode: \"allow\" is not a mode: disable, require, verify-ca or verify-full (prefer and allow protect from nobody who can change what passes)",
        ),
        (
            "{url: postgres://h/d, password_file: empty}",
            "config.yml:2: postgres.password_file: \"empty\" is empty: put the secret there, or take this setting out",
        ),
        (
            "{url: 'postgres://h/d?sslmode=disable', tls: {mode: verify-full}}",
            "config.yml:2: postgres.tls.mode: \"verify-full\" contradicts sslmode=disable in postgres.url; keep one of the two",
        ),
        (
            "{url: 'postgres://h/d?sslrootcert=a', tls: {ca_file: b}}",
            "config.yml:2: postgres.tls.ca_file: \"b\" contradicts sslrootcert=a in postgres.url; keep one of the two",
        ),
        (
            "{url: 'postgres://h/d?sslrootcert=none'}",
            "config.yml:2: postgres.url: sslrootcert: \"none\": cannot be read: No such file or directory (os error 2)",
        ),
        (
            "{url: postgres://h/d, tls: {mode: verify-ca}}",
            "config.yml:2: postgres.tls.mode: \"verify-ca\" without a ca_file would trust whomever a public authority knows, under any name: set ca_file, or verify-full",
        ),
        (
            "{url: postgres://%2Ftmp/d, tls: {mode: require}}",
            "config.yml:2: postgres.tls.mode: a Unix socket in postgres.url carries no TLS; take this out",
        ),
        (
            "{url: 'postgres://%2Ftmp,db.example/d'}",
            "config.yml:2: postgres.url: a Unix socket carries no TLS, which a server elsewhere takes: name one of the two, or set postgres.tls.mode to disable",
        ),
        (
            "{url: postgres://h/d, tls: {cert: a}}",
            "config.yml:2: postgres.tls.cert: unknown key; allowed here: ca_file, cert_file, key_file, mode",
        ),
    ];
    for (postgres, expected) in cases {
        let yaml = format!("kafka: {{brokers: ['k:1']}}\npostgres: {postgres}\n");
        assert_eq!(read(&yaml, &[]).unwrap_err(), expected, "{postgres}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once_in_the_order_of_the_file() {
    let yaml = "log: {level: loud}\nproducer: {workers: 0}\nkafka: {brokers: [k]}\n";
    let problems = read(yaml, &[("ISITUP__CONSUMER__LEASE", "soon")]).unwrap_err();
    let keys: Vec<&str> = problems.lines().filter_map(|line| line.split(": ").nth(1)).collect();
    assert_eq!(keys, ["postgres.url", "consumer.lease", "log.level", "producer.workers", "kafka.brokers[0]"]);
}

#[test]
fn the_environment_overrides_the_file_and_is_named_in_mistakes() {
    let (_, kafka, ..) = read(WELL, &[("ISITUP__KAFKA__BROKERS", "a:1, b:2")]).unwrap();
    assert_eq!(kafka.brokers, ["a:1", "b:2"]);
    let wrong = read(WELL, &[("ISITUP__PRODUCER__WORKERS", "many"), ("ISITUP__KAFKA__BROKRES", "a:1")]).unwrap_err();
    let expected = "ISITUP__PRODUCER__WORKERS: producer.workers: \"many\" is not a whole number\n\
                    ISITUP__KAFKA__BROKRES: kafka.brokres: unknown key; allowed here: brokers, client, create_topic, format, topic";
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&wrong), sorted(expected));
}

#[test]
fn a_configuration_wholly_from_the_environment_needs_no_file() {
    let variables = [("ISITUP__KAFKA__BROKERS", "k:9092"), ("ISITUP__POSTGRES__URL", "postgres://u:p%40ss+@h/d")];
    let (_, kafka, postgres, ..) = read_file(None, &variables).unwrap();
    assert_eq!(kafka.brokers, ["k:9092"]);
    assert_eq!(postgres.password.unwrap().secret.expose(), "p@ss+");
    assert_eq!(postgres.url.as_str(), "postgres://u@h/d");
    let variables = [
        ("ISITUP__KAFKA__BROKERS", "k:9092"),
        ("ISITUP__POSTGRES__URL", "postgres://u:p@a,b:5433,[::1]/d?target_session_attrs=read-write"),
    ];
    let (_, _, several, ..) = read_file(None, &variables).unwrap();
    let read = "postgres://u@a:5432/d?target_session_attrs=read-write&host=b&port=5433&host=%3A%3A1&port=5432";
    assert_eq!(several.url.as_str(), read);
    let here = [variables[0], ("ISITUP__POSTGRES__URL", "postgres://u@%2Ftmp,localhost/d")];
    assert_eq!(read_file(None, &here).unwrap().2.tls.mode, TlsMode::Disable);
    let missing = read_file(None, &variables[..1]).unwrap_err().to_string();
    assert_eq!(
        missing,
        "ISITUP__POSTGRES__URL: postgres.url: missing: where the results are stored, such as postgres://isitup@postgres:5432/isitup"
    );
}

#[test]
fn numeric_looking_secrets_survive_as_typed() {
    for typed in ["0123", "1e5", "0x10", "1_000", "true", "~x"] {
        let yaml = format!("kafka: {{brokers: ['k:1']}}\npostgres:\n  url: postgres://u@h/d\n  password: {typed}\n");
        let (_, _, postgres, ..) = read(&yaml, &[]).unwrap();
        assert_eq!(postgres.password.unwrap().secret.expose(), typed);
        let (_, _, postgres, ..) = read(WELL, &[("ISITUP__POSTGRES__PASSWORD", typed)]).unwrap();
        assert_eq!(postgres.password.unwrap().secret.expose(), typed);
    }
    for file in ["DIR/secret", "secret"] {
        let yaml = format!("kafka: {{brokers: ['k:1']}}\npostgres: {{url: postgres://u@h/d, password_file: {file}}}\n");
        assert_eq!(read(&yaml, &[]).unwrap().2.password.unwrap().secret.expose(), "0123");
    }
    let yaml = "kafka: {brokers: ['k:1']}\npostgres: {url: postgres://u@h/d, password_file: secret}\n";
    let overridden = read(yaml, &[("ISITUP__POSTGRES__PASSWORD", "env")]).unwrap();
    assert_eq!(overridden.2.password.unwrap().secret.expose(), "env");
}

#[test]
fn a_secret_may_be_what_a_command_prints_in_the_configurations_folder() {
    for command in ["[cat, secret]", "cat secret | head -1", "'[ -f secret ] && echo 0123; echo more'"] {
        let yaml =
            format!("kafka: {{brokers: ['k:1']}}\npostgres:\n  url: postgres://u@h/d\n  password_command: {command}\n");
        let password = read(&yaml, &[]).unwrap().2.password.unwrap();
        assert_eq!((password.secret.expose(), &*password.setting), ("0123", "postgres.password_command"), "{command}");
    }
    let (_, _, postgres, ..) = read(WELL, &[("ISITUP__POSTGRES__PASSWORD_COMMAND", "echo a, b")]).unwrap();
    let password = postgres.password.unwrap();
    assert_eq!(password.secret.expose(), "a, b", "no list is made of it");
    assert_eq!(password.source.read().unwrap().unwrap(), password.secret, "it can be had anew");
}

#[test]
fn a_password_in_the_environments_url_wins_over_the_files_password_file() {
    let yaml = "kafka: {brokers: ['k:1']}\npostgres: {url: postgres://u@h/d, password_file: secret}\n";
    let (_, _, postgres, ..) = read(yaml, &[("ISITUP__POSTGRES__URL", "postgres://u:env@h/d")]).unwrap();
    assert_eq!(postgres.password.unwrap().secret.expose(), "env");
    let (_, _, postgres, ..) =
        read(yaml, &[("ISITUP__POSTGRES__URL", "postgres://other@h/d?password=e%20nv+")]).unwrap();
    assert_eq!((postgres.password.unwrap().secret.expose(), postgres.url.as_str()), ("e nv+", "postgres://other@h/d"));
}

#[test]
fn what_a_url_says_of_user_and_password_may_have_signs_of_a_query() {
    let url = "postgres://u&v:a&b=c+d%26@h/d";
    let (_, _, postgres, ..) = read(WELL, &[("ISITUP__POSTGRES__URL", url)]).unwrap();
    let password = postgres.password.as_ref().unwrap().secret.expose();
    assert_eq!((postgres.user().as_deref(), password), (Some("u&v"), "a&b=c+d&"));
}

#[test]
fn tls_to_another_server_for_the_same_database_follows_from_where_that_one_is() {
    let mode = |postgres: &str, url: &str| {
        let yaml = format!("kafka: {{brokers: ['k:1']}}\npostgres: {postgres}\n");
        read(&yaml, &[]).unwrap().2.with_url(url).unwrap().tls.mode
    };
    let (pooler, far) = ("{url: postgres://u@127.0.0.1:6432/d}", "postgres://admin@db.example/postgres");
    assert_eq!(mode(pooler, far), TlsMode::VerifyFull, "a pooler on this machine says nothing of the server");
    assert_eq!(mode(pooler, "postgres://admin@localhost/postgres"), TlsMode::Disable);
    assert_eq!(mode("{url: postgres://u@h/d}", "postgres://admin@localhost/postgres"), TlsMode::Disable);
    assert_eq!(mode("{url: postgres://u@h/d, tls: {mode: require}}", far), TlsMode::Require, "somebody said so");
    assert_eq!(mode(pooler, &format!("{far}?sslmode=disable")), TlsMode::Disable);
}

#[test]
fn where_health_is_served_is_read_whatever_else_is_wrong_and_runs_no_command() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yml");
    let listen = |yaml: &str| {
        fs::write(&path, yaml).unwrap();
        let told = |problems: Problems| problems.to_string();
        let consumer = ConsumerConfig::read_listen(Some(&path)).map_err(told);
        (ProducerConfig::read_listen(Some(&path)).map_err(told), consumer)
    };
    let yaml = "unknown: 1\nkafka: {brokers: nonsense}\nproducer: {workers: 0, listen: '0.0.0.0:1'}\n\
                postgres: {url: x, password_command: touch ran}\ndomains: [nonsense://]\n";
    let (producer, consumer) = listen(yaml);
    assert_eq!(producer.unwrap(), "0.0.0.0:1".parse().unwrap());
    assert_eq!(consumer.unwrap(), "127.0.0.1:9102".parse().unwrap());
    assert!(!dir.path().join("ran").exists());
    let wrong = listen("consumer: {listen: here}\n").1.unwrap_err();
    assert!(
        wrong.ends_with(
            "config.yml:1: consumer.listen: \"here\" is not an address and port to listen on, such as 127.0.0.1:9101"
        ),
        "{wrong}"
    );
}

#[test]
fn only_a_command_that_failed_may_be_well_again_by_itself() {
    let problems = |postgres: &str| {
        let variables = [("ISITUP__KAFKA__BROKERS", "k:1"), ("ISITUP__POSTGRES__URL", "postgres://u@h/d")];
        let variables = [variables[0], variables[1], ("ISITUP__POSTGRES__PASSWORD_COMMAND", postgres)];
        read_file(None, &variables).unwrap_err()
    };
    assert!(problems("exit 5").are_passing());
    let yaml = "kafka: {brokers: ['k:1'], nonsense: 1}\npostgres: {url: postgres://u@h/d, password_command: exit 5}\n";
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.yml"), yaml).unwrap();
    let both = read_file(Some(dir.path().join("config.yml")), &[]).unwrap_err();
    assert!(both.0.len() == 2 && !both.are_passing(), "{both}");
}

#[test]
fn tls_follows_from_the_section_the_url_or_where_the_server_is() {
    for (postgres, mode, is_default) in [
        ("{url: postgres://db.example/d}", TlsMode::VerifyFull, true),
        ("{url: postgres://localhost/d}", TlsMode::Disable, true),
        ("{url: 'postgres://127.0.0.1:5433/d'}", TlsMode::Disable, true),
        ("{url: 'postgres://[::1]/d'}", TlsMode::Disable, true),
        ("{url: 'postgres://%2Frun%2Fpostgresql/d'}", TlsMode::Disable, true),
        ("{url: 'postgres://localhost,db.example/d'}", TlsMode::VerifyFull, true),
        ("{url: 'postgres://localhost/d?hostaddr=192.0.2.1'}", TlsMode::VerifyFull, true),
        ("{url: 'postgres://localhost/d?sslmode=require'}", TlsMode::Require, false),
        ("{url: 'postgres://localhost/d?sslrootcert=system'}", TlsMode::VerifyFull, false),
        ("{url: 'postgres://h/d?sslmode=disable', tls: {mode: disable}}", TlsMode::Disable, false),
        ("{url: 'postgres://h/d?sslmode=require', tls: {mode: verify-full}}", TlsMode::VerifyFull, false),
        ("{url: 'postgres://h/d?sslmode=verify-full', tls: {mode: require}}", TlsMode::VerifyFull, false),
        ("{url: postgres://h/d, tls: {mode: disable, ca_file: none}}", TlsMode::Disable, false),
    ] {
        let yaml = format!("kafka: {{brokers: ['k:1']}}\npostgres: {postgres}\n");
        let tls = read(&yaml, &[]).unwrap().2.tls;
        assert_eq!((tls.mode, tls.is_default), (mode, is_default), "{postgres}");
    }
    let yaml = "kafka: {brokers: ['k:1']}\npostgres: {tls: {mode: verify-full}}\n";
    let in_environment = read(yaml, &[("ISITUP__POSTGRES__URL", "postgres://h/d?sslmode=disable")]).unwrap_err();
    assert!(
        in_environment
            .ends_with("contradicts sslmode=disable in postgres.url from the environment; keep one of the two"),
        "{in_environment}"
    );
    let url = "postgres://h/d?options=-c%20a=b+c&sslmode=require&connect_timeout=3";
    let (_, _, postgres, ..) = read(WELL, &[("ISITUP__POSTGRES__URL", url)]).unwrap();
    assert_eq!(postgres.url.as_str(), "postgres://h/d?options=-c%20a=b+c&connect_timeout=3", "the rest is as written");
}

#[test]
fn anchors_and_merge_keys_work_and_alias_bombs_are_refused() {
    let yaml = format!("{WELL}producer: &p {{workers: 7}}\n");
    assert_eq!(read(&yaml, &[]).unwrap().3.workers, 7);
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for i in 1..12 {
        let row = format!("*a{}, ", i - 1).repeat(10);
        bomb.push_str(&format!("a{i}: &a{i} [{row}]\n"));
    }
    assert!(read(&bomb, &[]).unwrap_err().ends_with("aliases unfold to too many values"));
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(10_000), "*a, ".repeat(1000));
    assert!(read(&long, &[]).unwrap_err().ends_with("aliases unfold to too many values"));
}

#[test]
fn thousands_of_mappings_that_share_one_by_an_alias_are_no_bomb() {
    let shared = "x: &x {a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7}\n";
    let list: String = (0..50_000).map(|i| format!("  - {{<<: *x, name: n{i}, y: *x}}\n")).collect();
    let told = read(&format!("{WELL}{shared}list:\n{list}"), &[]).unwrap_err();
    assert!(told.starts_with("config.yml:3: x: unknown key"), "{}", &told[..200]);
}
