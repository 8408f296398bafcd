//! What strikes.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use isitup_shared::crash;
use rustix::process::Signal;

use super::fleet::{Fleet, Slot};
use super::hostile::forged_event;
use super::lane::{Fault, Lane};
use super::network;
use super::watch::Watch;
use crate::harness::oracle::spool::segments_in;
use crate::harness::proxy::Moment::{AfterReply, BeforeReply, BeforeRequest, InReply, InRequest};
use crate::harness::proxy::{Behaviour, Call, Direction, Moment, Proxy};
use crate::harness::{Cluster, Election};

/// Where in an exchange a connection may be cut.
pub(super) const MOMENTS: [Moment; 5] = [BeforeRequest, InRequest, BeforeReply, InReply, AfterReply];

/// How long a process has to come to the point where it is to die. Some are passed seldom.
const ARMED: Duration = Duration::from_secs(4);

/// All lanes, each with the faults that strike there.
pub(super) fn lanes<'a>(fleet: &'a Fleet<'a>, watch: &'a Watch) -> Vec<Lane<'a>> {
    vec![
        Lane { name: "producer", faults: producer(fleet) },
        Lane { name: "consumer", faults: consumer(fleet) },
        Lane { name: "kafka", faults: kafka(fleet) },
        Lane { name: "network", faults: network::to_kafka(fleet) },
        Lane { name: "postgres", faults: postgres(fleet, watch) },
        Lane { name: "input", faults: input(fleet) },
    ]
}

pub(super) fn fault<'a>(what: &'static str, strike: impl Fn(&mut Rng) + Send + 'a) -> (&'static str, Fault<'a>) {
    (what, Box::new(strike))
}

pub(super) fn last(rng: &mut Rng, millis: std::ops::Range<u64>) {
    thread::sleep(Duration::from_millis(rng.u64(millis)));
}

fn producer<'a>(fleet: &'a Fleet<'a>) -> Vec<(&'static str, Fault<'a>)> {
    let any = |rng: &mut Rng| rng.usize(..fleet.producers.len());
    vec![
        fault("kill -9 of a producer", move |rng| {
            let number = any(rng);
            fleet.producers[number].service.take().kill9();
            last(rng, 0..3000);
            fleet.start_producer(number);
        }),
        fault("three kills in a row, each in the start of the next", move |rng| {
            let number = any(rng);
            for _ in 0..3 {
                fleet.producers[number].service.take().kill9();
                fleet.start_producer(number);
                last(rng, 0..150);
            }
        }),
        fault("restart of a producer", move |rng| {
            let number = any(rng);
            let ended = fleet.producers[number].service.take().sigterm();
            assert_eq!(ended.code, Some(0), "{}", ended.log);
            fleet.start_producer(number);
        }),
        fault("a producer that dies at a named point", move |rng| {
            let number = any(rng);
            fleet.producers[number].service.take().kill9();
            let point = crash::PRODUCER[rng.usize(..crash::PRODUCER.len())];
            let orders = format!("{point}={}*off->return", rng.u32(..20));
            fleet.producer(number, "isitup-producer-failpoints", &orders).ends_within(ARMED);
            fleet.start_producer(number);
        }),
        fault("the disk of a spool full", move |rng| {
            let filling = fleet.disk.fill(rng.u64(..10_000));
            last(rng, 500..4000);
            drop(filling);
        }),
        fault("a wall clock stepped by an hour, and back", move |rng| {
            const HOUR: i64 = 3_600_000_000;
            let step = if rng.bool() { HOUR } else { -HOUR };
            for step in [step, -step] {
                fleet.clock.step(step);
                last(rng, 2000..6000);
            }
        }),
        fault("a producer frozen", move |rng| freeze(&fleet.producers[any(rng)].service, rng, 500..5000)),
        fault("bytes flipped in a dead producer's spool", move |rng| {
            let number = any(rng);
            fleet.producers[number].service.take().kill9();
            for path in segments(fleet, number) {
                let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
                let length = file.metadata().unwrap().len();
                for _ in 0..rng.u64(1..20) {
                    let (mut byte, at) = ([0], rng.u64(..length));
                    file.read_exact_at(&mut byte, at).unwrap();
                    file.write_all_at(&[byte[0] ^ rng.u8(1..)], at).unwrap();
                }
            }
            fleet.start_producer(number);
        }),
        fault("a dead producer's spool cut short", move |rng| {
            let number = any(rng);
            fleet.producers[number].service.take().kill9();
            if let Some(path) = segments(fleet, number).pop() {
                let file = OpenOptions::new().write(true).open(path).unwrap();
                let length = file.metadata().unwrap().len();
                file.set_len(rng.u64(..length)).unwrap();
            }
            fleet.start_producer(number);
        }),
    ]
}

fn segments(fleet: &Fleet<'_>, number: usize) -> Vec<PathBuf> {
    segments_in(&fleet.producers[number].spool)
}

fn consumer<'a>(fleet: &'a Fleet<'a>) -> Vec<(&'static str, Fault<'a>)> {
    let any = |rng: &mut Rng| rng.usize(..fleet.consumers.len());
    vec![
        fault("kill -9 of a consumer", move |rng| {
            let number = any(rng);
            fleet.consumers[number].take().kill9();
            last(rng, 0..3000);
            fleet.start_consumer(number);
        }),
        fault("kill -9 of all consumers", move |rng| {
            fleet.consumers.iter().for_each(|consumer| consumer.take().kill9());
            last(rng, 0..1000);
            (0..fleet.consumers.len()).for_each(|number| fleet.start_consumer(number));
        }),
        fault("restart of a consumer", move |rng| {
            let number = any(rng);
            let ended = fleet.consumers[number].take().sigterm();
            assert_eq!(ended.code, Some(0), "{}", ended.log);
            fleet.start_consumer(number);
        }),
        fault("a consumer that dies at a named point", move |rng| {
            let number = any(rng);
            fleet.consumers[number].take().kill9();
            let point = crash::CONSUMER[rng.usize(..crash::CONSUMER.len())];
            let orders = format!("{point}={}*off->return", rng.u32(..10));
            fleet.pipeline.armed_consumer(&orders).ends_within(ARMED);
            fleet.start_consumer(number);
        }),
        fault("a consumer frozen for longer than its lease", move |rng| {
            freeze(&fleet.consumers[any(rng)], rng, 5000..12_000);
        }),
        fault("a consumer frozen for a moment", move |rng| freeze(&fleet.consumers[any(rng)], rng, 100..3000)),
    ]
}

fn freeze(slot: &Slot, rng: &mut Rng, millis: std::ops::Range<u64>) {
    // Taken out, so that nobody waits for its answers meanwhile.
    let service = slot.take();
    service.signal(Signal::STOP);
    last(rng, millis);
    service.signal(Signal::CONT);
    slot.put(service);
}

fn kafka<'a>(fleet: &'a Fleet<'a>) -> Vec<(&'static str, Fault<'a>)> {
    const BROKERS: [&str; 3] = ["kafka", "kafka-2", "kafka-3"];
    let servers = fleet.servers;
    vec![
        fault("kill -9 of a broker", move |rng| {
            let broker = BROKERS[rng.usize(..3)];
            servers.kill(broker).unwrap();
            last(rng, 0..3000);
            servers.start_part(broker).unwrap();
        }),
        fault("kill -9 of two brokers, so that none of the others may acknowledge", move |rng| {
            let spared = rng.usize(..3);
            let brokers = || (0..3).filter(|number| *number != spared).map(|number| BROKERS[number]);
            brokers().for_each(|broker| servers.kill(broker).unwrap());
            last(rng, 500..4000);
            brokers().for_each(|broker| servers.start_part(broker).unwrap());
        }),
        fault("restart of a broker", move |rng| servers.restart(BROKERS[rng.usize(..3)]).unwrap()),
        fault("a broker frozen", move |rng| {
            let broker = BROKERS[rng.usize(..3)];
            servers.pause(broker).unwrap();
            last(rng, 500..8000);
            servers.resume(broker).unwrap();
        }),
        fault("the largest message of the topic lowered", move |rng| {
            let cluster = Cluster::of(servers);
            // Results of hostile sites are larger, all others smaller.
            cluster.set_topic(fleet.pipeline.name(), "max.message.bytes", "1600");
            last(rng, 2000..8000);
            cluster.set_topic(fleet.pipeline.name(), "max.message.bytes", "1048588");
        }),
        fault("leaders moved", move |_| {
            Cluster::of(servers).elect_leaders(fleet.pipeline.name(), Election::Preferred);
        }),
    ]
}

fn postgres<'a>(fleet: &'a Fleet<'a>, watch: &'a Watch) -> Vec<(&'static str, Fault<'a>)> {
    let servers = fleet.servers;
    vec![
        fault("kill -9 of PostgreSQL", move |rng| {
            watch.postgres_crashes();
            servers.kill("postgres").unwrap();
            watch.postgres_crashes();
            last(rng, 0..3000);
            servers.start_part("postgres").unwrap();
        }),
        fault("restart of PostgreSQL", move |_| servers.restart("postgres").unwrap()),
        fault("PostgreSQL frozen", move |rng| {
            servers.pause("postgres").unwrap();
            last(rng, 500..6000);
            servers.resume("postgres").unwrap();
        }),
        fault("all sessions ended", move |_| {
            fleet.database().column::<bool>(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
                &[],
            );
        }),
        fault("cut around a COMMIT", move |rng| {
            for _ in 0..rng.u32(1..6) {
                cut_once(&fleet.postgres, Call::Commit, MOMENTS[rng.usize(..MOMENTS.len())], rng);
            }
        }),
        fault("the way to PostgreSQL disturbed", move |rng| {
            let ways = [
                Behaviour::Swallow(Direction::Upstream),
                Behaviour::Swallow(Direction::Downstream),
                Behaviour::Silence,
                Behaviour::Refuse,
                Behaviour::Slow(200_000),
            ];
            fleet.postgres.behave(ways[rng.usize(..ways.len())]);
            last(rng, 500..8000);
            fleet.postgres.behave(Behaviour::Forward);
            fleet.postgres.cut();
        }),
        fault("a table locked", move |rng| {
            let seconds = rng.u32(1..8);
            fleet.database().run(&format!(
                "SET lock_timeout = '20s'; BEGIN; LOCK TABLE result IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({seconds}); COMMIT"
            ));
        }),
        fault("rows locked", move |rng| {
            let seconds = rng.u32(1..5);
            fleet
                .database()
                .run(&format!("BEGIN; SELECT FROM partition_offset FOR UPDATE; SELECT pg_sleep({seconds}); COMMIT"));
        }),
    ]
}

/// Cuts the next such call at this moment of it, if one comes in time.
pub(super) fn cut_once(proxy: &Proxy, call: Call, moment: Moment, rng: &mut Rng) {
    let strike = proxy.cut_next(call, moment);
    let given_up = Instant::now() + Duration::from_secs(3);
    while !strike.has_happened() && Instant::now() < given_up {
        last(rng, 10..100);
    }
    proxy.call_off(&strike);
}

fn input<'a>(fleet: &'a Fleet<'a>) -> Vec<(&'static str, Fault<'a>)> {
    vec![
        fault("poison on the topic", move |rng| {
            for _ in 0..rng.usize(1..20) {
                // Where Kafka is away it may or may not get there: the topic itself tells.
                let _ = fleet.pipeline.topic().try_send(rng.i32(0..6), &[poison(rng)]);
            }
        }),
        fault("forged events on the topic", move |rng| {
            for _ in 0..rng.usize(1..20) {
                let _ = fleet.pipeline.topic().try_send(rng.i32(0..6), &[forged_event(rng)]);
            }
        }),
        fault("all sites answer as hostile ones do", move |rng| {
            fleet.turn_hostile(true);
            last(rng, 500..4000);
            fleet.turn_hostile(false);
        }),
        fault("more checks due than workers can do", move |rng| {
            fleet.stall(true);
            last(rng, 500..4000);
            fleet.stall(false);
        }),
    ]
}

/// No event, in one way or another.
fn poison(rng: &mut Rng) -> Vec<u8> {
    let stranger = "00000000-0000-4000-8000-000000000000";
    let event =
        |rest: &str| format!(r#"{{"v":1,"producer_id":"{stranger}","seq":1,"location":"x",{rest}}}"#).into_bytes();
    match rng.u8(..9) {
        0 => Vec::new(),
        1 => vec![0; rng.usize(1..100)],
        2 => (0..rng.usize(1..5000)).map(|_| rng.u8(..)).collect(),
        3 => "[".repeat(rng.usize(1..200_000)).into_bytes(),
        4 => format!(r#"{{"v":1,"huge":"{}"}}"#, "x".repeat(rng.usize(1..800_000))).into_bytes(),
        5 => event(r#""type":"rumour""#),
        6 => event(r#""type":"producer","state":"started","at":"0001-01-01T00:00:00.000000Z""#),
        7 => event(r#""type":"check","site":7"#),
        _ => br#"{"v":99,"type":"check"}"#.to_vec(),
    }
}
