//! Housekeeping: partitions made ahead, hours and days summed up, old days dropped. At start, then sums every half
//! minute and all of it every hour; of several consumers one at a time. Each task fails by itself: see [`Failures`].

use std::time::{Duration, Instant};

use isitup_shared::crash_point;
use isitup_shared::shutdown::Shutdown;
use jiff::ToSpan;
use jiff::civil::Date;
use uuid::Uuid;

use crate::failures::{Failures, Task};
use crate::ingest::first_kept;
use crate::metrics::Metrics;
use crate::status::{Part, Status};
use crate::store::days::{self, Attachment, OldPartition};
use crate::store::{Fault, Outlook, Session, Store, StoreError, maintenance};

/// How often hours and days are summed up.
const SUMS: Duration = Duration::from_secs(30);

/// How often days are made and dropped.
const DAYS: Duration = Duration::from_secs(3600);

/// After this long another consumer may take a turn that was not given back. Every step may be done twice, so a turn
/// that lasts longer does no harm.
const TURN: Duration = Duration::from_secs(900);

/// Days made ahead of today: one for results from a clock that is ahead, one for the midnight in between two rounds.
const DAYS_AHEAD: i32 = 2;

/// How long hours are summed up in one turn: after a replay there may be thousands of them. The others come in the next turns.
const HOURS_LIMIT: Duration = Duration::from_secs(300);

/// Longer than any task takes but for the one that waits for readers.
const TASK_LIMIT: Duration = Duration::from_secs(4 * 3600);

/// How long a day's partition is waited for that somebody still reads. Then the sums have their turn, and the day another try.
const DROP_LIMIT: Duration = Duration::from_secs(20);

/// Does the housekeeping.
#[derive(Debug)]
pub(crate) struct Housekeeper<'a> {
    /// The database.
    pub store: &'a Store,
    /// This process.
    pub owner: Uuid,
    /// How many days before today are kept.
    pub retention_days: i32,
    /// Where health looks.
    pub status: &'a Status,
    /// Where successes and failures are counted.
    pub metrics: &'a Metrics,
}

impl Housekeeper<'_> {
    /// Keeps house until the shutdown.
    pub(crate) fn run(&self, shutdown: &Shutdown) {
        let mut failures = Failures::default();
        let mut last_days: Option<Instant> = None;
        let _pulse = self.status.housekeeper.begin();
        loop {
            self.status.housekeeper.beat();
            let now = Instant::now();
            let days_are_due = last_days.is_none_or(|last| last.elapsed() >= DAYS) || failures.is_hourly_due(now);
            match self.turn(days_are_due, &mut failures, shutdown) {
                Ok(took_turn) => {
                    if days_are_due && took_turn {
                        last_days = Some(now);
                    }
                }
                Err(_) if shutdown.is_triggered() => {}
                Err(error) => {
                    self.metrics.count_housekeeping_failure(Task::Turn.step());
                    failures.failed(Task::Turn, &error, Instant::now());
                }
            }
            self.tell(&mut failures);
            if shutdown.wait(SUMS) {
                return;
            }
        }
    }

    /// Shows what fails, to health and in the log.
    fn tell(&self, failures: &mut Failures) {
        let now = Instant::now();
        match failures.trouble(now) {
            Some(why) => self.status.trouble(Part::Housekeeping, why),
            None => self.status.well(Part::Housekeeping),
        }
        if let Some(line) = failures.line(now) {
            log::warn!("{line}");
        }
    }

    /// One round, unless another consumer is at it. Whether it was ours.
    fn turn(&self, days_are_due: bool, failures: &mut Failures, shutdown: &Shutdown) -> Result<bool, StoreError> {
        let mut session = self.store.session()?;
        let mut tx = session.begin_durable()?;
        let progress = maintenance::progress(&mut tx)?;
        self.metrics.show_housekeeping(&progress);
        failures.note_success(Duration::try_from_secs_f64(progress.success_age).unwrap_or_default());
        let is_ours = maintenance::take_turn(&mut tx, self.owner, TURN)?;
        tx.commit()?;
        drop(session);
        failures.succeeded(Task::Turn);
        if is_ours {
            crash_point!("house.turn_taken");
            let mut round = Round { house: self, failures, shutdown, today: progress.today, is_complete: true };
            let done = round.keep(days_are_due);
            let is_complete = round.is_complete && !shutdown.is_triggered();
            let has_succeeded = done.is_ok() && is_complete && failures.is_empty();
            self.end_turn(has_succeeded)?;
            if has_succeeded {
                failures.note_success(Duration::ZERO);
            }
            done?;
        }
        Ok(is_ours)
    }

    /// Gives the turn back. A cancellation that was meant for the statement before may hit one of these.
    fn end_turn(&self, has_succeeded: bool) -> Result<(), StoreError> {
        const TRIES: usize = 3;
        let end = || {
            let mut session = self.store.session()?;
            let mut tx = session.begin_durable()?;
            maintenance::end_turn(&mut tx, self.owner, has_succeeded)?;
            crash_point!("house.turn_ending");
            self.metrics.show_housekeeping(&maintenance::progress(&mut tx)?);
            tx.commit()
        };
        let mut result = end();
        for _ in 1..TRIES {
            if result.as_ref().err().is_none_or(|error| error.fault() != Fault::Slow) {
                break;
            }
            result = end();
        }
        result
    }
}

/// A turn of housekeeping. Its functions fail only where the database is away, and nothing else is worth a try.
struct Round<'a, 'b> {
    house: &'a Housekeeper<'b>,
    failures: &'a mut Failures,
    shutdown: &'a Shutdown,
    /// By the database's clock.
    today: Date,
    /// Whether nothing that was due is left for the next turn.
    is_complete: bool,
}

impl Round<'_, '_> {
    fn keep(&mut self, days_are_due: bool) -> Result<(), StoreError> {
        if days_are_due {
            self.make_days_ahead()?;
        }
        self.sum_hours()?;
        self.sum_days()?;
        if days_are_due {
            self.drop_old_days()?;
        }
        Ok(())
    }

    /// Does `task`, if it is due. What came of it; nothing when it failed, or was cut off by the shutdown.
    fn attempt<T>(
        &mut self,
        task: Task,
        limit: Duration,
        work: impl FnOnce(&mut Session) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        if self.shutdown.is_triggered() || !self.failures.is_due(task, Instant::now()) {
            return Ok(None);
        }
        self.house.status.housekeeper.beat();
        // One of its own, as one that failed may be broken.
        let result = self.house.store.session()?.interruptible(self.shutdown, limit, work);
        match result {
            Ok(result) => {
                self.failures.succeeded(task);
                Ok(Some(result))
            }
            Err(_) if self.shutdown.is_triggered() => Ok(None),
            Err(error) if error.is_unreachable() => Err(error),
            Err(error) => {
                self.house.metrics.count_housekeeping_failure(task.step());
                self.failures.failed(task, &error, Instant::now());
                Ok(None)
            }
        }
    }

    fn make_days_ahead(&mut self) -> Result<(), StoreError> {
        let wanted: Vec<Date> = (0..=DAYS_AHEAD).map(|ahead| self.today.saturating_add(ahead.days())).collect();
        self.failures.retain(|task| !matches!(task, Task::MakeDay(day) if !wanted.contains(&day)));
        for day in wanted {
            self.attempt(Task::MakeDay(day), TASK_LIMIT, |session| {
                let mut tx = session.begin_durable()?;
                days::ensure(&mut tx, day)?;
                tx.commit()
            })?;
        }
        Ok(())
    }

    fn sum_hours(&mut self) -> Result<(), StoreError> {
        let first_kept = first_kept(self.today, self.house.retention_days);
        self.attempt(Task::MarkHours, TASK_LIMIT, |session| {
            let mut tx = session.begin_durable()?;
            maintenance::mark_passed_hours(&mut tx, first_kept)?;
            tx.commit()
        })?;
        let hours = self.attempt(Task::FindHours, TASK_LIMIT, |session| {
            let mut tx = session.begin_durable()?;
            let hours = maintenance::dirty_hours(&mut tx)?;
            tx.commit()?;
            Ok(hours)
        })?;
        crash_point!("hours.marked");
        let Some(hours) = hours else { return Ok(()) };
        self.failures.retain(|task| !matches!(task, Task::SumHour(hour) if !hours.contains(&hour)));
        let begun = Instant::now();
        for hour in hours {
            if begun.elapsed() >= HOURS_LIMIT {
                self.is_complete = false;
                break;
            }
            let summed = self.attempt(Task::SumHour(hour), TASK_LIMIT, |session| {
                let mut tx = session.begin_house()?;
                maintenance::sum_hour(&mut tx, hour)?;
                crash_point!("hour.summed");
                tx.commit()
            })?;
            if summed.is_some() {
                log::debug!("uptime of the hour from {hour} summed up");
            }
        }
        Ok(())
    }

    fn sum_days(&mut self) -> Result<(), StoreError> {
        let days = self.attempt(Task::FindDays, TASK_LIMIT, |session| {
            let mut tx = session.begin_durable()?;
            let days = maintenance::days_to_sum(&mut tx)?;
            tx.commit()?;
            Ok(days)
        })?;
        let Some(days) = days else { return Ok(()) };
        self.failures.retain(|task| !matches!(task, Task::SumDay(day) if !days.contains(&day)));
        for day in days {
            let summed = self.attempt(Task::SumDay(day), TASK_LIMIT, |session| {
                let mut tx = session.begin_house()?;
                maintenance::sum_day(&mut tx, day)?;
                crash_point!("day.summed");
                tx.commit()
            })?;
            if summed.is_some() {
                log::debug!("numbers of {day} summed up");
            }
        }
        Ok(())
    }

    fn drop_old_days(&mut self) -> Result<(), StoreError> {
        let (today, configured) = (self.today, self.house.retention_days);
        let old = self.attempt(Task::FindOldDays, TASK_LIMIT, |session| {
            let mut tx = session.begin_durable()?;
            let kept_days = days::agree_on_retention(&mut tx, configured)?;
            let old = days::before(&mut tx, first_kept(today, kept_days))?;
            tx.commit()?;
            Ok((old, kept_days))
        })?;
        let Some((old, kept_days)) = old else { return Ok(()) };
        let is_old = |day: Date| old.iter().any(|partition| partition.day == day);
        self.failures.retain(|task| !matches!(task, Task::CloseDay(day) | Task::DropDay(day) if !is_old(day)));
        for partition in &old {
            if self
                .attempt(Task::CloseDay(partition.day), TASK_LIMIT, |session| close_day(session, partition))?
                .is_none()
            {
                continue;
            }
            crash_point!("day.closed");
            if !self.drop_day(partition, kept_days)? {
                // Whoever still reads that day's partition reads the others as well.
                break;
            }
        }
        Ok(())
    }

    /// Drops a closed day. Whether the next one is worth a try.
    fn drop_day(&mut self, partition: &OldPartition, kept_days: i32) -> Result<bool, StoreError> {
        let (day, schema) = (partition.day, self.house.store.schema().to_string());
        let mut waits = false;
        let dropped = self.attempt(Task::DropDay(day), DROP_LIMIT, |session| {
            let result = days::remove(session, &schema, partition);
            waits = result.as_ref().is_err_and(|error| error.outlook() == Outlook::Waiting);
            result
        })?;
        if dropped.is_some() {
            crash_point!("day.dropped");
            log::info!("results of {day} dropped: older than {kept_days} days");
        }
        Ok(!waits)
    }
}

/// Sums up a day for the last time and shuts the ingest out, in one transaction: what its numbers were is known for
/// ever, whatever interrupts the rest.
fn close_day(session: &mut Session, old: &OldPartition) -> Result<(), StoreError> {
    if old.state != Attachment::Attached {
        return Ok(());
    }
    let mut tx = session.begin_house()?;
    let dirty = maintenance::dirty_hours_of(&mut tx, old.day)?;
    for hour in dirty {
        maintenance::sum_hour(&mut tx, hour)?;
    }
    days::close_for_good(&mut tx, old.day)?;
    // Those that were writing until this moment may have left marks.
    for hour in maintenance::dirty_hours_of(&mut tx, old.day)? {
        maintenance::sum_hour(&mut tx, hour)?;
        maintenance::forget_sum(&mut tx, old.day)?;
    }
    if !maintenance::is_summed(&mut tx, old.day)? {
        maintenance::sum_day(&mut tx, old.day)?;
    }
    maintenance::drop_producer_events(&mut tx, old.day)?;
    crash_point!("day.closing");
    tx.commit()
}
