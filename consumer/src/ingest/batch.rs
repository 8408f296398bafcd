//! What one transaction stores: runs of records, one for each partition.

use std::collections::BTreeSet;

use isitup_shared::event::Body;
use isitup_shared::time::UtcTime;
use jiff::civil::Date;
use sha2::{Digest, Sha256};

use super::dates::{date_of, day_of};
use super::decode::Record;
use crate::store::offsets::Move;

/// A run of records of one partition, in order, and the offset move that goes with them.
#[derive(Debug)]
pub struct Run {
    /// The partition.
    pub partition: i32,
    /// The lease it was read under.
    pub epoch: i64,
    /// Where the partition's offset stands before.
    pub expected: i64,
    /// The records; never empty.
    pub records: Vec<Record>,
}

impl Run {
    /// One past the last record.
    pub fn next(&self) -> i64 {
        self.records.last().map_or(self.expected, |record| record.offset + 1)
    }

    /// The move of the partition's offset.
    pub fn offset_move(&self) -> Move {
        Move {
            partition: self.partition,
            epoch: self.epoch,
            expected: self.expected,
            next: self.next(),
            anchor: self.records.last().map(|record| anchor(&record.raw)),
        }
    }
}

/// What a partition's offset holds on to: the hash of the record before it.
pub fn anchor(raw: &[u8]) -> [u8; 32] {
    Sha256::digest(raw).into()
}

/// The days of these times, each once.
pub fn days_of(times: impl IntoIterator<Item = UtcTime>) -> Vec<Date> {
    let days: BTreeSet<i64> = times.into_iter().map(day_of).collect();
    days.into_iter().map(date_of).collect()
}

/// Runs of different partitions that are stored together.
#[derive(Debug, Default)]
pub struct Batch {
    /// The runs, by partition ascending.
    pub runs: Vec<Run>,
}

impl Batch {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.runs.iter().map(|run| run.records.len()).sum()
    }

    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// All records with their partitions.
    pub fn records(&self) -> impl Iterator<Item = (i32, &Record)> {
        self.runs.iter().flat_map(|run| run.records.iter().map(move |record| (run.partition, record)))
    }

    /// Leaves out the runs of `partitions`.
    #[must_use]
    pub fn without(mut self, partitions: &[i32]) -> Self {
        self.runs.retain(|run| !partitions.contains(&run.partition));
        self
    }

    /// The runs by themselves.
    pub fn into_single_runs(self) -> impl Iterator<Item = Self> {
        self.runs.into_iter().map(|run| Self { runs: vec![run] })
    }

    /// The slots of its checks.
    pub fn slots(&self) -> impl Iterator<Item = UtcTime> {
        self.records().filter_map(|(_, record)| match &record.content.as_ref().ok()?.body {
            Body::Check(check) => Some(check.scheduled_at),
            _ => None,
        })
    }

    /// The days of its checks.
    pub fn days(&self) -> Vec<Date> {
        days_of(self.slots())
    }

    /// Two halves that can be stored one after the other, or the batch itself where it is a single record.
    ///
    /// # Errors
    /// The batch, when it cannot be halved.
    pub fn halve(mut self) -> Result<(Self, Self), Self> {
        if self.runs.len() > 1 {
            let second = self.runs.split_off(self.runs.len() / 2);
            return Ok((self, Self { runs: second }));
        }
        let Some(run) = self.runs.first_mut().filter(|run| run.records.len() > 1) else {
            return Err(self);
        };
        let records = run.records.split_off(run.records.len() / 2);
        let second = Run { partition: run.partition, epoch: run.epoch, expected: run.next(), records };
        Ok((self, Self { runs: vec![second] }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::decode::decode;

    fn run(partition: i32, offsets: std::ops::Range<i64>) -> Run {
        let records = offsets.clone().map(|offset| decode(offset, offset.to_string().into_bytes())).collect();
        Run { partition, epoch: 1, expected: offsets.start, records }
    }

    #[test]
    fn halving_goes_on_down_to_single_records_and_loses_none() {
        let mut waiting = vec![Batch { runs: vec![run(0, 0..5), run(1, 7..8), run(4, 2..9)] }];
        let mut singles = Vec::new();
        while let Some(batch) = waiting.pop() {
            match batch.halve() {
                Ok((first, second)) => waiting.extend([second, first]),
                Err(single) => singles.push(single.runs[0].offset_move()),
            }
        }
        let moves: Vec<_> = singles.iter().map(|m| (m.partition, m.expected, m.next)).collect();
        let expected: Vec<_> = [(0, 0..5), (1, 7..8), (4, 2..9)]
            .into_iter()
            .flat_map(|(partition, range)| range.map(move |offset| (partition, offset, offset + 1)))
            .collect();
        assert_eq!(moves, expected);
    }

    #[test]
    fn an_offset_that_jumps_over_missing_records_still_moves_past_the_last() {
        let mut run = run(0, 3..6);
        run.records.remove(1);
        assert_eq!((run.expected, run.next()), (3, 6));
    }
}
