//! Both Kafkas with all their listeners, told by a client that can speak to them.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as the tests do")]

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use isitup_dev::{Operation, Resource, Stack, StackOptions, kafka_password};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientContext, Message};

const PROGRAM: &str = env!("CARGO_BIN_EXE_isitup-dev");
const LIMIT: Duration = Duration::from_secs(60);

fn start(options: StackOptions) -> Stack {
    let only = vec!["kafka".to_owned()];
    Stack::start_with(Path::new(PROGRAM), &StackOptions { only, ..options }).unwrap()
}

fn client(address: &str, settings: &[(&str, String)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address).set("log_level", "0");
    for (key, value) in settings {
        config.set(*key, value);
    }
    config
}

/// Settings for TLS by the stack's authority, and by this certificate and key.
fn tls(stack: &Stack, identity: &[&str]) -> Vec<(&'static str, String)> {
    let file = |name: &str| stack.certificate(name).display().to_string();
    let mut settings = vec![("security.protocol", "ssl".to_owned()), ("ssl.ca.location", file("ca.pem"))];
    if let [certificate, key] = identity {
        settings.extend([("ssl.certificate.location", file(certificate)), ("ssl.key.location", file(key))]);
    }
    settings
}

/// Settings for a password over TLS.
fn sasl(stack: &Stack, mechanism: &str, user: &str, password: &str) -> Vec<(&'static str, String)> {
    let mut settings = tls(stack, &[]);
    settings[0].1 = "sasl_ssl".to_owned();
    let own = [("sasl.mechanism", mechanism), ("sasl.username", user), ("sasl.password", password)];
    settings.extend(own.map(|(key, value)| (key, value.to_owned())));
    settings
}

/// Asks the broker for its metadata until it answers or the patience ends.
fn is_let_in(address: &str, settings: &[(&str, String)]) -> bool {
    let consumer: BaseConsumer = client(address, settings).create().unwrap();
    consumer.fetch_metadata(None, Duration::from_secs(3)).is_ok()
}

/// What became of the one record.
#[derive(Default)]
struct Told(std::sync::Mutex<Option<Result<(), KafkaError>>>);

impl ClientContext for Told {}

impl ProducerContext for Told {
    type DeliveryOpaque = ();

    fn delivery(&self, delivered: &DeliveryResult<'_>, (): ()) {
        let result = delivered.as_ref().map(|_| ()).map_err(|(error, _)| error.clone());
        *self.0.lock().unwrap() = Some(result);
    }
}

/// Sends one record to `topic` and says what became of it.
fn send(address: &str, settings: &[(&str, String)], topic: &str) -> Result<(), KafkaError> {
    let mut config = client(address, settings);
    config.set("message.timeout.ms", "30000");
    let producer: BaseProducer<Told> = config.create_with_context(Told::default()).unwrap();
    producer.send(BaseRecord::to(topic).key("k").payload("hello")).unwrap();
    let _ = producer.flush(LIMIT);
    producer.context().0.lock().unwrap().take().unwrap()
}

/// The values of a topic's first partition that has any.
fn read(address: &str, topic: &str) -> Vec<Vec<u8>> {
    let consumer: BaseConsumer =
        client(address, &[("group.id", "any".to_owned()), ("auto.offset.reset", "earliest".to_owned())])
            .create()
            .unwrap();
    let mut all = rdkafka::TopicPartitionList::new();
    (0..6).for_each(|partition| drop(all.add_partition_offset(topic, partition, rdkafka::Offset::Beginning)));
    consumer.assign(&all).unwrap();
    let until = Instant::now() + LIMIT;
    while Instant::now() < until {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            return vec![message.payload().unwrap().to_vec()];
        }
    }
    Vec::new()
}

fn whom_each_listener_lets_in(stack: &Stack) {
    let at = |name: &str| stack.listener(name)[0].as_str();
    let password = kafka_password("isitup");
    send(at("tls"), &tls(stack, &[]), "tls").unwrap();
    send(at("mtls"), &tls(stack, &["service.cert", "service.key"]), "mtls").unwrap();
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        send(at("sasl"), &sasl(stack, mechanism, "isitup", &password), "sasl").unwrap();
    }
    send(at("scram"), &sasl(stack, "SCRAM-SHA-512", "isitup", &password), "scram").unwrap();
    assert_eq!(read(stack.kafka(), "mtls"), [b"hello"]);

    let wrong = |mechanism| ("sasl", sasl(stack, mechanism, "isitup", "wrong"));
    let strangers = [
        wrong("PLAIN"),
        wrong("SCRAM-SHA-256"),
        wrong("SCRAM-SHA-512"),
        ("scram", sasl(stack, "PLAIN", "isitup", &password)),
        ("mtls", tls(stack, &[])),
        ("mtls", tls(stack, &["foreign.cert", "foreign.key"])),
        ("mtls", tls(stack, &["expired.cert", "expired.key"])),
        ("expired", tls(stack, &[])),
        ("misnamed", tls(stack, &[])),
    ];
    thread::scope(|scope| {
        for (listener, settings) in &strangers {
            scope.spawn(move || assert!(!is_let_in(at(listener), settings), "{listener}: {settings:?}"));
        }
    });
}

fn what_is_granted_may_be_done(stack: &Stack) {
    let settings = tls(stack, &["limited.cert", "limited.key"]);
    let may_send = || send(&stack.listener("mtls")[0], &settings, "granted").is_ok();
    assert!(!may_send());
    let (topic, rights) = (Resource::Topic("granted"), [Operation::Write, Operation::Create]);
    stack.allow("limited", topic, &rights).unwrap();
    eventually("it may", may_send);
    stack.disallow("limited", topic, &rights).unwrap();
    eventually("it may no longer", || !may_send());
}

#[test]
fn kafka_4_lets_in_whom_it_should_to_do_what_was_granted() {
    let stack = start(StackOptions { is_kafka_4: true, is_secured: true, ..StackOptions::default() });
    whom_each_listener_lets_in(&stack);
    what_is_granted_may_be_done(&stack);
}

#[test]
fn kafka_on_zookeeper_lets_in_whom_it_should_to_do_what_was_granted() {
    let stack = start(StackOptions { is_secured: true, ..StackOptions::default() });
    whom_each_listener_lets_in(&stack);
    what_is_granted_may_be_done(&stack);
}

#[test]
fn any_broker_of_kafka_4_may_die_and_comes_back_with_its_data() {
    let stack = start(StackOptions { is_kafka_4: true, brokers: 3, ..StackOptions::default() });
    send(stack.kafka(), &[], "kept").unwrap();
    for (part, number) in [("kafka", 1), ("kafka-2", 2), ("kafka-3", 3)] {
        stack.kill(part).unwrap();
        let other = &stack.brokers()[number % 3];
        eventually("the others have it still", || send(other, &[], "kept").is_ok());
        stack.start_part(part).unwrap();
    }
    stack.restart("controller").unwrap();
    assert_eq!(read(stack.kafka(), "kept"), [b"hello"]);
    let error = stack.stop("zookeeper").unwrap_err().to_string();
    assert!(error.ends_with("there are kafka, kafka-2, kafka-3, controller"), "{error}");
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < until, "not so after 30 s: {what}");
    }
}
