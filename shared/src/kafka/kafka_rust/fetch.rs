//! Receiving: messages from explicit offsets, the offsets there are, and the mirroring of ours to a group.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kafka::client::fetch::{Partition, Response, Topic};
use kafka::client::{CommitOffset, FetchOffset, FetchPartition};

use super::super::{Fetched, KafkaError, Message, OffsetRange};
use super::{KafkaRust, by_leader, failure, single};

/// The bytes asked of a partition: twice what a broker takes in one batch by default, for what does not fit as a whole
/// does not come at all.
pub(super) const SIZE: i32 = 2 << 20;
/// The most that is asked of a partition which does not get on with less.
const LARGEST: i32 = 64 << 20;
/// How long brokers wait for the first byte, in all; they are asked one after another.
const WAIT: Duration = Duration::from_millis(100);
/// No message is smaller, so no smaller step finds another.
const LEAST_MESSAGE: i32 = 26;
/// The longest that mirroring may take, and how long it rests after a failure.
const MIRROR_LIMIT: Duration = Duration::from_secs(5);
const MIRROR_REST: Duration = Duration::from_secs(10);

/// What is asked of a partition.
#[derive(Clone, Copy)]
struct Ask {
    partition: i32,
    offset: i64,
    size: i32,
}

/// What came of it.
struct Got {
    latest: i64,
    messages: Vec<Message>,
}

/// Why a partition gave nothing.
enum Failed {
    Known(KafkaError),
    /// With a code that the crate has no name for.
    Unnamed,
}

/// The answers of one call, by partition.
type Answers = BTreeMap<i32, Result<Got, Failed>>;

/// Messages from each of `positions` on; an error only when no partition could be asked.
///
/// The crate gives up a whole answer for one record that it cannot read. Partitions where it met one are asked last and each
/// alone, as long as they are asked from the same offset.
pub(super) fn fetch(kafka: &mut KafkaRust, topic: &str, positions: &[(i32, i64)]) -> Result<Vec<Fetched>, KafkaError> {
    let is_unreadable = |kafka: &KafkaRust, (partition, offset): &(i32, i64)| {
        kafka.unreadable.get(&(topic.to_owned(), *partition)) == Some(offset)
    };
    let (alone, together): (Vec<_>, Vec<_>) = positions.iter().partition(|position| is_unreadable(kafka, position));
    if alone.is_empty() {
        return fetch_together(kafka, topic, &together);
    }
    let mut fetched = if together.is_empty() { Vec::new() } else { fetch_together(kafka, topic, &together)? };
    fetched.extend(one_by_one(kafka, topic, &alone));
    Ok(fetched)
}

fn fetch_together(kafka: &mut KafkaRust, topic: &str, positions: &[(i32, i64)]) -> Result<Vec<Fetched>, KafkaError> {
    if positions.is_empty() {
        return Ok(Vec::new());
    }
    let leaders = kafka.leaders(topic)?;
    let usual = i32::try_from(kafka.fetching.size()).unwrap_or(SIZE);
    let asks = positions.iter().map(|&(partition, offset)| {
        let size = kafka.sizes.get(&(topic.to_owned(), partition)).copied().unwrap_or(usual);
        (partition, Ask { partition, offset, size })
    });
    let (led, lost) = by_leader(&leaders, asks);
    if !lost.is_empty() {
        kafka.forget_leaders(topic);
    }
    let wait = WAIT / u32::try_from(led.len()).unwrap_or(u32::MAX).max(1);
    let mut any = !lost.is_empty();
    let mut broken = None;
    let mut fetched: Vec<Fetched> = lost.into_iter().map(|(partition, error)| failed(partition, error)).collect();
    for (leader, asks) in kafka.in_turn(led) {
        // As in sending: what this session knew is gone with it, the rest waits for the next call.
        let answers = match &broken {
            Some(error) if kafka.session.is_none() => Err(KafkaError::clone(error)),
            _ => ask_leader(kafka, topic, &leader, &asks, wait).inspect_err(|_| kafka.note_failure(&leader)),
        };
        match answers {
            Ok(answers) => {
                any = true;
                fetched.extend(answers);
            }
            // The crate gives up the whole answer for one record; so the other partitions are asked without that one.
            Err(KafkaError::Unreadable(_)) if positions.len() > 1 => return Ok(one_by_one(kafka, topic, positions)),
            Err(error) => {
                any |= matches!(error, KafkaError::Unreadable(_));
                fetched.extend(asks.iter().map(|ask| failed(ask.partition, error.clone())));
                broken = Some(error);
            }
        }
    }
    match broken {
        Some(error) if !any => Err(error),
        _ => Ok(fetched),
    }
}

fn failed(partition: i32, error: KafkaError) -> Fetched {
    Fetched { partition, latest: None, messages: Err(error) }
}

fn one_by_one(kafka: &mut KafkaRust, topic: &str, positions: &[(i32, i64)]) -> Vec<Fetched> {
    let single = |position: &(i32, i64)| {
        let (partition, offset) = *position;
        let fetched = fetch_together(kafka, topic, &[*position]).unwrap_or_else(|error| vec![failed(partition, error)]);
        let key = (topic.to_owned(), partition);
        if fetched.iter().any(|of| matches!(of.messages, Err(KafkaError::Unreadable(_)))) {
            kafka.unreadable.insert(key, offset);
        } else {
            kafka.unreadable.remove(&key);
        }
        fetched
    };
    positions.iter().flat_map(single).collect()
}

/// Asks the leader by a request of our own which code it gave.
fn named(topic: &str, leader: &str, ask: &Ask) -> KafkaError {
    match single::fetch_code(leader, topic, ask.partition, ask.offset, ask.size) {
        Ok(0) => KafkaError::Refused("an error that has passed meanwhile".to_owned()),
        Ok(code) => failure::of_number(code),
        Err(error) => KafkaError::Connection(format!("asking {leader} why it refused a fetch: {error}")),
    }
}

fn ask_leader(
    kafka: &mut KafkaRust,
    topic: &str,
    leader: &str,
    asks: &[Ask],
    wait: Duration,
) -> Result<Vec<Fetched>, KafkaError> {
    kafka.vet(topic, leader)?;
    let begun = Instant::now();
    let answers = request(kafka, topic, asks, wait);
    kafka.fetching.learn(&answers, begun.elapsed());
    let mut answers = answers?;
    let mut fetched = Vec::with_capacity(asks.len());
    for ask in asks {
        let left_out = || KafkaError::LeaderMoving("the broker's answer leaves the partition out".to_owned());
        let answer = match answers.remove(&ask.partition) {
            Some(Ok(got)) => Ok(got),
            Some(Err(Failed::Known(error))) => Err(error),
            Some(Err(Failed::Unnamed)) => Err(named(topic, leader, ask)),
            None => Err(left_out()),
        };
        if let Err(KafkaError::LeaderMoving(_)) = answer {
            kafka.forget_leaders(topic);
        }
        let answer = match answer {
            Ok(got) => complete(kafka, topic, ask, got)?,
            Err(error) => Err(error),
        };
        fetched.push(match answer {
            Ok(got) => Fetched { partition: ask.partition, latest: Some(got.latest), messages: Ok(got.messages) },
            Err(error) => failed(ask.partition, error),
        });
    }
    Ok(fetched)
}

fn request(kafka: &mut KafkaRust, topic: &str, asks: &[Ask], wait: Duration) -> Result<Answers, KafkaError> {
    let (topic, asks) = (topic.to_owned(), asks.to_vec());
    kafka.call(move |client| {
        client.set_fetch_max_wait_time(wait)?;
        let partition = |ask: &Ask| FetchPartition::new(&topic, ask.partition, ask.offset).with_max_bytes(ask.size);
        let responses = client.fetch_messages(asks.iter().map(partition))?;
        Ok(collect(&topic, &asks, &responses))
    })
}

fn collect(topic: &str, asks: &[Ask], responses: &[Response]) -> Answers {
    let topics = responses.iter().flat_map(Response::topics).filter(|of| of.topic() == topic);
    let partitions: BTreeMap<i32, &Partition<'_>> =
        topics.flat_map(Topic::partitions).map(|partition| (partition.partition(), partition)).collect();
    let answer = |ask: &Ask| {
        let answer = match partitions.get(&ask.partition)?.data() {
            Err(error) if failure::is_unnamed(&error) => Err(Failed::Unnamed),
            Err(error) => Err(Failed::Known(failure::of_call(&error))),
            Ok(data) => {
                // A compressed batch comes whole, also when the offset asked for lies inside it.
                let wanted = data.messages().iter().filter(|message| message.offset >= ask.offset);
                let owned = wanted.map(|message| Message { offset: message.offset, value: message.value.to_vec() });
                Ok(Got { latest: data.highwatermark_offset(), messages: owned.collect() })
            }
        };
        Some((ask.partition, answer))
    };
    asks.iter().filter_map(answer).collect()
}

/// Sees to it that `got` begins where `ask` does, as far as the topic has messages there. The outer error is of the call.
fn complete(kafka: &mut KafkaRust, topic: &str, ask: &Ask, got: Got) -> Result<Result<Got, KafkaError>, KafkaError> {
    let key = (topic.to_owned(), ask.partition);
    match got.messages.first() {
        // Something is there but did not fit into the size asked for: more next time.
        None if got.latest > ask.offset => {
            if ask.size >= LARGEST {
                let reason = format!("nothing this client can read at offset {} within {LARGEST} bytes", ask.offset);
                return Ok(Err(KafkaError::Unreadable(reason)));
            }
            kafka.sizes.insert(key, ask.size.saturating_mul(2).min(LARGEST));
            Ok(Ok(got))
        }
        None => Ok(Ok(got)),
        Some(first) => {
            if ask.size != SIZE {
                kafka.sizes.remove(&key);
            }
            if first.offset > ask.offset { before_gap(kafka, topic, ask, got).map(Ok) } else { Ok(Ok(got)) }
        }
    }
}

/// Looks for messages between the offset asked for and the first that came.
///
/// A gap may be true (compaction, a transaction's marker). But where a compressed batch follows plain records in an
/// answer, the crate returns only what is in that batch and drops the others unsaid: on a topic written with and without
/// gzip, half of the records were missing. A smaller size cuts the answer before the batch; halving finds such a size if
/// there is one.
fn before_gap(kafka: &mut KafkaRust, topic: &str, ask: &Ask, got: Got) -> Result<Got, KafkaError> {
    let (mut low, mut high) = (0, ask.size);
    while high - low > LEAST_MESSAGE {
        let size = low + (high - low) / 2;
        let answer = request(kafka, topic, &[Ask { size, ..*ask }], Duration::from_millis(1))?.remove(&ask.partition);
        let Some(Ok(less)) = answer else { return Ok(Got { messages: Vec::new(), ..got }) };
        match less.messages.first() {
            None => low = size,
            Some(first) if first.offset > ask.offset => high = size,
            Some(_) => return Ok(less),
        }
    }
    Ok(got)
}

/// The offsets of each partition that has a leader.
pub(super) fn offsets(kafka: &mut KafkaRust, topic: &str) -> Result<BTreeMap<i32, OffsetRange>, KafkaError> {
    kafka.forget_leaders(topic);
    let leaders = kafka.leaders(topic)?;
    for leader in leaders.iter().flatten().collect::<BTreeSet<_>>() {
        kafka.vet(topic, leader)?;
    }
    let name = topic.to_owned();
    let (earliest, latest) = kafka.call(move |client| {
        let mut ask =
            |which| client.fetch_offsets(&[&name], which).map(|mut topics| topics.remove(&name).unwrap_or_default());
        Ok((ask(FetchOffset::Earliest)?, ask(FetchOffset::Latest)?))
    })?;
    let latest: BTreeMap<i32, i64> = latest.into_iter().map(|of| (of.partition, of.offset)).collect();
    let pair = |of: kafka::client::PartitionOffset| {
        let latest = latest.get(&of.partition).copied().filter(|latest| of.offset >= 0 && *latest >= of.offset)?;
        Some((of.partition, OffsetRange { earliest: of.offset, latest }))
    };
    let offsets: BTreeMap<i32, OffsetRange> = earliest.into_iter().filter_map(pair).collect();
    if offsets.len() < leaders.iter().flatten().count() || offsets.is_empty() {
        kafka.forget_leaders(topic);
        return Err(KafkaError::LeaderMoving("not every partition tells its offsets".to_owned()));
    }
    Ok(offsets)
}

/// Commits `positions` to `group`; rests for a while after a failure.
pub(super) fn mirror_offsets(
    kafka: &mut KafkaRust,
    group: &str,
    topic: &str,
    positions: &[(i32, i64)],
) -> Result<(), KafkaError> {
    if positions.is_empty() {
        return Ok(());
    }
    if let Some((_, error)) = kafka.mirror_rests.as_ref().filter(|(until, _)| Instant::now() < *until) {
        return Err(error.clone());
    }
    let result = commit(kafka, group, topic, positions);
    kafka.mirror_rests = result.as_ref().err().map(|error| (Instant::now() + MIRROR_REST, error.clone()));
    result
}

/// The crate's commit tries for ever while the coordinator loads the group, without a pause once its tries are used up.
/// So a look at the group comes first, whose tries do end; and for the commit itself they never run out, so that what
/// may be left behind after [`MIRROR_LIMIT`] at least sleeps.
fn commit(kafka: &mut KafkaRust, group: &str, topic: &str, positions: &[(i32, i64)]) -> Result<(), KafkaError> {
    kafka.leaders(topic)?;
    if !kafka.session()?.ready_groups.contains(group) {
        let (name, topic) = (group.to_owned(), topic.to_owned());
        kafka.call_within(MIRROR_LIMIT, move |client| {
            client.set_retry_max_attempts(4);
            client.fetch_group_topic_offset(&name, &topic).map(drop)
        })?;
        kafka.session()?.ready_groups.insert(group.to_owned());
    }
    let (group, topic, positions) = (group.to_owned(), topic.to_owned(), positions.to_vec());
    kafka.call_within(MIRROR_LIMIT, move |client| {
        client.set_retry_max_attempts(u32::MAX);
        let commit = |&(partition, offset): &(i32, i64)| CommitOffset::new(&topic, partition, offset);
        client.commit_offsets(&group, positions.iter().map(commit))
    })
}
