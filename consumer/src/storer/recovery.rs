//! What to do about a batch that was not stored: retry it, make what it lacks, halve it, let its partition wait, or set its
//! one record aside.

use std::time::{Duration, Instant};

use isitup_shared::time::UtcTime;
use jiff::civil::Date;

use super::{Ended, PATIENT_TRIES, Storer, Work};
use crate::blame::{Suspect, Verdict};
use crate::ingest::{self, Batch, WriteError};
use crate::store::{Fault, StoreError, days};

/// A trigger may say anything, at any length.
const LONGEST_REASON: usize = 2_000;

impl Storer<'_> {
    /// Puts onto `waiting` what is to be tried next.
    pub(super) fn recover(&mut self, error: WriteError, mut work: Work, waiting: &mut Vec<Work>) -> Result<(), Ended> {
        // Nothing is tried again at once for ever.
        let is_patient = work.tries < PATIENT_TRIES;
        match error {
            WriteError::LeaseLost(partitions) => {
                log::warn!(
                    "lost the lease on partitions {partitions:?}, or their offsets were moved: another consumer stores them"
                );
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
                match self.make_days(&days) {
                    Ok(()) if is_patient => {}
                    Ok(()) => self.pause(&"the partition of a day is missing though it was made")?,
                    Err(error) => self.pause(&error)?,
                }
                waiting.push(Work { tries: work.tries + 1, ..work });
            }
            WriteError::Store(error) => match error.fault() {
                Fault::Conflict if is_patient => waiting.push(Work { tries: work.tries + 1, ..work }),
                Fault::NoPartition => {
                    log::warn!("a day's partition is missing, making it again: {error}");
                    match self.restore_days(&work.batch.days()) {
                        Ok(()) if is_patient => waiting.push(Work { tries: work.tries + 1, ..work }),
                        Ok(()) => self.doubt(&error, work, waiting)?,
                        Err(why) => self.doubt(&why, work, waiting)?,
                    }
                }
                Fault::Slow if is_halvable(&work.batch) => {
                    self.pause(&error)?;
                    log::warn!("the database did not store a batch in time: trying smaller ones");
                    put_behind_others(work.parts(), waiting);
                }
                Fault::Data if is_halvable(&work.batch) => {
                    waiting.extend(work.halves());
                }
                _ => self.doubt(&error, work, waiting)?,
            },
        }
        Ok(())
    }

    /// Waits, or finds out whether a record is to blame: see [`crate::blame`].
    fn doubt(&mut self, error: &StoreError, mut work: Work, waiting: &mut Vec<Work>) -> Result<(), Ended> {
        if work.is_proved && is_halvable(&work.batch) {
            waiting.extend(work.halves());
            return Ok(());
        }
        work.tries += 1;
        let (fault, is_known) = (error.fault(), self.known.contains(&error.symptom(), Instant::now()));
        let is_suspected = is_known || fault == Fault::Data || work.tries >= PATIENT_TRIES;
        let passed = is_suspected && self.control_passes(&work.batch, fault);
        if !passed {
            self.acquit(&work.batch);
        }
        if !is_suspected || !passed && (fault == Fault::Away || error.is_lock_timeout()) {
            self.pause(error)?;
            waiting.push(work);
        } else if work.batch.runs.len() > 1 {
            // Partitions that have nothing to do with it are stored by themselves.
            work.tries = PATIENT_TRIES;
            waiting.extend(work.parts());
        } else if passed {
            self.blame(error, is_known, work, waiting);
        } else {
            self.park(work.batch, error, waiting);
        }
        Ok(())
    }

    /// Does with a batch of one run, which failed while the control passed, what the verdict on it says.
    fn blame(&mut self, error: &StoreError, is_known: bool, mut work: Work, waiting: &mut Vec<Work>) {
        match self.judge(&work.batch, error.fault(), is_known) {
            Verdict::Halve => waiting.extend(Work { is_proved: true, ..work }.halves()),
            Verdict::SetAside if self.refuse(&mut work.batch, error) => {
                self.known.prove(error.symptom(), Instant::now());
                waiting.push(work);
            }
            Verdict::SetAside | Verdict::Wait => self.park(work.batch, error, waiting),
        }
    }

    /// What was counted against runs of `batch` may have been of a trouble that concerns all.
    fn acquit(&mut self, batch: &Batch) {
        let now = Instant::now();
        for run in &batch.runs {
            if let Some(suspect) = self.suspects.get_mut(&run.partition) {
                suspect.acquit(now);
            }
        }
    }

    /// The verdict on a batch of one run that failed while the control passed.
    fn judge(&mut self, batch: &Batch, fault: Fault, is_known: bool) -> Verdict {
        let Some(run) = batch.runs.first() else { return Verdict::Wait };
        let now = Instant::now();
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
            let reason: String = error.to_string().chars().take(LONGEST_REASON).collect();
            record.refuse(format!("{reason}{means}"));
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
}

/// Has the other partitions of `waiting`, whose last goes first, stored before `slow`: each try of that may take as long
/// again. What follows in its own partitions stays behind it.
fn put_behind_others(slow: Vec<Work>, waiting: &mut Vec<Work>) {
    let partitions: Vec<i32> = slow.iter().flat_map(|work| &work.batch.runs).map(|run| run.partition).collect();
    let follows = |work: &Work| work.batch.runs.iter().any(|run| partitions.contains(&run.partition));
    let place = waiting.iter().rposition(follows).map_or(0, |index| index + 1);
    waiting.splice(place..place, slow);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Run;
    use crate::ingest::decode::decode;

    fn work(partition: i32, offsets: std::ops::Range<i64>) -> Work {
        let records = offsets.clone().map(|offset| decode(offset, Vec::new())).collect();
        Work::new(Batch { runs: vec![Run { partition, epoch: 1, expected: offsets.start, records }] })
    }

    fn places(waiting: &[Work]) -> Vec<(i32, i64)> {
        waiting.iter().flat_map(|work| &work.batch.runs).map(|run| (run.partition, run.expected)).collect()
    }

    #[test]
    fn a_slow_partition_is_tried_after_the_others_and_in_its_own_order() {
        let mut waiting = vec![work(2, 0..1), work(1, 0..1)];
        put_behind_others(work(3, 0..4).parts(), &mut waiting);
        assert_eq!(places(&waiting), [(3, 2), (3, 0), (2, 0), (1, 0)]);
        // The first half of it is slow again.
        let slow = waiting.remove(1);
        put_behind_others(slow.parts(), &mut waiting);
        assert_eq!(places(&waiting), [(3, 2), (3, 1), (3, 0), (2, 0), (1, 0)]);
    }
}
