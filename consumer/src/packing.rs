//! Packs what a fetch brought into batches of a bounded size.

use std::collections::VecDeque;

use isitup_shared::kafka::Message;

use crate::ingest::decode::decode;
use crate::ingest::{Batch, Run};

/// The most records of a transaction: more would not be cheaper per row, and a visible row would come later.
const MOST_RECORDS: usize = 5_000;

/// The most bytes of messages in a transaction.
const MOST_BYTES: usize = 4 << 20;

/// The messages of one partition.
#[derive(Debug)]
pub(crate) struct Queue {
    /// The partition.
    pub partition: i32,
    /// The lease they were read under.
    pub epoch: i64,
    /// Where the partition's offset stands.
    pub expected: i64,
    /// The messages, offsets ascending.
    pub messages: VecDeque<Message>,
}

/// Takes the next batch off the front of `queues`, which are sorted by partition; `None` when nothing is left.
pub(crate) fn next_batch(queues: &mut VecDeque<Queue>) -> Option<Batch> {
    let mut batch = Batch::default();
    let (mut records, mut bytes) = (0, 0);
    while let Some(queue) = queues.front_mut() {
        let mut run =
            Run { partition: queue.partition, epoch: queue.epoch, expected: queue.expected, records: Vec::new() };
        while records < MOST_RECORDS && (bytes < MOST_BYTES || records == 0) {
            let Some(message) = queue.messages.pop_front() else { break };
            records += 1;
            bytes += message.value.len();
            run.records.push(decode(message.offset, message.value));
        }
        queue.expected = run.next();
        let is_done = queue.messages.is_empty();
        if !run.records.is_empty() {
            batch.runs.push(run);
        }
        if !is_done {
            break;
        }
        queues.pop_front();
    }
    (!batch.is_empty()).then_some(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(partition: i32, count: usize, size: usize) -> Queue {
        let messages = (0..count).map(|n| Message { offset: n as i64, value: vec![b'x'; size] }).collect();
        Queue { partition, epoch: 1, expected: 0, messages }
    }

    fn packed(mut queues: VecDeque<Queue>) -> Vec<Vec<(i32, i64, i64)>> {
        let batches = std::iter::from_fn(|| next_batch(&mut queues));
        batches.map(|batch| batch.runs.iter().map(|run| (run.partition, run.expected, run.next())).collect()).collect()
    }

    #[test]
    fn partitions_share_a_batch_until_it_is_full() {
        let batches = packed(VecDeque::from([queue(0, 3_000, 1), queue(1, 3_000, 1), queue(3, 0, 1), queue(4, 1, 1)]));
        assert_eq!(batches, vec![vec![(0, 0, 3_000), (1, 0, 2_000)], vec![(1, 2_000, 3_000), (4, 0, 1)]]);
    }

    #[test]
    fn a_message_larger_than_a_batch_goes_by_itself() {
        let batches = packed(VecDeque::from([queue(0, 3, MOST_BYTES + 1)]));
        assert_eq!(batches, vec![vec![(0, 0, 1)], vec![(0, 1, 2)], vec![(0, 2, 3)]]);
    }
}
