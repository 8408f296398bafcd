//! The numbers of events: none is higher than every reader of JSON takes exactly, nor than the database has room for.

use super::{Body, Check, HIGHEST_NUMBER, ProducerReport, Timings};

/// The highest number of a field that counts steps, such as redirects: what a 32-bit number of the database takes.
const HIGHEST_COUNT: u64 = i32::MAX as u64;

/// Returns what is wrong with the first number of `body` that cannot be.
pub(super) fn out_of_range(body: &Body) -> Option<String> {
    match body {
        Body::Check(check) => of_check(check),
        Body::Producer(ProducerReport { site_count, .. }) => beyond("site_count", Some(*site_count), HIGHEST_NUMBER),
        Body::ClockStep(step) => beyond("step_us", Some(step.step_us.unsigned_abs()), HIGHEST_NUMBER),
        // A gap's numbers are checked with its other fields.
        Body::Gap(_) => None,
    }
}

fn of_check(check: &Check) -> Option<String> {
    let confirmation = check.confirmation.map(u64::from);
    if confirmation == Some(0) {
        return Some("confirmation is out of range: 0, at least 1".into());
    }
    of_timings("timings_us", &check.timings_us)
        .or_else(|| beyond("body_bytes", check.body_bytes, HIGHEST_NUMBER))
        .or_else(|| beyond("queue_us", check.queue_us, HIGHEST_NUMBER))
        .or_else(|| beyond("redirects", Some(check.redirects.into()), HIGHEST_COUNT))
        .or_else(|| beyond("confirmation", confirmation, HIGHEST_COUNT))
        .or_else(|| check.hops.iter().find_map(|hop| of_timings("hops.timings_us", &hop.timings_us)))
}

fn of_timings(field: &str, timings: &Timings) -> Option<String> {
    let Timings { dns, connect, tls, first_byte, body, total } = *timings;
    let all = [dns, connect, tls, first_byte, body, Some(total)];
    all.into_iter().find_map(|number| beyond(field, number, HIGHEST_NUMBER))
}

fn beyond(field: &str, number: Option<u64>, most: u64) -> Option<String> {
    let number = number.filter(|number| *number > most)?;
    Some(format!("{field} is out of range: {number}, at most {most}"))
}
