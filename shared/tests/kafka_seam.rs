//! The Kafka seam against loopback servers that misbehave: what is no Kafka is named and not waited for, and a broker's
//! odd answers never count as acknowledgements.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a failed step may well end it, in its helpers too")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use isitup_shared::config::{Format, KafkaClient, KafkaConfig, TopicShape};
use isitup_shared::kafka::{Delivery, KafkaError, Record, Sender, receiver, sender};

const TOPIC: &str = "checks";
/// Far above what any of these takes, far below the kafka crate's own 120 s.
const DEADLINE: Duration = Duration::from_secs(30);

const PRODUCE: i16 = 0;
const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;

/// What a server does with a request.
enum Answer {
    /// Sends this after the size and the correlation id.
    Body(Vec<u8>),
    /// Sends just this.
    Raw(Vec<u8>),
    /// Closes the connection.
    Close,
    /// Says nothing.
    Silence,
}

/// A loopback server; it answers each request, of whatever connection, by what `answer` makes of its API key and
/// the server's own port.
fn serve(answer: impl Fn(i16, u16) -> Answer + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), Arc::clone(&answer));
            thread::spawn(move || while step(&mut stream, address.port(), &*answer).is_some() {});
        }
    });
    address.to_string()
}

/// Serves one request; `None` ends the connection.
fn step(stream: &mut TcpStream, port: u16, answer: &(impl Fn(i16, u16) -> Answer + ?Sized)) -> Option<()> {
    let mut size = [0; 4];
    stream.read_exact(&mut size).ok()?;
    let mut request = vec![0; usize::try_from(u32::from_be_bytes(size)).unwrap()];
    stream.read_exact(&mut request).ok()?;
    let api = i16::from_be_bytes([request[0], request[1]]);
    match answer(api, port) {
        Answer::Body(body) => {
            let size = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
            stream.write_all(&[&size, &request[4..8], &body].concat()).ok()
        }
        Answer::Raw(bytes) => stream.write_all(&bytes).ok().and(None),
        Answer::Close => None,
        // Until the other side gives up.
        Answer::Silence => Some(()),
    }
}

fn text(text: &str) -> Vec<u8> {
    [&i16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

/// An `ApiVersions` answer that lists these APIs with their lowest version.
fn api_versions(apis: &[(i16, i16)]) -> Answer {
    let list = apis.iter().flat_map(|(api, lowest)| [*api, *lowest, 20]).flat_map(i16::to_be_bytes);
    Answer::Body([0, 0].into_iter().chain(i32::try_from(apis.len()).unwrap().to_be_bytes()).chain(list).collect())
}

fn old_kafka() -> Answer {
    api_versions(&[(0, 0), (1, 0), (2, 0), (3, 0)])
}

/// A metadata answer: one broker on `port`, and the topic with `partitions` partitions that it leads.
fn metadata(port: u16, partitions: i32) -> Answer {
    let mut body =
        [&1_i32.to_be_bytes()[..], &7_i32.to_be_bytes(), &text("127.0.0.1"), &i32::from(port).to_be_bytes()].concat();
    body.extend([&1_i32.to_be_bytes()[..], &[0, 0], &text(TOPIC), &partitions.to_be_bytes()].concat());
    for partition in 0..partitions {
        body.extend([&[0, 0][..], &partition.to_be_bytes(), &7_i32.to_be_bytes(), &[0; 8]].concat());
    }
    Answer::Body(body)
}

/// A produce answer with these partitions and codes.
fn produced(partitions: &[(i32, i16)]) -> Answer {
    let count = i32::try_from(partitions.len()).unwrap();
    let mut body = [&1_i32.to_be_bytes()[..], &text(TOPIC), &count.to_be_bytes()].concat();
    for (partition, code) in partitions {
        body.extend([&partition.to_be_bytes()[..], &code.to_be_bytes(), &0_i64.to_be_bytes()].concat());
    }
    Answer::Body(body)
}

/// A broker of the topic with two partitions whose nth produce is answered by `produce(n)`, n from 0.
fn broker(produce: impl Fn(usize) -> Answer + Send + Sync + 'static) -> String {
    let produces = AtomicUsize::new(0);
    serve(move |api, port| match api {
        API_VERSIONS => old_kafka(),
        METADATA => metadata(port, 2),
        PRODUCE => produce(produces.fetch_add(1, Ordering::SeqCst)),
        _ => Answer::Close,
    })
}

fn config(brokers: &[&str]) -> KafkaConfig {
    KafkaConfig {
        client: KafkaClient::KafkaRust,
        brokers: brokers.iter().map(|&broker| broker.to_owned()).collect(),
        topic: TOPIC.to_owned(),
        format: Format::Json,
        create_topic: TopicShape::default(),
    }
}

/// Why the broker at `address` cannot be used, told well before the deadline and to both sides.
fn why_unusable(address: &str) -> String {
    let start = Instant::now();
    let error = sender(&config(&[address])).partition_count(TOPIC).unwrap_err();
    assert_eq!(receiver(&config(&[address])).offsets(TOPIC).unwrap_err().to_string(), error.to_string());
    assert!(start.elapsed() < DEADLINE, "took {:?}", start.elapsed());
    assert!(matches!(error, KafkaError::Unreachable { .. }), "{error:?}");
    error.to_string()
}

/// A record for partition 0 and one for partition 1.
fn send_two(to: &mut dyn Sender) -> Delivery {
    to.send(TOPIC, &[Record { partition: 0, key: b"a", value: b"x" }, Record { partition: 1, key: b"b", value: b"y" }])
}

#[test]
fn an_http_server_is_named() {
    let http = serve(|_, _| Answer::Raw(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".to_vec()));
    let why = why_unusable(&http);
    assert!(why.contains(&http) && why.contains("HTTP"), "{why}");
}

#[test]
fn a_tls_port_is_named_although_its_alert_is_short() {
    let tls = serve(|_, _| Answer::Raw(vec![0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x50]));
    let why = why_unusable(&tls);
    assert!(why.contains("TLS") && why.contains("plaintext listener"), "{why}");
}

#[test]
fn gigabytes_that_another_server_seems_to_announce_are_not_waited_for() {
    let other = serve(|_, _| Answer::Raw(b"\x7f\xff\xff\xffSSH-2.0-OpenSSH".to_vec()));
    assert!(why_unusable(&other).contains("no Kafka broker"));
}

#[test]
fn a_server_that_closes_at_once_is_no_broker() {
    assert!(why_unusable(&serve(|_, _| Answer::Close)).contains("closes the connection"));
}

#[test]
fn a_black_hole_is_given_up_within_seconds() {
    assert!(why_unusable(&serve(|_, _| Answer::Silence)).contains("gives no answer"));
}

#[test]
fn a_closed_port_is_refused_and_the_next_broker_is_tried() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert!(why_unusable(&closed).contains("connection refused"));
    let well = broker(|_| produced(&[(0, 0), (1, 0)]));
    assert_eq!(sender(&config(&[&closed, &well])).partition_count(TOPIC), Ok(2));
}

#[test]
fn kafka_4_is_told_with_its_remedy() {
    let kafka_4 = serve(|api, port| match api {
        API_VERSIONS => api_versions(&[(0, 0), (1, 4), (2, 1), (3, 0)]),
        METADATA => metadata(port, 2),
        _ => Answer::Close,
    });
    let delivery = send_two(&mut *sender(&config(&[&kafka_4])));
    assert_eq!(delivery.len(), 2);
    for outcome in delivery.into_values() {
        let error = outcome.unwrap_err();
        assert!(matches!(error, KafkaError::TooNew { .. }) && error.to_string().contains("librdkafka"), "{error}");
    }
}

#[test]
fn a_broker_that_dies_on_a_produce_is_not_called_too_new_and_is_used_again() {
    let restarting = broker(|n| if n == 0 { Answer::Close } else { produced(&[(0, 0), (1, 0)]) });
    let mut sender = sender(&config(&[&restarting]));
    for outcome in send_two(&mut *sender).into_values() {
        assert!(matches!(outcome, Err(KafkaError::Connection(_))), "{outcome:?}");
    }
    assert!(send_two(&mut *sender).into_values().all(|outcome| outcome.is_ok()));
}

#[test]
fn an_answer_to_something_else_acknowledges_nothing() {
    for odd in [&[][..], &[(0, 0)], &[(0, 0), (0, 0)], &[(0, 0), (1, 0), (2, 0)]] {
        let stale = broker(move |n| if n == 0 { produced(odd) } else { produced(&[(1, 0), (0, 0)]) });
        let mut sender = sender(&config(&[&stale]));
        let delivery = send_two(&mut *sender);
        assert_eq!(delivery.keys().collect::<Vec<_>>(), [&0, &1]);
        assert!(delivery.values().all(Result::is_err), "{odd:?} gave {delivery:?}");
        assert!(send_two(&mut *sender).into_values().all(|outcome| outcome.is_ok()));
    }
}

#[test]
fn a_partition_is_acknowledged_beside_one_whose_leader_moves_and_metadata_is_read_anew() {
    let loads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&loads);
    let moving = serve(move |api, port| match api {
        API_VERSIONS => old_kafka(),
        METADATA => {
            counted.fetch_add(1, Ordering::SeqCst);
            metadata(port, 2)
        }
        _ => produced(&[(0, 0), (1, 6)]),
    });
    let mut sender = sender(&config(&[&moving]));
    for call in 1..=2 {
        let delivery = send_two(&mut *sender);
        assert_eq!(delivery.get(&0), Some(&Ok(())));
        assert!(matches!(delivery.get(&1), Some(Err(KafkaError::LeaderMoving(_)))), "{delivery:?}");
        assert_eq!(loads.load(Ordering::SeqCst), call);
    }
}

#[test]
fn after_a_failure_nothing_later_of_that_partition_is_sent() {
    let produces = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&produces);
    let refusing = broker(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        produced(&[(0, 19)])
    });
    let value = vec![0; 600_000];
    let records = [Record { partition: 0, key: b"a", value: &value }; 3];
    let delivery = sender(&config(&[&refusing])).send(TOPIC, &records);
    assert!(matches!(delivery.get(&0), Some(Err(KafkaError::Refused(_)))), "{delivery:?}");
    assert_eq!(produces.load(Ordering::SeqCst), 1);
}

#[test]
fn a_leader_that_cannot_be_reached_fails_by_its_advertised_name() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let misnamed = serve(move |api, _| if api == API_VERSIONS { old_kafka() } else { metadata(closed.port(), 2) });
    let delivery = send_two(&mut *sender(&config(&[&misnamed])));
    let error = delivery.get(&0).unwrap().as_ref().unwrap_err().to_string();
    assert!(error.contains(&closed.to_string()) && error.contains("advertised.listeners"), "{error}");
}

#[test]
fn a_topic_that_stays_without_partitions_is_told_with_the_command_that_makes_it() {
    let empty = serve(|api, port| if api == API_VERSIONS { old_kafka() } else { metadata(port, 0) });
    let error = sender(&config(&[&empty])).partition_count(TOPIC).unwrap_err();
    assert!(matches!(error, KafkaError::NoTopic { .. }) && error.to_string().contains("kafka-topics"), "{error}");
}

#[test]
fn nonsense_after_a_good_start_is_an_error_and_no_crash() {
    // A negative size would have the kafka crate allocate without bound, and panic.
    for nonsense in [&b"\xff\xff\xff\xff"[..], b"\x00\x00\x00\x02ab", b"\x7f\xff\xff\xffisup"] {
        let mad = serve(move |api, _| if api == API_VERSIONS { old_kafka() } else { Answer::Raw(nonsense.to_vec()) });
        let error = sender(&config(&[&mad])).partition_count(TOPIC).unwrap_err();
        assert!(matches!(error, KafkaError::Connection(_)), "{error:?}");
    }
}

/// Sends three records to partition 0 of a broker that answers each produce with `code`. Gives the error, and how many it answered.
fn send_three_refused(code: i16) -> (KafkaError, usize) {
    let produces = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&produces);
    let refusing = broker(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        produced(&[(0, code)])
    });
    let records = [Record { partition: 0, key: b"a", value: b"x" }; 3];
    let error = sender(&config(&[&refusing])).send(TOPIC, &records).remove(&0).unwrap().unwrap_err();
    (error, produces.load(Ordering::SeqCst))
}

#[test]
fn a_refused_set_goes_again_in_halves_until_one_record_is_refused() {
    let (error, produces) = send_three_refused(10);
    let KafkaError::RecordRefused(refused) = &error else { panic!("{error:?}") };
    assert_eq!((refused.index, refused.is_final), (0, true));
    assert!(error.to_string().contains("max.message.bytes"), "{error}");
    assert_eq!(produces, 2, "all three, and then what fits into half of their size");
}

#[test]
fn records_before_a_refused_one_are_acknowledged_and_the_one_is_named() {
    // All three; then the first is taken, and the second alone is refused.
    let refusing = broker(|n| produced(&[(0, if n == 1 { 0 } else { 10 })]));
    let records = [Record { partition: 0, key: b"a", value: b"x" }; 3];
    let delivery = sender(&config(&[&refusing])).send(TOPIC, &records);
    assert!(
        matches!(delivery.get(&0), Some(Err(KafkaError::RecordRefused(refused))) if refused.index == 1),
        "{delivery:?}"
    );
}

#[test]
fn a_set_that_was_only_too_large_as_a_whole_refuses_no_record() {
    let refusing = broker(|n| produced(&[(0, if n == 0 { 10 } else { 0 })]));
    let records = [Record { partition: 0, key: b"a", value: b"x" }; 3];
    assert_eq!(sender(&config(&[&refusing])).send(TOPIC, &records).remove(&0), Some(Ok(())));
}

#[test]
fn codes_that_the_crate_does_not_know_are_asked_for_with_one_record() {
    // INVALID_RECORD, UNKNOWN_SERVER_ERROR and a code of a later Kafka blame a record; a failed disk and a leader's epoch do not.
    for (code, is_final) in [(87, true), (-1, false), (999, false)] {
        let (error, produces) = send_three_refused(code);
        assert!(
            matches!(&error, KafkaError::RecordRefused(refused) if refused.index == 0 && refused.is_final == is_final),
            "{error:?}"
        );
        assert_eq!(produces, 2, "code {code}");
    }
    for code in [56, 74] {
        let (error, _) = send_three_refused(code);
        assert!(matches!(error, KafkaError::LeaderMoving(_)), "{error:?}");
    }
    let (error, produces) = send_three_refused(29);
    assert!(matches!(error, KafkaError::Refused(_)) && produces == 1, "{error:?}");
}
