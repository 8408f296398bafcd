//! Sending: records to sets below the broker's batch limit, sets to calls of one leader each, answers compared with
//! what was asked.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use kafka::client::{ProduceConfirm, ProduceMessage, RequiredAcks};
use kafka::error::KafkaCode;

use super::super::{Delivery, KafkaError, Record};
use super::{KafkaRust, by_leader, failure};

/// The most bytes of one partition's records in a call: a broker refuses a batch above 1 MiB (`max.message.bytes`), and
/// framing needs some of that.
pub(super) const SET_LIMIT: usize = 900_000;
/// The most bytes of a call, unless a single set is larger.
const CALL_SIZE: usize = 8 << 20;
/// What the protocol adds to each record.
const FRAMING: usize = 26;
/// How long the broker may wait for its replicas. Less than the session's limit on calls.
const ACK_LIMIT: Duration = Duration::from_secs(10);

/// The records of one partition, and how far they are sent.
struct Queue<'r> {
    partition: i32,
    records: Vec<&'r Record<'r>>,
    sent: usize,
    failed: bool,
}

/// Sends `records`, each partition's in order: after a failure nothing later of that partition follows.
pub(super) fn send(kafka: &mut KafkaRust, topic: &str, records: &[Record<'_>]) -> Delivery {
    let mut delivery = Delivery::new();
    let queues = queues(records);
    if queues.is_empty() {
        return delivery;
    }
    let leaders = match kafka.leaders(topic) {
        Ok(leaders) => leaders,
        Err(error) => return queues.into_keys().map(|partition| (partition, Err(error.clone()))).collect(),
    };
    let (led, lost) = by_leader(&leaders, queues);
    if !lost.is_empty() {
        kafka.forget_leaders(topic);
    }
    delivery.extend(lost.into_iter().map(|(partition, error)| (partition, Err(error))));
    let mut broken: Option<KafkaError> = None;
    for (leader, mut queues) in led {
        // The session that knew this leader is gone: a new one is for the next call, with metadata of its own.
        let end = match &broken {
            Some(error) => Err(error.clone()),
            None => send_to(kafka, topic, &leader, &mut queues, &mut delivery),
        };
        if let Err(error) = end {
            let open = queues.iter().filter(|queue| !queue.failed && !queue.is_done());
            delivery.extend(open.map(|queue| (queue.partition, Err(error.clone()))));
            if kafka.session.is_none() {
                broken = Some(error);
            }
        }
    }
    delivery
}

/// Sends all of `queues` to their `leader`, call by call. An error is of those that are not done and not failed.
fn send_to(
    kafka: &mut KafkaRust,
    topic: &str,
    leader: &str,
    queues: &mut [Queue<'_>],
    delivery: &mut Delivery,
) -> Result<(), KafkaError> {
    kafka.vet(topic, leader)?;
    loop {
        let sets = next_sets(queues, kafka.set_limit);
        if sets.is_empty() {
            return Ok(());
        }
        let batch = Batch::pack(queues, &sets);
        let owned_topic = topic.to_owned();
        let confirms = kafka
            .call(move |client| client.produce_messages(RequiredAcks::All, ACK_LIMIT, batch.messages(&owned_topic)))?;
        let asked: Vec<i32> =
            sets.iter().filter_map(|(index, _)| queues.get(*index)).map(|queue| queue.partition).collect();
        let answers = match confirmed(topic, &asked, &confirms) {
            Ok(answers) => answers,
            Err(error) => {
                // It may be the answer to another request, so the connection is as good as lost.
                kafka.session = None;
                return Err(error);
            }
        };
        for ((index, range), answer) in sets.into_iter().zip(answers) {
            let Some(queue) = queues.get_mut(index) else { continue };
            let outcome = answer.map_err(|code| refusal(kafka, topic, queue, &range, code));
            queue.sent = range.end;
            queue.failed = outcome.is_err();
            if queue.failed || queue.is_done() {
                delivery.insert(queue.partition, outcome);
            }
        }
    }
}

/// What a code means for a partition, and what the next call must do otherwise.
fn refusal(kafka: &mut KafkaRust, topic: &str, queue: &Queue<'_>, range: &Range<usize>, code: KafkaCode) -> KafkaError {
    let size = queue.size(range);
    if failure::is_too_large(code) && range.len() > 1 {
        kafka.set_limit = (size / 2).max(1);
        let limit = kafka.set_limit;
        return KafkaError::Refused(format!(
            "{size} bytes are too many for a batch; next time at most {limit} are sent in one"
        ));
    }
    if failure::is_too_large(code) {
        return KafkaError::Refused(format!(
            "a record of {size} bytes is larger than the topic's max.message.bytes; raise that"
        ));
    }
    let error = failure::of_code(code);
    if matches!(error, KafkaError::LeaderMoving(_)) {
        kafka.forget_leaders(topic);
    }
    error
}

fn queues<'r>(records: &'r [Record<'r>]) -> BTreeMap<i32, Queue<'r>> {
    let mut queues = BTreeMap::new();
    for record in records {
        let partition = record.partition;
        let queue =
            queues.entry(partition).or_insert_with(|| Queue { partition, records: Vec::new(), sent: 0, failed: false });
        queue.records.push(record);
    }
    queues
}

impl Queue<'_> {
    fn is_done(&self) -> bool {
        self.sent >= self.records.len()
    }

    fn size(&self, range: &Range<usize>) -> usize {
        self.records.get(range.clone()).unwrap_or_default().iter().map(|record| size(record)).sum()
    }

    /// The next records that fit into `limit` bytes, at least one, and their size.
    fn next_set(&self, limit: usize) -> (Range<usize>, usize) {
        let mut bytes = 0;
        let mut end = self.sent;
        for record in self.records.iter().skip(self.sent) {
            let more = bytes + size(record);
            if end > self.sent && more > limit {
                break;
            }
            bytes = more;
            end += 1;
        }
        (self.sent..end, bytes)
    }
}

fn size(record: &Record<'_>) -> usize {
    record.key.len() + record.value.len() + FRAMING
}

/// The sets of the next call: by index of their queue, one of each queue that has any left, while they fit.
fn next_sets(queues: &[Queue<'_>], limit: usize) -> Vec<(usize, Range<usize>)> {
    let mut sets = Vec::new();
    let mut total = 0;
    for (index, queue) in queues.iter().enumerate().filter(|(_, queue)| !queue.failed && !queue.is_done()) {
        let (range, bytes) = queue.next_set(limit);
        if !sets.is_empty() && total + bytes > CALL_SIZE {
            break;
        }
        total += bytes;
        sets.push((index, range));
    }
    sets
}

/// A call's records in one buffer of their own, since the client's thread may outlive the call.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// The partition of each record, and where its key and its value end.
    entries: Vec<(i32, usize, usize)>,
}

impl Batch {
    fn pack(queues: &[Queue<'_>], sets: &[(usize, Range<usize>)]) -> Self {
        let records = || {
            let of_set = |(index, range): &(usize, Range<usize>)| queues.get(*index)?.records.get(range.clone());
            sets.iter().filter_map(of_set).flatten()
        };
        let mut batch = Self {
            bytes: Vec::with_capacity(records().map(|record| record.key.len() + record.value.len()).sum()),
            entries: Vec::with_capacity(sets.iter().map(|(_, range)| range.len()).sum()),
        };
        for record in records() {
            batch.bytes.extend_from_slice(record.key);
            let key_end = batch.bytes.len();
            batch.bytes.extend_from_slice(record.value);
            batch.entries.push((record.partition, key_end, batch.bytes.len()));
        }
        batch
    }

    fn messages<'b>(&'b self, topic: &'b str) -> impl Iterator<Item = ProduceMessage<'b, 'b>> {
        let mut start = 0;
        self.entries.iter().map(move |&(partition, key_end, end)| {
            let (key, value) = (self.bytes.get(start..key_end), self.bytes.get(key_end..end));
            start = end;
            ProduceMessage::new(topic, partition, key, value)
        })
    }
}

/// The answer for each partition of `asked`, in that order. Each must be named exactly once, and nothing else.
fn confirmed(
    topic: &str,
    asked: &[i32],
    confirms: &[ProduceConfirm],
) -> Result<Vec<Result<(), KafkaCode>>, KafkaError> {
    let odd = || KafkaError::Connection("the broker's answer is not to what was sent".to_owned());
    let mut answers = BTreeMap::new();
    for confirm in confirms {
        for partition in &confirm.partition_confirms {
            let answer = partition.offset.as_ref().map(|_| ()).map_err(|code| *code);
            if confirm.topic != topic || answers.insert(partition.partition, answer).is_some() {
                return Err(odd());
            }
        }
    }
    if answers.len() != asked.len() {
        return Err(odd());
    }
    asked.iter().map(|partition| answers.remove(partition).ok_or_else(odd)).collect()
}

#[cfg(test)]
mod tests {
    use kafka::client::ProducePartitionConfirm;

    use super::*;

    fn record(partition: i32, value: &[u8]) -> Record<'_> {
        Record { partition, key: b"k", value }
    }

    fn confirm(topic: &str, partitions: &[(i32, Result<i64, KafkaCode>)]) -> ProduceConfirm {
        let confirms = partitions.iter().map(|&(partition, offset)| ProducePartitionConfirm { offset, partition });
        ProduceConfirm { topic: topic.to_owned(), partition_confirms: confirms.collect() }
    }

    #[test]
    fn a_partition_is_cut_into_sets_in_order_and_a_large_record_goes_alone() {
        let (small, large) = ([0; 73], [0; 1000]);
        let records = [record(1, &small), record(1, &small), record(1, &large), record(1, &small), record(2, &small)];
        let mut queues: Vec<_> = queues(&records).into_values().collect();
        let mut seen = Vec::new();
        loop {
            let sets = next_sets(&queues, 200);
            if sets.is_empty() {
                break;
            }
            for (index, range) in sets {
                queues[index].sent = range.end;
                seen.push((queues[index].partition, range));
            }
        }
        assert_eq!(seen, [(1, 0..2), (2, 0..1), (1, 2..3), (1, 3..4)]);
    }

    #[test]
    fn a_call_is_bounded_however_many_partitions_there_are() {
        let value = vec![0; SET_LIMIT - 100];
        let records: Vec<_> = (0..20).map(|partition| record(partition, &value)).collect();
        let queues: Vec<_> = queues(&records).into_values().collect();
        assert_eq!(next_sets(&queues, SET_LIMIT).len(), 9);
    }

    #[test]
    fn packing_keeps_keys_values_and_order() {
        let records = [record(3, b"one"), record(1, b""), record(3, b"two")];
        let queues: Vec<_> = queues(&records).into_values().collect();
        let sets = next_sets(&queues, SET_LIMIT);
        let batch = Batch::pack(&queues, &sets);
        let messages: Vec<_> = batch.messages("t").map(|m| (m.partition, m.key, m.value)).collect();
        let key = Some(&b"k"[..]);
        assert_eq!(messages, [(1, key, Some(&b""[..])), (3, key, Some(&b"one"[..])), (3, key, Some(&b"two"[..]))]);
    }

    #[test]
    fn only_an_answer_to_exactly_what_was_asked_counts() {
        let well = confirm("t", &[(2, Ok(7)), (0, Err(KafkaCode::NotEnoughReplicas))]);
        assert_eq!(confirmed("t", &[0, 2], &[well]).unwrap(), [Err(KafkaCode::NotEnoughReplicas), Ok(())]);
        for odd in [
            vec![],
            vec![confirm("t", &[(0, Ok(1))])],
            vec![confirm("t", &[(0, Ok(1)), (0, Ok(1))])],
            vec![confirm("t", &[(0, Ok(1)), (3, Ok(1))])],
            vec![confirm("t", &[(0, Ok(1)), (2, Ok(1)), (3, Ok(1))])],
            vec![confirm("u", &[(0, Ok(1)), (2, Ok(1))])],
            vec![confirm("t", &[(0, Ok(1)), (2, Ok(1))]), confirm("t", &[(0, Ok(1))])],
        ] {
            assert!(matches!(confirmed("t", &[0, 2], &odd), Err(KafkaError::Connection(_))), "{odd:?}");
        }
    }
}
