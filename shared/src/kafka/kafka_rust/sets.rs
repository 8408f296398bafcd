//! What goes into one produce call: each partition's records in order, cut into sets below the broker's batch limit.

use std::collections::BTreeMap;
use std::ops::Range;

use kafka::client::ProduceMessage;

use super::super::Record;

/// The most bytes of one partition's records in a call: a broker refuses a batch above 1 MiB (`max.message.bytes`), and
/// framing needs some of that.
pub(super) const SET_LIMIT: usize = 900_000;
/// The most bytes of a call, unless a single set is larger.
pub(super) const CALL_SIZE: usize = 8 << 20;
/// What the protocol adds to each record.
const FRAMING: usize = 26;
/// The records of one partition, and how far they are sent.
pub(super) struct Queue<'r> {
    pub(super) partition: i32,
    records: Vec<&'r Record<'r>>,
    pub(super) sent: usize,
    pub(super) failed: bool,
    /// Up to here, a set was refused for what may be one of its records: it goes again in halves.
    pub(super) suspect: usize,
}

/// `records` by partition.
pub(super) fn queues<'r>(records: &'r [Record<'r>]) -> BTreeMap<i32, Queue<'r>> {
    let mut queues = BTreeMap::new();
    for record in records {
        let partition = record.partition;
        let queue = queues.entry(partition).or_insert_with(|| Queue {
            partition,
            records: Vec::new(),
            sent: 0,
            failed: false,
            suspect: 0,
        });
        queue.records.push(record);
    }
    queues
}

impl Queue<'_> {
    /// Whether all of it is sent.
    pub(super) fn is_done(&self) -> bool {
        self.sent >= self.records.len()
    }

    /// The bytes of the records in `range`.
    pub(super) fn size(&self, range: &Range<usize>) -> usize {
        self.records.get(range.clone()).unwrap_or_default().iter().map(|record| size(record)).sum()
    }

    /// The record at `index`.
    pub(super) fn record(&self, index: usize) -> Option<&Record<'_>> {
        self.records.get(index).copied()
    }

    /// The next records that fit into `limit` bytes, at least one, and their size. Of suspect ones at most the first half.
    fn next_set(&self, limit: usize) -> (Range<usize>, usize) {
        let mut bytes = 0;
        let mut end = self.sent;
        let suspects = self.suspect.saturating_sub(self.sent);
        let most = if suspects > 0 { suspects.div_ceil(2) } else { usize::MAX };
        for record in self.records.iter().skip(self.sent).take(most) {
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

/// The sets of the next call: by index of their queue, one of each queue that has any left, while they fit
/// into `call` bytes. A set has at most `limit`.
pub(super) fn next_sets(queues: &[Queue<'_>], limit: usize, call: usize) -> Vec<(usize, Range<usize>)> {
    let mut sets = Vec::new();
    let mut total = 0;
    for (index, queue) in queues.iter().enumerate().filter(|(_, queue)| !queue.failed && !queue.is_done()) {
        let (range, bytes) = queue.next_set(limit.min(call));
        if !sets.is_empty() && total + bytes > call {
            break;
        }
        total += bytes;
        sets.push((index, range));
    }
    sets
}

/// A call's records in one buffer of their own, since the client's thread may outlive the call.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// The partition of each record, and where its key and its value end.
    entries: Vec<(i32, usize, usize)>,
}

impl Batch {
    /// Copies the records of `sets`.
    pub(super) fn pack(queues: &[Queue<'_>], sets: &[(usize, Range<usize>)]) -> Self {
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

    /// The records as the crate takes them.
    pub(super) fn messages<'b>(&'b self, topic: &'b str) -> impl Iterator<Item = ProduceMessage<'b, 'b>> {
        let mut start = 0;
        self.entries.iter().map(move |&(partition, key_end, end)| {
            let (key, value) = (self.bytes.get(start..key_end), self.bytes.get(key_end..end));
            start = end;
            ProduceMessage::new(topic, partition, key, value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(partition: i32, value: &[u8]) -> Record<'_> {
        Record { partition, key: b"k", value }
    }

    #[test]
    fn a_partition_is_cut_into_sets_in_order_and_a_large_record_goes_alone() {
        let (small, large) = ([0; 73], [0; 1000]);
        let records = [record(1, &small), record(1, &small), record(1, &large), record(1, &small), record(2, &small)];
        let mut queues: Vec<_> = queues(&records).into_values().collect();
        let mut seen = Vec::new();
        loop {
            let sets = next_sets(&queues, 200, CALL_SIZE);
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
    fn a_refused_set_goes_again_in_halves_until_its_end() {
        let value = [0; 10];
        let records = [record(1, &value); 9];
        let mut queues: Vec<_> = queues(&records).into_values().collect();
        queues[0].suspect = 8;
        let mut seen = Vec::new();
        while let Some((_, range)) = next_sets(&queues, SET_LIMIT, CALL_SIZE).pop() {
            queues[0].sent = range.end;
            seen.push(range);
        }
        assert_eq!(seen, [0..4, 4..6, 6..7, 7..8, 8..9]);
    }

    #[test]
    fn a_call_is_bounded_however_many_partitions_there_are() {
        let value = vec![0; SET_LIMIT - 100];
        let records: Vec<_> = (0..20).map(|partition| record(partition, &value)).collect();
        let queues: Vec<_> = queues(&records).into_values().collect();
        assert_eq!(next_sets(&queues, SET_LIMIT, CALL_SIZE).len(), 9);
        assert_eq!(next_sets(&queues, SET_LIMIT, 1000).len(), 1, "a record is not cut");
    }

    #[test]
    fn packing_keeps_keys_values_and_order() {
        let records = [record(3, b"one"), record(1, b""), record(3, b"two")];
        let queues: Vec<_> = queues(&records).into_values().collect();
        let sets = next_sets(&queues, SET_LIMIT, CALL_SIZE);
        let batch = Batch::pack(&queues, &sets);
        let messages: Vec<_> = batch.messages("t").map(|m| (m.partition, m.key, m.value)).collect();
        let key = Some(&b"k"[..]);
        assert_eq!(messages, [(1, key, Some(&b""[..])), (3, key, Some(&b"one"[..])), (3, key, Some(&b"two"[..]))]);
    }
}
