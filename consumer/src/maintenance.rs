//! Housekeeping: partitions made ahead, hours and days summed up, old days dropped. At start, then sums every half
//! minute and all of it every hour; of several consumers one at a time.

use std::time::{Duration, Instant};

use isitup_shared::crash_point;
use isitup_shared::shutdown::Shutdown;
use jiff::ToSpan;
use uuid::Uuid;

use crate::ingest::first_kept;
use crate::store::days::{self, Attachment, OldPartition};
use crate::store::{Session, Store, StoreError, maintenance};
use crate::waiting::Patience;

/// How often hours and days are summed up.
const SUMS: Duration = Duration::from_secs(30);

/// How often days are made and dropped.
const DAYS: Duration = Duration::from_secs(3600);

/// After this long another consumer may take a turn that was not given back. Every step may be done twice, so a turn
/// that lasts longer does no harm.
const TURN: Duration = Duration::from_secs(900);

/// Days made ahead of today: one for results from a clock that is ahead, one for the midnight in between two rounds.
const DAYS_AHEAD: i32 = 2;

/// Does the housekeeping.
#[derive(Debug)]
pub(crate) struct Housekeeper<'a> {
    /// The database.
    pub store: &'a Store,
    /// This process.
    pub owner: Uuid,
    /// How many days before today are kept.
    pub retention_days: i32,
}

impl Housekeeper<'_> {
    /// Keeps house until the shutdown.
    pub(crate) fn run(&self, shutdown: &Shutdown) {
        let mut patience = Patience::new("PostgreSQL to keep house");
        let mut last_days: Option<Instant> = None;
        loop {
            let days_are_due = last_days.is_none_or(|last| last.elapsed() >= DAYS);
            match self.turn(days_are_due, shutdown) {
                Ok(took_turn) => {
                    patience.succeeded();
                    if days_are_due && took_turn {
                        last_days = Some(Instant::now());
                    }
                }
                Err(error) => patience.failed(&error),
            }
            if shutdown.wait(SUMS) {
                return;
            }
        }
    }

    /// One round, unless another consumer is at it. Whether it was ours.
    fn turn(&self, days_are_due: bool, shutdown: &Shutdown) -> Result<bool, StoreError> {
        let mut session = self.store.session()?;
        let mut tx = session.begin_durable()?;
        let is_ours = maintenance::take_turn(&mut tx, self.owner, TURN)?;
        tx.commit()?;
        if is_ours {
            crash_point!("house.turn_taken");
            let done = self.keep(&mut session, days_are_due, shutdown);
            let mut tx = session.begin_durable()?;
            maintenance::end_turn(&mut tx, self.owner)?;
            crash_point!("house.turn_ending");
            tx.commit()?;
            done?;
        }
        Ok(is_ours)
    }

    fn keep(&self, session: &mut Session, days_are_due: bool, shutdown: &Shutdown) -> Result<(), StoreError> {
        if days_are_due {
            make_days_ahead(session)?;
        }
        self.sum_hours(session, shutdown)?;
        sum_days(session, shutdown)?;
        if days_are_due {
            self.drop_old_days(session, shutdown)?;
        }
        Ok(())
    }

    fn sum_hours(&self, session: &mut Session, shutdown: &Shutdown) -> Result<(), StoreError> {
        let mut tx = session.begin_durable()?;
        let today = days::today(&mut tx)?;
        maintenance::mark_passed_hours(&mut tx, first_kept(today, self.retention_days))?;
        let hours = maintenance::dirty_hours(&mut tx)?;
        tx.commit()?;
        crash_point!("hours.marked");
        for hour in hours {
            if shutdown.is_triggered() {
                break;
            }
            let mut tx = session.begin_long()?;
            maintenance::sum_hour(&mut tx, hour)?;
            crash_point!("hour.summed");
            tx.commit()?;
            log::debug!("uptime of the hour from {hour} summed up");
        }
        Ok(())
    }

    fn drop_old_days(&self, session: &mut Session, shutdown: &Shutdown) -> Result<(), StoreError> {
        let mut tx = session.begin_durable()?;
        let today = days::today(&mut tx)?;
        let old = days::before(&mut tx, first_kept(today, self.retention_days))?;
        tx.commit()?;
        let schema = self.store.schema().to_string();
        for partition in old {
            if shutdown.is_triggered() {
                break;
            }
            close_day(session, &partition)?;
            crash_point!("day.closed");
            days::remove(session, &schema, &partition)?;
            crash_point!("day.dropped");
            log::info!("results of {} dropped: older than {} days", partition.day, self.retention_days);
        }
        Ok(())
    }
}

fn make_days_ahead(session: &mut Session) -> Result<(), StoreError> {
    let mut tx = session.begin_durable()?;
    let today = days::today(&mut tx)?;
    for ahead in 0..=DAYS_AHEAD {
        days::ensure(&mut tx, today.saturating_add(ahead.days()))?;
    }
    tx.commit()
}

fn sum_days(session: &mut Session, shutdown: &Shutdown) -> Result<(), StoreError> {
    let mut tx = session.begin_durable()?;
    let days = maintenance::days_to_sum(&mut tx)?;
    tx.commit()?;
    for day in days {
        if shutdown.is_triggered() {
            break;
        }
        let mut tx = session.begin_long()?;
        maintenance::sum_day(&mut tx, day)?;
        crash_point!("day.summed");
        tx.commit()?;
        log::debug!("numbers of {day} summed up");
    }
    Ok(())
}

/// Sums up a day for the last time and shuts the ingest out, in one transaction: what its numbers were is known for
/// ever, whatever interrupts the rest.
fn close_day(session: &mut Session, old: &OldPartition) -> Result<(), StoreError> {
    if old.state != Attachment::Attached {
        return Ok(());
    }
    let mut tx = session.begin_long()?;
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
