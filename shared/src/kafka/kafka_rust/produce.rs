//! Sending: calls to one leader each, their answers compared with what was asked.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use kafka::client::{ProduceConfirm, RequiredAcks};
use kafka::error::KafkaCode;

use super::super::codes::{self, Blame};
use super::super::{Delivery, KafkaError, Record, RefusedRecord};
use super::sets::{Batch, Queue, next_sets, queues};
use super::{KafkaRust, by_leader, failure, single};

/// How long the broker may wait for its replicas. Less than the session's limit on calls.
const ACK_LIMIT: Duration = Duration::from_secs(10);

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
    for (leader, mut queues) in kafka.in_turn(led) {
        // The session that knew this leader is gone: a new one is for the next call, with metadata of its own.
        let end = match &broken {
            Some(error) => Err(error.clone()),
            None => {
                send_to(kafka, topic, &leader, &mut queues, &mut delivery).inspect_err(|_| kafka.note_failure(&leader))
            }
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
        let sets = next_sets(queues, kafka.set_size.limit(Instant::now()), kafka.sending.size());
        if sets.is_empty() {
            return Ok(());
        }
        let batch = Batch::pack(queues, &sets);
        let begun = Instant::now();
        let owned_topic = topic.to_owned();
        let confirms = kafka
            .call(move |client| client.produce_messages(RequiredAcks::All, ACK_LIMIT, batch.messages(&owned_topic)));
        kafka.sending.learn(&confirms, begun.elapsed());
        let confirms = confirms?;
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
            let failure = match answer {
                Ok(()) => {
                    queue.sent = range.end;
                    None
                }
                Err(code) => refusal(kafka, topic, leader, queue, range, code),
            };
            queue.failed = failure.is_some();
            if let Some(error) = failure {
                delivery.insert(queue.partition, Err(error));
            } else if queue.is_done() {
                delivery.insert(queue.partition, Ok(()));
            }
        }
    }
}

/// What a code means for a partition, and what the next call must do otherwise. `None` where smaller sets are to be tried: the
/// codes about records speak of a whole set, and one record of it may be the cause.
fn refusal(
    kafka: &mut KafkaRust,
    topic: &str,
    leader: &str,
    queue: &mut Queue<'_>,
    range: Range<usize>,
    code: KafkaCode,
) -> Option<KafkaError> {
    let (mut number, mut refused) = (code as i16, range.clone());
    if code == KafkaCode::Unknown {
        // The crate calls all codes above 35 so. The first record alone tells which it is, or is acknowledged.
        refused.end = range.start + 1;
        let record = queue.record(range.start)?;
        number = match single::produce(leader, topic, record, ACK_LIMIT) {
            Ok(number) => number,
            Err(error) => {
                return Some(KafkaError::Connection(format!("asking {leader} about a refused record: {error}")));
            }
        };
    }
    let (blame, size) = (codes::blame(number), queue.size(&refused));
    if number == 0 {
        queue.sent = refused.end;
        queue.suspect = range.end;
        return None;
    }
    if !blame.is_of_records() {
        let error = failure::of_number(number);
        if matches!(error, KafkaError::LeaderMoving(_)) {
            kafka.forget_leaders(topic);
        }
        return Some(error);
    }
    if refused.len() == 1 {
        let reason = codes::refusal(number, size);
        return Some(KafkaError::RecordRefused(RefusedRecord {
            index: range.start,
            is_final: blame.is_final(),
            reason,
        }));
    }
    if blame == Blame::Size {
        kafka.set_size.too_large(size, Instant::now());
    }
    queue.suspect = range.end;
    None
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

    fn confirm(topic: &str, partitions: &[(i32, Result<i64, KafkaCode>)]) -> ProduceConfirm {
        let confirms = partitions.iter().map(|&(partition, offset)| ProducePartitionConfirm { offset, partition });
        ProduceConfirm { topic: topic.to_owned(), partition_confirms: confirms.collect() }
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
