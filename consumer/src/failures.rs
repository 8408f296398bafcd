//! What of the housekeeping fails: since when, why, and when each task is tried again. One that fails delays no other.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;

use crate::output::printable;
use crate::store::{Outlook, StoreError};

/// The first pause before a task is tried again; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(900);

/// How often what fails is logged again.
const LOGGED_EVERY: Duration = Duration::from_secs(300);

/// Longer than the housekeeping takes from one success to the next, by whichever consumer.
const LONGEST_SILENCE: Duration = Duration::from_secs(2 * 3600);

/// A part of the housekeeping that fails or succeeds by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Task {
    /// Takes the turn from the other consumers, and gives it back.
    Turn,
    /// Makes a day's partition.
    MakeDay(Date),
    /// Marks the hours that have passed.
    MarkHours,
    /// Finds the hours to sum up.
    FindHours,
    /// Sums up an hour.
    SumHour(Timestamp),
    /// Finds the days to sum up.
    FindDays,
    /// Sums up a day for the audit.
    SumDay(Date),
    /// Finds the days that retention takes.
    FindOldDays,
    /// Sums up such a day for the last time.
    CloseDay(Date),
    /// Drops its partition.
    DropDay(Date),
}

impl Task {
    /// The step that it belongs to, as metrics name it.
    pub(crate) fn step(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::MakeDay(_) => "make_days",
            Self::MarkHours | Self::FindHours | Self::SumHour(_) => "sum_hours",
            Self::FindDays | Self::SumDay(_) => "sum_days",
            Self::FindOldDays | Self::CloseDay(_) | Self::DropDay(_) => "drop_days",
        }
    }

    /// Whether it is due once an hour only.
    fn is_hourly(self) -> bool {
        matches!(self.step(), "make_days" | "drop_days")
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Turn => write!(f, "taking turns with other consumers"),
            Self::MakeDay(day) => write!(f, "making the partition of {day}"),
            Self::MarkHours => write!(f, "marking the hours that have passed"),
            Self::FindHours => write!(f, "finding the hours to sum up"),
            Self::SumHour(hour) => write!(f, "summing up the hour from {hour}"),
            Self::FindDays => write!(f, "finding the days to sum up"),
            Self::SumDay(day) => write!(f, "summing up the day {day}"),
            Self::FindOldDays => write!(f, "finding the days to drop"),
            Self::CloseDay(day) => write!(f, "closing the day {day}"),
            Self::DropDay(day) => write!(f, "dropping the day {day}"),
        }
    }
}

#[derive(Debug)]
struct Failure {
    since: Timestamp,
    first: Instant,
    why: String,
    outlook: Outlook,
    pause: Duration,
    next_try: Instant,
}

impl Failure {
    /// Whether it has lasted for longer than such failures do that pass by themselves.
    fn is_lasting(&self, now: Instant) -> bool {
        let patience = match self.outlook {
            Outlook::Broken => Duration::ZERO,
            Outlook::Passing => Duration::from_secs(600),
            // A dump reads for hours.
            Outlook::Waiting => Duration::from_secs(6 * 3600),
        };
        now.duration_since(self.first) >= patience
    }
}

/// The tasks that failed when they were tried last.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    tasks: BTreeMap<Task, Failure>,
    has_news: bool,
    logged: Option<Instant>,
    success_age: Duration,
}

impl Failures {
    /// Whether `task` is to be tried now: it has not failed, or long enough ago.
    pub(crate) fn is_due(&self, task: Task, now: Instant) -> bool {
        self.tasks.get(&task).is_none_or(|failure| now >= failure.next_try)
    }

    /// Whether a task that is due once an hour is to be tried again already.
    pub(crate) fn is_hourly_due(&self, now: Instant) -> bool {
        self.tasks.iter().any(|(task, failure)| task.is_hourly() && now >= failure.next_try)
    }

    /// Notes that `task` succeeded.
    pub(crate) fn succeeded(&mut self, task: Task) {
        if let Some(failure) = self.tasks.remove(&task) {
            log::info!(
                "housekeeping: {task} succeeded, after it had failed for {} s",
                failure.first.elapsed().as_secs()
            );
        }
    }

    /// Notes that `task` failed.
    pub(crate) fn failed(&mut self, task: Task, error: &StoreError, now: Instant) {
        let (mut why, outlook) = (printable(&error.to_string()), error.outlook());
        if outlook == Outlook::Waiting {
            why = format!("somebody holds a lock or reads for long: {why}");
        }
        let mut is_new = false;
        let failure = self.tasks.entry(task).or_insert_with(|| {
            is_new = true;
            let (first, next_try) = (now, now);
            Failure { since: Timestamp::now(), first, why: String::new(), outlook, pause: FIRST_PAUSE / 2, next_try }
        });
        failure.pause = (failure.pause * 2).min(LONGEST_PAUSE);
        failure.next_try = now + failure.pause;
        (failure.why, failure.outlook) = (why, outlook);
        self.has_news |= is_new;
    }

    /// Notes how long ago a consumer last did all that was due; zero before the first time.
    pub(crate) fn note_success(&mut self, age: Duration) {
        self.success_age = age;
    }

    /// Forgets tasks that there are no more, since another consumer has done them.
    pub(crate) fn retain(&mut self, is_left: impl Fn(Task) -> bool) {
        self.tasks.retain(|task, _| is_left(*task));
    }

    /// Whether nothing fails.
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// What is wrong for people who ask for the service's health: the failures that do not pass by themselves.
    pub(crate) fn trouble(&self, now: Instant) -> Option<String> {
        self.describe(|failure| failure.is_lasting(now))
    }

    /// What is to be logged now: what fails, when a task has begun to, and every few minutes.
    pub(crate) fn line(&mut self, now: Instant) -> Option<String> {
        let is_due = self.has_news || self.logged.is_none_or(|last| now.duration_since(last) >= LOGGED_EVERY);
        if !is_due {
            return None;
        }
        let line = self.describe(|_| true)?;
        (self.has_news, self.logged) = (false, Some(now));
        Some(line)
    }

    fn describe(&self, is_meant: impl Fn(&Failure) -> bool) -> Option<String> {
        let meant = || self.tasks.iter().filter(|(_, failure)| is_meant(failure));
        let Some((task, first)) = meant().min_by_key(|(_, failure)| failure.first) else { return self.silence() };
        let more = match meant().count() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more tasks)"),
        };
        let since = first.since.strftime("%Y-%m-%dT%H:%M:%SZ");
        Some(format!("housekeeping failed since {since}: {task}: {}{more}", first.why))
    }

    /// What there is to say where nothing failed here, and yet no consumer succeeds: another one may have the turn.
    fn silence(&self) -> Option<String> {
        let minutes = self.success_age.as_secs() / 60;
        (self.success_age >= LONGEST_SILENCE).then(|| {
            format!(
                "housekeeping was not completed by any consumer for {minutes} min: look into the other consumers' logs"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Task = Task::MarkHours;

    fn broken() -> StoreError {
        StoreError::NotReady("no".into())
    }

    #[test]
    fn a_failed_task_is_tried_again_after_growing_pauses() {
        let (mut failures, begin) = (Failures::default(), Instant::now());
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        for (now, next) in [(0, 30), (30, 90), (90, 210), (210, 450), (450, 930), (930, 1830), (1830, 2730)] {
            assert!(failures.is_due(HOUR, at(now)), "at {now} s");
            failures.failed(HOUR, &broken(), at(now));
            assert!(!failures.is_due(HOUR, at(next - 1)) && failures.is_due(HOUR, at(next)), "at {next} s");
        }
        assert!(failures.is_due(Task::FindDays, begin), "others are not held up");
        failures.succeeded(HOUR);
        assert!(failures.is_due(HOUR, begin) && failures.is_empty());
    }

    #[test]
    fn housekeeping_that_no_consumer_completes_is_trouble() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        failures.note_success(Duration::from_secs(7199));
        assert_eq!(failures.trouble(now), None);
        failures.note_success(Duration::from_secs(7260));
        assert!(failures.trouble(now).unwrap().contains("for 121 min"));
        assert!(failures.line(now).is_some() && failures.line(now).is_none());
    }

    #[test]
    fn what_fails_is_logged_at_once_and_every_few_minutes() {
        let (mut failures, begin) = (Failures::default(), Instant::now());
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        assert_eq!(failures.line(begin), None);
        failures.failed(HOUR, &broken(), begin);
        let line = failures.line(begin).unwrap();
        assert!(line.ends_with("Z: marking the hours that have passed: no"), "{line}");
        failures.failed(HOUR, &broken(), at(30));
        assert_eq!(failures.line(at(30)), None);
        failures.failed(Task::FindDays, &broken(), at(31));
        assert!(failures.line(at(31)).unwrap().ends_with(": no (and 1 more tasks)"));
        assert_eq!(failures.line(at(330)), None);
        assert!(failures.line(at(331)).is_some() && failures.trouble(begin).is_some());
    }
}
