//! Stores batches, come what may: retries what passes, sets aside what never will, and lets go of what is another's.

mod recovery;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::{Duration, Instant};

use isitup_shared::crash_point;
use isitup_shared::retry::Retry;
use isitup_shared::shutdown::Shutdown;
use jiff::civil::Date;

use crate::assignment::{Assignment, Held};
use crate::blame::{KnownSymptoms, Suspect};
use crate::ingest::{self, Batch, Directory, Scope, WriteError, Written};
use crate::metrics::Metrics;
use crate::parking::Parking;
use crate::status::{Part, Status};
use crate::store::jumps::{self, Skip};
use crate::store::offsets::{self, Move};
use crate::store::{Session, Store, StoreError, days, gaps};
use crate::waiting::Patience;

/// So often a batch is tried again before anybody asks whether it is the batch: most troubles pass, and concern all.
const PATIENT_TRIES: u32 = 3;

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
    /// Runs that failed while harmless records were stored.
    suspects: BTreeMap<i32, Suspect>,
    known: KnownSymptoms,
    parking: Parking,
    control_passed: Option<Instant>,
}

/// A batch on its way.
#[derive(Debug)]
struct Work {
    batch: Batch,
    /// How often it failed.
    tries: u32,
    /// Whether one of its records is known to be to blame.
    is_proved: bool,
}

impl Work {
    fn new(batch: Batch) -> Self {
        Self { batch, tries: 0, is_proved: false }
    }

    /// Its partitions by themselves, or the halves of one partition.
    fn parts(self) -> Vec<Self> {
        let Self { batch, tries, is_proved } = self;
        if batch.runs.len() > 1 {
            return batch.into_single_runs().map(|batch| Self { batch, tries, is_proved }).collect();
        }
        Self { batch, tries, is_proved }.halves()
    }

    /// The batch as two, the first one last; or itself where it is a single record.
    fn halves(self) -> Vec<Self> {
        let Self { batch, tries, is_proved } = self;
        let half = |batch| Self { batch, tries, is_proved };
        match batch.halve() {
            Ok((first, second)) => vec![half(second), half(first)],
            Err(single) => vec![half(single)],
        }
    }
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
        Self {
            store,
            scope,
            assignment,
            metrics,
            status,
            shutdown,
            link: None,
            has_connected: false,
            patience,
            retry,
            suspects: BTreeMap::new(),
            known: KnownSymptoms::default(),
            parking: Parking::new(),
            control_passed: None,
        }
    }

    /// Stores `batch`, except for partitions that turn out to be no longer ours, and for those that must wait: see
    /// [`Self::waits`].
    ///
    /// # Errors
    /// When the shutdown comes first.
    pub(crate) fn store(&mut self, batch: Batch) -> Result<(), Ended> {
        let mut waiting = self.separate(batch);
        while let Some(work) = waiting.pop() {
            if work.batch.is_empty() {
                continue;
            }
            match self.attempt(&work.batch) {
                Ok(written) => self.done(&work.batch, &written),
                Err(Failure::Commit(error)) => {
                    log::warn!("COMMIT got no answer; reading the offsets to see whether it was applied: {error}");
                    if self.was_committed(&work.batch)? {
                        self.done(&work.batch, &Written::default());
                    } else if work.tries == 0 {
                        waiting.push(Work { tries: 1, ..work });
                    } else {
                        self.recover(error.into(), work, &mut waiting)?;
                    }
                }
                Err(Failure::Write(error)) => {
                    if let Some(link) = &mut self.link {
                        link.directory = Directory::default();
                    }
                    self.recover(error, work, &mut waiting)?;
                }
            }
        }
        Ok(())
    }

    /// What there is to store of `batch` now: runs that failed before by themselves, so that they hold up no others.
    fn separate(&self, batch: Batch) -> Vec<Work> {
        let (mut common, mut apart, now) = (Batch::default(), Vec::new(), Instant::now());
        for mut run in batch.runs {
            let suspect = self.suspects.get(&run.partition).filter(|suspect| suspect.position == run.expected);
            if self.parking.holds(run.partition, now) {
                continue;
            }
            match suspect {
                Some(suspect) => {
                    run.records.truncate(suspect.size.max(1));
                    apart.push(Work { tries: PATIENT_TRIES, ..Work::new(Batch { runs: vec![run] }) });
                }
                None => common.runs.push(run),
            }
        }
        apart.push(Work::new(common));
        apart
    }

    /// Whether the next record of `partition` is not to be tried yet.
    pub(crate) fn waits(&self, partition: i32) -> bool {
        self.parking.holds(partition, Instant::now())
    }

    /// Waits until a partition may be tried again, at most for so long.
    pub(crate) fn wait_for_parked(&self, at_most: Duration) {
        self.shutdown.wait(self.parking.shortest_wait(Instant::now()).min(at_most));
    }

    /// Forgets what it knows of partitions that are no longer ours.
    pub(crate) fn keep_only(&mut self, held: &BTreeMap<i32, Held>) {
        self.suspects.retain(|partition, _| held.contains_key(partition));
        self.parking.keep_only(|partition| held.contains_key(&partition));
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
        for run in &batch.runs {
            self.suspects.remove(&run.partition);
            self.parking.release(run.partition);
        }
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
        self.show_parked();
        self.patience.succeeded();
        self.retry.reset();
    }

    fn show_parked(&self) {
        if let Some(why) = self.parking.why() {
            self.status.trouble(Part::Database, why);
        }
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
