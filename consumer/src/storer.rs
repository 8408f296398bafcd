//! Stores batches, come what may: retries what passes, sets aside what never will, and lets go of what is another's.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::{Duration, Instant};

use isitup_shared::crash_point;
use isitup_shared::retry::Retry;
use isitup_shared::shutdown::Shutdown;
use isitup_shared::time::UtcTime;
use jiff::civil::Date;

use crate::assignment::{Assignment, Held};
use crate::blame::{KnownSymptoms, Suspect, Verdict};
use crate::ingest::{self, Batch, Directory, Scope, WriteError, Written};
use crate::metrics::Metrics;
use crate::parking::Parking;
use crate::status::{Part, Status};
use crate::store::jumps::{self, Skip};
use crate::store::offsets::{self, Move};
use crate::store::{Fault, Session, Store, StoreError, days, gaps};
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

    /// The batch as two, the first one last, or itself where it is a single record.
    fn halve(self) -> Result<[Self; 2], Self> {
        let Self { batch, tries, is_proved } = self;
        let half = |batch| Self { batch, tries, is_proved };
        match batch.halve() {
            Ok((first, second)) => Ok([half(second), half(first)]),
            Err(single) => Err(half(single)),
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

    /// Puts onto `waiting` what is to be tried next.
    fn recover(&mut self, error: WriteError, mut work: Work, waiting: &mut Vec<Work>) -> Result<(), Ended> {
        // Nothing is tried again at once for ever.
        let is_patient = work.tries < PATIENT_TRIES;
        match error {
            WriteError::LeaseLost(partitions) => {
                log::warn!("lost the lease on partitions {partitions:?}, or their offsets were moved: another consumer stores them");
                for partition in &partitions {
                    self.metrics.leases_lost.inc();
                    self.assignment.drop_partition(*partition);
                }
                work.batch = work.batch.without(&partitions);
                waiting.push(work);
            }
            WriteError::StatusMoved if is_patient => waiting.push(Work { tries: work.tries + 1, ..work }),
            WriteError::StatusMoved => self.doubt(&StoreError::Vanished("a status"), work, waiting)?,
            WriteError::DaysMissing(days) => {
                let made = self.make_days(&days);
                self.try_again(made, work, waiting)?;
            }
            WriteError::Store(error) => match error.fault() {
                Fault::Conflict if is_patient => waiting.push(Work { tries: work.tries + 1, ..work }),
                Fault::NoPartition if is_patient => {
                    log::warn!("a day's partition is missing, making it again: {error}");
                    let restored = self.restore_days(&work.batch.days());
                    self.try_again(restored, work, waiting)?;
                }
                Fault::Slow if is_halvable(&work.batch) => {
                    self.pause(&error)?;
                    log::warn!("the database did not store a batch in time: trying smaller ones");
                    waiting.extend(work.halve().map_or_else(|single| vec![single], Vec::from));
                }
                Fault::Data if is_halvable(&work.batch) => {
                    waiting.extend(work.halve().map_or_else(|single| vec![single], Vec::from));
                }
                _ => self.doubt(&error, work, waiting)?,
            },
        }
        Ok(())
    }

    /// Tries `work` again: at once where what it lacked was made, else after a pause.
    fn try_again(&mut self, made: Result<(), StoreError>, work: Work, waiting: &mut Vec<Work>) -> Result<(), Ended> {
        match made {
            Ok(()) if work.tries < PATIENT_TRIES => {}
            Ok(()) => self.pause(&"the partition of a day is missing though it was made")?,
            Err(error) => self.pause(&error)?,
        }
        waiting.push(Work { tries: work.tries + 1, ..work });
        Ok(())
    }

    /// Finds out whether a record is to blame: see [`crate::blame`].
    fn doubt(&mut self, error: &StoreError, mut work: Work, waiting: &mut Vec<Work>) -> Result<(), Ended> {
        let (fault, symptom) = (error.fault(), error.symptom());
        if work.is_proved && is_halvable(&work.batch) {
            waiting.extend(work.halve().map_or_else(|single| vec![single], Vec::from));
            return Ok(());
        }
        work.tries += 1;
        let is_known = self.known.contains(&symptom, Instant::now());
        if work.tries < PATIENT_TRIES && !is_known && fault != Fault::Data {
            self.pause(error)?;
            waiting.push(work);
            return Ok(());
        }
        let passed = self.control_passes(&work.batch, fault);
        let now = Instant::now();
        if !passed {
            for run in &work.batch.runs {
                if let Some(suspect) = self.suspects.get_mut(&run.partition) {
                    suspect.acquit(now);
                }
            }
            self.pause(error)?;
            waiting.push(work);
            return Ok(());
        }
        if work.batch.runs.len() > 1 {
            let tries = PATIENT_TRIES;
            waiting.extend(work.batch.into_single_runs().map(|batch| Work { tries, ..Work::new(batch) }));
            return Ok(());
        }
        match self.judge(&work.batch, fault, is_known, now) {
            Verdict::Halve => {
                work.is_proved = true;
                waiting.extend(work.halve().map_or_else(|single| vec![single], Vec::from));
            }
            Verdict::SetAside if self.refuse(&mut work.batch, error) => {
                self.known.prove(symptom, now);
                waiting.push(work);
            }
            Verdict::SetAside | Verdict::Wait => self.park(work.batch, error, waiting),
        }
        Ok(())
    }

    /// The verdict on a batch of one run that failed while the control passed.
    fn judge(&mut self, batch: &Batch, fault: Fault, is_known: bool, now: Instant) -> Verdict {
        let Some(run) = batch.runs.first() else { return Verdict::Wait };
        let new = Suspect::new(run.expected, run.records.len(), now);
        let suspect = self.suspects.entry(run.partition).or_insert(new);
        if (suspect.position, suspect.size) != (new.position, new.size) {
            *suspect = new;
        }
        suspect.failed(fault, is_known, now)
    }

    /// Turns the one record of a batch into one that is set aside; unless it is already, and not even that is taken. Then
    /// it is the record again that it was. Whether it is now set aside.
    fn refuse(&mut self, single: &mut Batch, error: &StoreError) -> bool {
        let Some(run) = single.runs.first_mut() else { return false };
        let partition = run.partition;
        let Some(record) = run.records.pop() else { return false };
        let is_new = record.content.is_ok();
        let mut record = if is_new { record } else { record.as_it_came() };
        if is_new {
            let means = if error.fault() == Fault::Data { "" } else { "; harmless records were stored meanwhile" };
            log::warn!("partition {partition}, offset {}: the record cannot be stored: {error}{means}", record.offset);
            record.refuse(format!("{error}{means}"));
        }
        run.records.push(record);
        self.suspects.remove(&partition);
        is_new
    }

    /// Lets the partition of a batch of one run wait, and goes on with the others. Its records are fetched again.
    fn park(&mut self, batch: Batch, error: &StoreError, waiting: &mut [Work]) {
        for run in batch.runs {
            self.parking.park(run.partition, run.expected, &error.to_string(), Instant::now());
            for work in &mut *waiting {
                work.batch = std::mem::take(&mut work.batch).without(&[run.partition]);
            }
        }
        self.metrics.store_errors.inc();
        self.show_parked();
    }

    /// Whether harmless records can be stored where `batch` cannot.
    fn control_passes(&mut self, batch: &Batch, fault: Fault) -> bool {
        // Bad data comes in floods, and is told by the error itself.
        let is_recent = self.control_passed.is_some_and(|at| at.elapsed() < Duration::from_secs(1));
        if fault == Fault::Data && is_recent {
            return true;
        }
        self.link = None;
        self.status.pipeline.beat();
        let tried = self.try_control(batch);
        if let Err(error) = &tried {
            log::debug!("harmless records were not stored either: {error}");
        }
        let made = match &tried {
            Err(WriteError::DaysMissing(days)) => self.make_days(days),
            Err(WriteError::Store(error)) if error.fault() == Fault::NoPartition => {
                self.restore_days(&control_days(batch))
            }
            _ => Ok(()),
        };
        if let Err(error) = made {
            log::debug!("the partition for harmless records was not made: {error}");
        }
        self.control_passed = tried.is_ok().then(Instant::now);
        tried.is_ok()
    }

    fn try_control(&mut self, batch: &Batch) -> Result<(), WriteError> {
        let scope = self.scope.clone();
        let partition = batch.runs.first().map_or(0, |run| run.partition);
        let link = self.link()?;
        let mut tx = link.session.begin_trial()?;
        ingest::move_offsets(&mut tx, &scope, batch)?;
        ingest::try_control(&mut tx, &scope, partition, control_slot(batch))?;
        tx.check_deferred()?;
        // Rolled back.
        drop(tx);
        Ok(())
    }

    fn restore_days(&mut self, days: &[Date]) -> Result<(), StoreError> {
        let mut tx = self.link()?.session.begin_durable()?;
        days::restore(&mut tx, days)?;
        tx.commit()
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

fn is_halvable(batch: &Batch) -> bool {
    batch.len() > 1
}

/// The slot of the control's checks: that of the record in question, whose partition may be what fails. Of several
/// records one may lie where nothing is kept.
fn control_slot(batch: &Batch) -> UtcTime {
    let slot = if is_halvable(batch) { None } else { batch.slots().next() };
    slot.unwrap_or_else(UtcTime::now)
}

/// The day of the control's checks.
fn control_days(batch: &Batch) -> Vec<Date> {
    ingest::days_of([control_slot(batch)])
}
