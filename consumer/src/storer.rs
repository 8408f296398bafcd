//! Stores batches, come what may: retries what passes, sets aside what never will, and lets go of what is another's.

use std::fmt::Display;
use std::time::Instant;

use isitup_shared::crash_point;
use isitup_shared::retry::Retry;
use isitup_shared::shutdown::Shutdown;
use jiff::civil::Date;

use crate::assignment::Assignment;
use crate::ingest::{self, Batch, Directory, Scope, WriteError, Written};
use crate::metrics::Metrics;
use crate::status::{Part, Status};
use crate::store::jumps::{self, Skip};
use crate::store::offsets::{self, Move};
use crate::store::{Fault, Session, Store, StoreError, days, gaps};
use crate::waiting::Patience;

/// The shutdown came before the batch could be stored. Its offsets did not move, so nothing is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended;

/// The storing side of the pipeline.
#[derive(Debug)]
pub(crate) struct Storer<'a> {
    store: &'a Store,
    scope: Scope,
    assignment: &'a Assignment,
    metrics: &'a Metrics,
    status: &'a Status,
    shutdown: &'a Shutdown,
    link: Option<Link>,
    /// Whether there was a connection before.
    has_connected: bool,
    patience: Patience,
    retry: Retry,
}

/// A connection, and what was learnt over it.
#[derive(Debug)]
struct Link {
    session: Session,
    directory: Directory,
}

/// Why an attempt failed.
enum Failure {
    /// Before the commit: nothing happened.
    Write(WriteError),
    /// During the commit: it may have happened.
    Commit(StoreError),
}

impl<E: Into<WriteError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Write(error.into())
    }
}

impl<'a> Storer<'a> {
    /// A storer that connects on first use.
    pub(crate) fn new(
        store: &'a Store,
        scope: Scope,
        assignment: &'a Assignment,
        (metrics, status): (&'a Metrics, &'a Status),
        shutdown: &'a Shutdown,
    ) -> Self {
        let (patience, retry) = (Patience::new("PostgreSQL"), Retry::for_service());
        Self { store, scope, assignment, metrics, status, shutdown, link: None, has_connected: false, patience, retry }
    }

    /// Stores `batch`, except for partitions that turn out to be no longer ours.
    ///
    /// # Errors
    /// When the shutdown comes first.
    pub(crate) fn store(&mut self, batch: Batch) -> Result<(), Ended> {
        let mut waiting = vec![batch];
        while let Some(batch) = waiting.pop() {
            if batch.is_empty() {
                continue;
            }
            match self.attempt(&batch) {
                Ok(written) => self.done(&batch, &written),
                Err(Failure::Commit(error)) => {
                    log::warn!("whether the last transaction was committed is unknown, looking: {error}");
                    if self.was_committed(&batch)? {
                        self.done(&batch, &Written::default());
                    } else {
                        waiting.push(batch);
                    }
                }
                Err(Failure::Write(error)) => {
                    if let Some(link) = &mut self.link {
                        link.directory = Directory::default();
                    }
                    self.recover(error, batch, &mut waiting)?;
                }
            }
        }
        Ok(())
    }

    fn attempt(&mut self, batch: &Batch) -> Result<Written, Failure> {
        self.status.pipeline.beat();
        let (scope, began) = (self.scope.clone(), Instant::now());
        let link = self.link()?;
        let mut tx = link.session.begin_fast()?;
        let written = ingest::write(&mut tx, &scope, batch, &mut link.directory)?;
        crash_point!("store.written");
        tx.commit().map_err(Failure::Commit)?;
        self.metrics.store_batch.observe(began.elapsed().as_secs_f64());
        crash_point!("store.committed");
        Ok(written)
    }

    fn link(&mut self) -> Result<&mut Link, StoreError> {
        let link = match self.link.take() {
            Some(link) => link,
            None => {
                let session = self.store.session()?;
                if std::mem::replace(&mut self.has_connected, true) {
                    self.metrics.postgres_reconnects.inc();
                }
                Link { session, directory: Directory::default() }
            }
        };
        Ok(self.link.insert(link))
    }

    fn done(&mut self, batch: &Batch, written: &Written) {
        self.works();
        self.metrics.count(written);
        if !written.rejected.is_empty() {
            log::warn!(
                "{} messages rejected, kept with the reason: see isitup-consumer rejected",
                written.rejected.len()
            );
        }
        for run in &batch.runs {
            let Move { partition, epoch, next, anchor, .. } = run.offset_move();
            self.assignment.advance(partition, epoch, next, anchor.map(Vec::from));
        }
        crash_point!("store.advanced");
    }

    /// Puts onto `waiting` what is to be tried next.
    fn recover(&mut self, error: WriteError, batch: Batch, waiting: &mut Vec<Batch>) -> Result<(), Ended> {
        match error {
            WriteError::LeaseLost(partitions) => {
                log::warn!("partitions {partitions:?} are held or were moved by someone else: letting go");
                for partition in &partitions {
                    self.metrics.leases_lost.inc();
                    self.assignment.drop_partition(*partition);
                }
                waiting.push(batch.without(&partitions));
            }
            WriteError::StatusMoved => waiting.push(batch),
            WriteError::DaysMissing(days) => {
                if let Err(error) = self.make_days(&days) {
                    self.pause(&error)?;
                }
                waiting.push(batch);
            }
            WriteError::Store(error) => match error.fault() {
                Fault::Conflict => waiting.push(batch),
                Fault::Away => {
                    self.pause(&error)?;
                    waiting.push(batch);
                }
                Fault::Slow => {
                    self.pause(&error)?;
                    waiting.extend(smaller(batch));
                }
                Fault::Data => match batch.halve() {
                    Ok((first, second)) => waiting.extend([second, first]),
                    Err(single) => waiting.push(self.refuse(single, &error)?),
                },
            },
        }
        Ok(())
    }

    /// Turns the one record of a batch into one that is set aside.
    fn refuse(&mut self, mut single: Batch, error: &StoreError) -> Result<Batch, Ended> {
        let record = single.runs.first_mut().and_then(|run| run.records.first_mut());
        match record.filter(|record| record.content.is_ok()) {
            Some(record) => record.refuse(error.to_string()),
            // It is set aside already, and not even that is taken: no fault of the record.
            None => self.pause(error)?,
        }
        Ok(single)
    }

    fn make_days(&mut self, missing: &[Date]) -> Result<(), StoreError> {
        let link = self.link()?;
        for day in missing {
            let mut tx = link.session.begin_durable()?;
            days::ensure(&mut tx, *day)?;
            tx.commit()?;
        }
        Ok(())
    }

    /// Whether a batch whose commit was cut off is in the database: its offsets tell.
    fn was_committed(&mut self, batch: &Batch) -> Result<bool, Ended> {
        let Some(first) = batch.runs.first() else { return Ok(true) };
        loop {
            self.link = None;
            match self.position(first.partition, first.epoch) {
                Ok(position) => return Ok(position == Some(first.next())),
                Err(error) => self.pause(&error)?,
            }
        }
    }

    fn position(&mut self, partition: i32, epoch: i64) -> Result<Option<i64>, StoreError> {
        let (topic, owner) = (self.scope.topic.clone(), self.scope.owner);
        let mut tx = self.link()?.session.begin_durable()?;
        let position = offsets::position_under_lease(&mut tx, &topic, owner, partition, epoch)?;
        tx.commit()?;
        Ok(position)
    }

    /// Makes sure that the table knows these partitions; new ones begin at the given offsets.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) fn add_partitions(&mut self, earliest: &[(i32, i64)]) -> Result<(), StoreError> {
        let topic = self.scope.topic.clone();
        let result = self.in_transaction(|tx| {
            let added = offsets::add_partitions(tx, &topic, earliest)?;
            crash_point!("partitions.added");
            Ok(added)
        });
        let added = self.noted(result)?;
        if added > 0 {
            log::info!("{added} new partitions of {topic} found");
        }
        Ok(())
    }

    /// Moves an offset to `next` past records that are gone, and records which. Whether the partition still was ours.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) fn skip(&mut self, skipped: Move, lost: (i64, Option<i64>)) -> Result<bool, StoreError> {
        let scope = self.scope.clone();
        let result = self.in_transaction(|tx| {
            let moved = offsets::advance(tx, &scope.topic, scope.owner, &[skipped], scope.lease)?;
            if !moved.is_empty() {
                gaps::insert_truncation(tx, &scope.topic, skipped.partition, lost.0, lost.1)?;
                // Where nobody can know what was lost, the topic was made anew.
                let why = lost.1.map_or(Skip::NewTopic, |_| Skip::Truncated);
                jumps::note(tx, &scope.topic, skipped.partition, (skipped.expected, skipped.next), why)?;
            }
            Ok(!moved.is_empty())
        });
        let is_ours = self.noted(result)?;
        if is_ours {
            self.assignment.advance(skipped.partition, skipped.epoch, skipped.next, None);
        } else {
            self.assignment.drop_partition(skipped.partition);
        }
        Ok(is_ours)
    }

    fn in_transaction<T>(
        &mut self,
        work: impl FnOnce(&mut crate::store::Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut tx = self.link()?.session.begin_durable()?;
        let value = work(&mut tx)?;
        tx.commit()?;
        Ok(value)
    }

    /// Notes that the database works, or drops the connection.
    fn noted<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        match &result {
            Ok(_) => self.works(),
            Err(error) => {
                self.link = None;
                self.metrics.store_errors.inc();
                self.status.trouble(Part::Database, error.to_string());
                self.patience.failed(error);
            }
        }
        result
    }

    fn works(&mut self) {
        self.status.well(Part::Database);
        self.patience.succeeded();
        self.retry.reset();
    }

    /// Drops the connection and waits before the next try.
    fn pause(&mut self, why: &dyn Display) -> Result<(), Ended> {
        self.link = None;
        self.metrics.store_errors.inc();
        self.status.pipeline.beat();
        self.status.trouble(Part::Database, why.to_string());
        self.patience.failed(why);
        if self.retry.pause(self.shutdown) { Err(Ended) } else { Ok(()) }
    }
}

/// The batch as two, the first one last, unless it is a single record.
fn smaller(batch: Batch) -> Vec<Batch> {
    match batch.halve() {
        Ok((first, second)) => {
            log::warn!("the database did not store a batch in time: trying smaller ones");
            vec![second, first]
        }
        Err(single) => vec![single],
    }
}
