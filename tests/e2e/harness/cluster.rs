//! What an operator does to a Kafka cluster: topics made, deleted, widened, truncated, leaders elected.
//!
//! In the bytes of Kafka's own protocol (<https://kafka.apache.org/protocol#protocol_messages>), as each start of
//! Kafka's own tools would cost a second or two of CPU.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use isitup_dev::Stack;

use super::waiting::eventually;

/// How long a broker may take for what it is asked; also told to it.
const LIMIT: Duration = Duration::from_secs(10);

/// A cluster that has just lost a broker may need some seconds to find itself.
const TRIES: usize = 300;
const PAUSE: Duration = Duration::from_millis(100);

// The numbers of requests, and versions of them that Kafka 3.9 and 4.1 both know.
const METADATA: (i16, i16) = (3, 4);
const CREATE_TOPICS: (i16, i16) = (19, 2);
const DELETE_TOPICS: (i16, i16) = (20, 1);
const DELETE_RECORDS: (i16, i16) = (21, 0);
const CREATE_PARTITIONS: (i16, i16) = (37, 0);
const ELECT_LEADERS: (i16, i16) = (43, 1);
const INCREMENTAL_ALTER_CONFIGS: (i16, i16) = (44, 0);

/// The brokers of a stack.
pub(crate) struct Cluster {
    brokers: Vec<String>,
}

/// Where a partition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// The number of the broker that leads it; -1 while none does.
    pub(crate) leader: i32,
    /// The brokers that have all of it.
    pub(crate) in_sync: BTreeSet<i32>,
}

/// What the cluster says of itself and of one topic.
struct Metadata {
    addresses: BTreeMap<i32, String>,
    controller: i32,
    partitions: BTreeMap<i32, Placement>,
}

/// Which replica may lead.
#[derive(Clone, Copy)]
pub(crate) enum Election {
    /// The first one, when it is in sync.
    Preferred = 0,
    /// Any that lives, whatever it lacks.
    Unclean = 1,
}

impl Cluster {
    /// The cluster of `servers`.
    pub(crate) fn of(servers: &Stack) -> Self {
        Self { brokers: servers.brokers().to_vec() }
    }

    /// Makes a topic with so many partitions, each of them on these brokers, of which the first is to lead.
    pub(crate) fn create_topic(&self, topic: &str, partitions: i32, brokers: &[i32], settings: &[(&str, &str)]) {
        let mut body = Body::default().int32(1).string(topic).int32(-1).int16(-1).int32(partitions);
        for partition in 0..partitions {
            body = brokers.iter().fold(body.int32(partition).count(brokers.len()), |body, broker| body.int32(*broker));
        }
        body = body.count(settings.len());
        for (key, value) in settings {
            body = body.string(key).string(value);
        }
        let body = body.int32(limit()).int8(0);
        self.done(&format!("topic {topic} is made"), || {
            let answer = self.ask_controller(CREATE_TOPICS, &body)?;
            // A time-out means that it is being made; that it exists, that one of that name is still being deleted.
            Answer(&answer).skip_int32().skip_int32().skip_string().code(&[0, 7])
        });
        eventually(&format!("each partition of {topic} has a leader"), || {
            let placements = self.placements(topic);
            placements.len() == usize::try_from(partitions).unwrap()
                && placements.values().all(|partition| partition.leader > 0)
        });
    }

    /// Deletes a topic. It may be there again at once: somebody who asks for it by name makes it.
    pub(crate) fn delete_topic(&self, topic: &str) {
        let body = Body::default().int32(1).string(topic).int32(limit());
        self.done(&format!("topic {topic} is deleted"), || {
            let answer = self.ask_controller(DELETE_TOPICS, &body)?;
            Answer(&answer).skip_int32().skip_int32().skip_string().code(&[0])
        });
    }

    /// Gives a topic more partitions: so many in all.
    pub(crate) fn widen_topic(&self, topic: &str, partitions: i32) {
        let body = Body::default().int32(1).string(topic).int32(partitions).int32(-1).int32(limit()).int8(0);
        self.done(&format!("topic {topic} has {partitions} partitions"), || {
            let answer = self.ask_controller(CREATE_PARTITIONS, &body)?;
            Answer(&answer).skip_int32().skip_int32().skip_string().code(&[0])
        });
    }

    /// Sets one of a topic's settings while it is in use.
    pub(crate) fn set_topic(&self, topic: &str, setting: &str, value: &str) {
        // A topic is a resource of kind 2; the operation 0 sets.
        let body =
            Body::default().int32(1).int8(2).string(topic).int32(1).string(setting).int8(0).string(value).int8(0);
        self.done(&format!("topic {topic} has {setting}={value}"), || {
            let answer = self.ask_controller(INCREMENTAL_ALTER_CONFIGS, &body)?;
            Answer(&answer).skip_int32().skip_int32().code(&[0])
        });
    }

    /// Removes the records before these offsets, as retention does.
    pub(crate) fn truncate_topic(&self, topic: &str, before: &BTreeMap<i32, i64>) {
        for (partition, offset) in before {
            let body = Body::default().int32(1).string(topic).int32(1).int32(*partition).int64(*offset).int32(limit());
            self.done(&format!("partition {partition} of {topic} begins at {offset}"), || {
                let metadata = self.metadata(topic)?;
                let leader = metadata.partitions.get(partition).map_or(-1, |partition| partition.leader);
                let address = metadata.addresses.get(&leader).ok_or_else(|| io::Error::other("no leader"))?;
                let answer = ask(address, DELETE_RECORDS, &body)?;
                let head = Answer(&answer).skip_int32().skip_int32().skip_string().skip_int32();
                head.skip_int32().skip_int32().skip_int32().code(&[0])
            });
        }
    }

    /// Has leaders elected for all partitions that have none, or not the wanted one.
    pub(crate) fn elect_leaders(&self, topic: &str, election: Election) {
        let partitions: Vec<i32> = self.placements(topic).into_keys().collect();
        let head = Body::default().int8(election as i8).int32(1).string(topic).count(partitions.len());
        let body = partitions.iter().fold(head, |body, partition| body.int32(*partition)).int32(limit());
        self.done(&format!("leaders of {topic} are elected"), || {
            let answer = self.ask_controller(ELECT_LEADERS, &body)?;
            let codes = read_elections(&answer).ok_or_else(|| io::Error::other("the answer makes no sense"))?;
            // 84: it is the leader already.
            let failed: Vec<i16> = codes.into_iter().filter(|code| ![0, 84].contains(code)).collect();
            if failed.is_empty() {
                Ok(())
            } else {
                Err(io::Error::other(format!("Kafka's error codes are {failed:?}")))
            }
        });
    }

    /// Where each partition of a topic is; nothing while no broker tells.
    pub(crate) fn placements(&self, topic: &str) -> BTreeMap<i32, Placement> {
        self.metadata(topic).map(|metadata| metadata.partitions).unwrap_or_default()
    }

    /// Waits until this broker leads as many partitions of `topic` as wanted, and none is without a leader.
    #[track_caller]
    pub(crate) fn wait_for_leader(&self, topic: &str, broker: i32, leads: impl Fn(usize) -> bool) {
        eventually(&format!("broker {broker} leads as many partitions as it should"), || {
            let placements = self.placements(topic);
            let led = placements.values().filter(|partition| partition.leader == broker).count();
            !placements.is_empty() && placements.values().all(|partition| partition.leader > 0) && leads(led)
        });
    }

    /// Waits until no partition of `topic` has a leader: those that may lead are gone, and the cluster knows.
    #[track_caller]
    pub(crate) fn wait_until_leaderless(&self, topic: &str) {
        eventually("no partition has a leader", || {
            let placements = self.placements(topic);
            !placements.is_empty() && placements.values().all(|partition| partition.leader < 0)
        });
    }

    /// Waits until each partition of `topic` is wholly on so many brokers.
    #[track_caller]
    pub(crate) fn wait_for_replicas(&self, topic: &str, in_sync: usize) {
        eventually(&format!("{in_sync} replicas of each partition are in sync"), || {
            let placements = self.placements(topic);
            !placements.is_empty() && placements.values().all(|partition| partition.in_sync.len() == in_sync)
        });
    }

    #[track_caller]
    fn done(&self, what: &str, mut ask: impl FnMut() -> io::Result<()>) {
        let mut failure = None;
        for _ in 0..TRIES {
            match ask() {
                Ok(()) => return,
                Err(error) => failure = Some(error),
            }
            thread::sleep(PAUSE);
        }
        panic!("not so: {what}: {failure:?}");
    }

    fn ask_controller(&self, api: (i16, i16), body: &Body) -> io::Result<Vec<u8>> {
        let metadata = self.metadata("")?;
        let address = metadata.addresses.get(&metadata.controller).ok_or_else(|| io::Error::other("no controller"))?;
        ask(address, api, body)
    }

    /// Of the first broker that answers; asking makes no topic.
    fn metadata(&self, topic: &str) -> io::Result<Metadata> {
        let none = topic.is_empty();
        let topics = if none { Body::default().int32(0) } else { Body::default().int32(1).string(topic) };
        let body = topics.int8(0);
        let mut failure = io::Error::other("no brokers");
        for broker in &self.brokers {
            match ask(broker, METADATA, &body) {
                Ok(answer) => return read_metadata(&answer).ok_or_else(|| io::Error::other("metadata makes no sense")),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

fn limit() -> i32 {
    i32::try_from(LIMIT.as_millis()).unwrap()
}

/// Sends a request and reads its answer, without its head.
fn ask(address: &str, (api, version): (i16, i16), body: &Body) -> io::Result<Vec<u8>> {
    let head = Body::default().int16(api).int16(version).int32(7).string("isitup-tests");
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let length = i32::try_from(head.0.len() + body.0.len()).unwrap();
    stream.write_all(&[&length.to_be_bytes()[..], &head.0, &body.0].concat())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut answer)?;
    Ok(answer.split_off(4))
}

fn read_metadata(answer: &[u8]) -> Option<Metadata> {
    let mut answer = Answer(answer);
    let (rest, mut addresses) = (&mut answer, BTreeMap::new());
    rest.int32()?;
    for _ in 0..rest.int32()? {
        let (id, host, port) = (rest.int32()?, rest.string()?, rest.int32()?);
        rest.string()?;
        addresses.insert(id, format!("{host}:{port}"));
    }
    rest.string()?;
    let controller = rest.int32()?;
    let mut partitions = BTreeMap::new();
    for _ in 0..rest.int32()? {
        rest.int16()?;
        rest.string()?;
        rest.int8()?;
        for _ in 0..rest.int32()? {
            rest.int16()?;
            let (partition, leader) = (rest.int32()?, rest.int32()?);
            let _replicas = rest.numbers()?;
            partitions.insert(partition, Placement { leader, in_sync: rest.numbers()? });
        }
    }
    Some(Metadata { addresses, controller, partitions })
}

/// The error codes of the call and of each partition.
fn read_elections(answer: &[u8]) -> Option<Vec<i16>> {
    let mut rest = Answer(answer);
    rest.int32()?;
    let mut codes = vec![rest.int16()?];
    for _ in 0..rest.int32()? {
        rest.string()?;
        for _ in 0..rest.int32()? {
            rest.int32()?;
            codes.push(rest.int16()?);
            rest.string()?;
        }
    }
    Some(codes)
}

/// Bytes of a request.
#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn int8(self, value: i8) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    fn int16(self, value: i16) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    fn int32(self, value: i32) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    fn int64(self, value: i64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    fn count(self, of: usize) -> Self {
        self.int32(i32::try_from(of).unwrap())
    }

    fn string(self, value: &str) -> Self {
        self.int16(i16::try_from(value.len()).unwrap()).bytes(value.as_bytes())
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

/// What is left of an answer.
struct Answer<'a>(&'a [u8]);

impl Answer<'_> {
    fn int8(&mut self) -> Option<i8> {
        self.take::<1>().map(i8::from_be_bytes)
    }

    fn int16(&mut self) -> Option<i16> {
        self.take::<2>().map(i16::from_be_bytes)
    }

    fn int32(&mut self) -> Option<i32> {
        self.take::<4>().map(i32::from_be_bytes)
    }

    fn numbers(&mut self) -> Option<BTreeSet<i32>> {
        (0..self.int32()?).map(|_| self.int32()).collect()
    }

    /// A length of -1 means null, which is told as nothing.
    fn string(&mut self) -> Option<String> {
        let length = usize::try_from(self.int16()?).unwrap_or(0);
        let (text, after) = self.0.split_at_checked(length)?;
        self.0 = after;
        String::from_utf8(text.to_vec()).ok()
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (value, after) = self.0.split_first_chunk::<N>()?;
        self.0 = after;
        Some(*value)
    }

    fn skip_int32(mut self) -> Self {
        self.int32();
        self
    }

    fn skip_string(mut self) -> Self {
        self.string();
        self
    }

    /// Whether the error code that comes next is one of those that are well.
    fn code(mut self, well: &[i16]) -> io::Result<()> {
        match self.int16() {
            Some(code) if well.contains(&code) => Ok(()),
            code => Err(io::Error::other(format!("Kafka's error code is {code:?}"))),
        }
    }
}
