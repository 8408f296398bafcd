//! Holds the times and numbers of an event against the clock, retention and each other. Pure: an event in, the reason why
//! it is rejected out. What passes here the database can hold, and no later statement stumbles over.
//!
//! No event of a producer of ours fails here, but for those of a clock that is days ahead, or behind by more than is kept.

use isitup_shared::event::{Body, Check, Envelope, Event, Gap, ProducerReport, Timings};
use isitup_shared::time::UtcTime;

use super::dates::{Calendar, date_of, day_of};

/// At ten thousand events a second this takes 892 years. The audit adds such numbers up.
const HIGHEST_SEQ: u64 = 1 << 48;

/// How far above its own number a gap may declare numbers lost. A producer numbers a gap after what it declares, or gives
/// it the number of an event of the same segment; a spool of 1 GiB holds some 7 million events.
const MOST_ABOVE_OWN_SEQ: u64 = 1 << 26;

/// No check takes longer: a year, as machines are put to sleep.
const LONGEST_US: u64 = 366 * 86_400 * 1_000_000;

/// The first day of the year 0, in days since 1970.
const FIRST_DAY: i64 = -719_528;

/// More than any machine can read of a body.
const MOST_BYTES: u64 = 1 << 48;

/// Checks follow ten redirects and confirm a handful of times.
const MOST_REPETITIONS: u32 = 1_000;

/// More sites than one producer can check.
const MOST_SITES: u64 = 1 << 31;

/// Why no event can have the numbers of `event`, whatever the time is.
pub(super) fn impossible(event: &Event) -> Option<String> {
    let found = match &event.body {
        Body::Check(check) => numbers_of_check(check),
        Body::Gap(gap) => numbers_of_gap(&event.envelope, gap),
        Body::Producer(report) => numbers_of_report(report),
        // The contract's own bound, 285 years, is as far as any clock is put right.
        Body::ClockStep(_) => Ok(()),
    };
    seq_of("seq", event.envelope.seq).and(found).err()
}

/// Why the times of `event` cannot be true, if that is so.
pub(super) fn implausible(event: &Event, calendar: &Calendar) -> Option<String> {
    let found = match &event.body {
        Body::Check(check) => times_of_check(check, calendar),
        Body::Gap(gap) => times_of_gap(gap, calendar),
        Body::Producer(report) => kept_day(report.at, calendar),
        Body::ClockStep(step) => kept_day(step.at, calendar),
    };
    found.err()
}

fn seq_of(field: &str, seq: u64) -> Result<(), String> {
    if seq > HIGHEST_SEQ {
        return Err(format!("{field} {seq} is higher than any producer can count ({HIGHEST_SEQ})"));
    }
    Ok(())
}

fn numbers_of_check(check: &Check) -> Result<(), String> {
    // A certificate may expire whenever a site likes to say, but a calendar of ours has a first year.
    if check.certificate_expires_at.is_some_and(|time| day_of(time) < FIRST_DAY) {
        return Err("certificate_expires_at lies before the year 0".into());
    }
    if let Some(status) = check.status.filter(|status| !(100..=999).contains(status)) {
        return Err(format!("status {status} is out of range (100 to 999)"));
    }
    let times = |t: &Timings| [t.dns, t.connect, t.tls, t.first_byte, t.body, Some(t.total)];
    let of_hops = check.hops.iter().flat_map(|hop| times(&hop.timings_us));
    let mut all = times(&check.timings_us).into_iter().chain([check.queue_us]).chain(of_hops).flatten();
    if let Some(time) = all.find(|time| *time > LONGEST_US) {
        return Err(format!("a time of {time} us is out of range (at most {LONGEST_US})"));
    }
    if let Some(bytes) = check.body_bytes.filter(|bytes| *bytes > MOST_BYTES) {
        return Err(format!("body_bytes {bytes} is out of range (at most {MOST_BYTES})"));
    }
    if check.redirects > MOST_REPETITIONS {
        return Err(format!("redirects {} is out of range (at most {MOST_REPETITIONS})", check.redirects));
    }
    match check.confirmation {
        Some(number) if !(1..=MOST_REPETITIONS).contains(&number) => {
            Err(format!("confirmation {number} is out of range (1 to {MOST_REPETITIONS})"))
        }
        _ => Ok(()),
    }
}

fn numbers_of_gap(envelope: &Envelope, gap: &Gap) -> Result<(), String> {
    let Some(seqs) = gap.seqs else { return Ok(()) };
    seq_of("last_seq", seqs.last)?;
    if seqs.last > envelope.seq.saturating_add(MOST_ABOVE_OWN_SEQ) {
        return Err(format!(
            "last_seq {} lies more than {MOST_ABOVE_OWN_SEQ} above its own seq {}",
            seqs.last, envelope.seq
        ));
    }
    Ok(())
}

fn numbers_of_report(report: &ProducerReport) -> Result<(), String> {
    if report.site_count > MOST_SITES {
        return Err(format!("site_count {} is out of range (at most {MOST_SITES})", report.site_count));
    }
    Ok(())
}

fn times_of_check(check: &Check, calendar: &Calendar) -> Result<(), String> {
    kept_day(check.scheduled_at, calendar)?;
    near_kept_days("started_at", check.started_at, calendar)?;
    near_kept_days("finished_at", check.finished_at, calendar)?;
    if check.finished_at < check.started_at {
        return Err(format!("finished_at {} lies before started_at {}", check.finished_at, check.started_at));
    }
    Ok(())
}

/// A gap may have begun long ago: a machine was off for years.
fn times_of_gap(gap: &Gap, calendar: &Calendar) -> Result<(), String> {
    let Some(span) = &gap.span else { return Ok(()) };
    not_before_1970("from", span.from)?;
    not_ahead("to", span.to, calendar)
}

/// The time that chooses an event's partition, or the sum that it belongs to.
fn kept_day(time: UtcTime, calendar: &Calendar) -> Result<(), String> {
    let (day, date) = (day_of(time), date_of(day_of(time)));
    if day < 0 {
        Err(format!("its day {date} lies before 1970"))
    } else if day < calendar.first_kept() {
        Err(format!("its day {date} is older than the {} days that are kept", calendar.retention_days))
    } else if day > calendar.last_kept() {
        Err(format!("its day {date} is more than one day ahead of {}", date_of(calendar.today())))
    } else {
        Ok(())
    }
}

/// A day more than is kept: a clock may have been put right between a slot and its check.
fn near_kept_days(field: &str, time: UtcTime, calendar: &Calendar) -> Result<(), String> {
    not_before_1970(field, time)?;
    if day_of(time) < calendar.first_kept() - 1 {
        return Err(format!("{field} {time} is older than the {} days that are kept", calendar.retention_days));
    }
    not_ahead(field, time, calendar)
}

fn not_ahead(field: &str, time: UtcTime, calendar: &Calendar) -> Result<(), String> {
    if day_of(time) > calendar.last_kept() {
        return Err(format!("{field} {time} is more than one day ahead of {}", date_of(calendar.today())));
    }
    Ok(())
}

fn not_before_1970(field: &str, time: UtcTime) -> Result<(), String> {
    if time < UtcTime::EPOCH { Err(format!("{field} {time} lies before 1970")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isitup_shared::event::decode;
    use serde_json::{Value, json};

    const NOW: &str = "2026-11-21T13:30:00.000000Z";

    fn reason(mut event: Value, changes: &[(&str, Value)]) -> Option<String> {
        for (field, value) in changes {
            event[*field] = value.clone();
        }
        let calendar = Calendar { now: NOW.parse().unwrap(), retention_days: 90 };
        match decode(event.to_string().as_bytes()) {
            Ok(event) => impossible(&event).or_else(|| implausible(&event, &calendar)),
            // Beyond the bounds of the contract itself.
            Err(error) => Some(error.to_string()),
        }
    }

    fn envelope(kind: &str) -> Value {
        json!({"v": 1, "type": kind, "producer_id": uuid::Uuid::nil(), "seq": 5, "location": "x"})
    }

    fn check() -> Value {
        let mut check = envelope("check");
        let fields = json!({
            "site": "a", "url": "http://a/", "scheduled_at": NOW, "started_at": NOW, "finished_at": NOW, "outcome": "up",
            "timings_us": {"total": 7}, "config_hash": "c",
        });
        check.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        check
    }

    fn gap(from: &str, to: &str) -> Value {
        let mut gap = envelope("gap");
        (gap["reason"], gap["from"], gap["to"]) = (json!("producer_down"), json!(from), json!(to));
        gap
    }

    #[track_caller]
    fn assert_refused(event: Value, changes: &[(&str, Value)], words: &[&str]) {
        let reason = reason(event, changes).unwrap_or_default();
        assert!(words.iter().all(|word| reason.contains(word)), "{words:?} are not in {reason:?} for {changes:?}");
    }

    #[test]
    fn times_outside_the_kept_days_are_refused_by_field_and_bound() {
        let time = |text: &str| json!(format!("{text}T00:00:00.000000Z"));
        for (field, value, words) in [
            ("scheduled_at", "2026-11-23", ["its day 2026-11-23", "more than one day ahead of 2026-11-21"]),
            ("scheduled_at", "9999-12-30", ["9999-12-30", "ahead"]),
            ("scheduled_at", "2026-08-22", ["2026-08-22", "older than the 90 days"]),
            ("scheduled_at", "1969-12-31", ["1969", "1970"]),
            ("finished_at", "9999-12-30", ["finished_at", "ahead of 2026-11-21"]),
            ("finished_at", "2026-11-23", ["finished_at", "ahead"]),
            ("finished_at", "2026-11-20", ["finished_at", "before started_at"]),
            ("finished_at", "-009999-01-03", ["finished_at", "before 1970"]),
            ("started_at", "2026-11-22", ["finished_at", "before started_at"]),
            ("started_at", "2026-08-21", ["started_at", "older than the 90 days"]),
            ("certificate_expires_at", "-000001-12-31", ["certificate_expires_at", "year 0"]),
        ] {
            assert_refused(check(), &[(field, time(value))], &words);
        }
        for (field, value) in [
            ("scheduled_at", "2026-08-23"),
            ("started_at", "2026-08-22"),
            ("finished_at", "2026-11-22"),
            ("certificate_expires_at", "9999-12-30"),
            ("certificate_expires_at", "0000-01-01"),
        ] {
            assert_eq!(reason(check(), &[(field, time(value))]), None, "{field} {value}");
        }
    }

    #[test]
    fn numbers_that_nobody_counts_are_refused_by_field_and_bound() {
        let hop = |total: u64| json!([{"url": "http://a/", "timings_us": {"total": total}}]);
        for (field, value, word) in [
            ("seq", json!(1_u64 << 62), "seq"),
            ("seq", json!(1_u64 << 49), "seq"),
            ("status", json!(65_535), "status 65535"),
            ("status", json!(0), "status 0"),
            ("body_bytes", json!(u64::MAX), "body_bytes"),
            ("body_bytes", json!(1_u64 << 49), "body_bytes"),
            ("redirects", json!(u32::MAX), "redirects"),
            ("redirects", json!(1_001), "redirects"),
            ("confirmation", json!(0), "confirmation"),
            ("confirmation", json!(u32::MAX), "confirmation"),
            ("confirmation", json!(1_001), "confirmation"),
            ("queue_us", json!(u64::MAX), "queue_us"),
            ("queue_us", json!(1_u64 << 46), "time"),
            ("timings_us", json!({"dns": u64::MAX, "total": 1}), "timings_us"),
            ("timings_us", json!({"dns": 1_u64 << 46, "total": 1}), "time"),
            ("timings_us", json!({"total": 1_u64 << 46}), "time"),
            ("hops", hop(1_u64 << 46), "time"),
        ] {
            assert_refused(check(), &[(field, value)], &[word]);
        }
        assert_eq!(reason(check(), &[("status", json!(999)), ("redirects", json!(10)), ("hops", hop(3))]), None);
    }

    #[test]
    fn a_gap_may_begin_long_ago_and_ends_tomorrow_at_the_latest() {
        assert_eq!(reason(gap("1990-01-01T00:00:00Z", NOW), &[]), None);
        assert_eq!(reason(gap(NOW, "2026-11-22T23:59:59Z"), &[]), None);
        assert_eq!(reason(gap("1990-01-01T00:00:00Z", "1990-01-02T00:00:00Z"), &[]), None);
        assert_refused(gap(NOW, "9000-01-01T00:00:00Z"), &[], &["to 9000", "more than one day ahead"]);
        assert_refused(gap("1969-12-31T00:00:00Z", NOW), &[], &["from", "1970"]);
    }

    #[test]
    fn a_gap_declares_nothing_far_above_its_own_number() {
        let seqs = |last: u64| [("first_seq", json!(1)), ("last_seq", json!(last))];
        assert_eq!(reason(gap(NOW, NOW), &seqs(5 + MOST_ABOVE_OWN_SEQ)), None);
        assert_refused(gap(NOW, NOW), &seqs(6 + MOST_ABOVE_OWN_SEQ), &["last_seq", "own seq 5"]);
        assert_refused(gap(NOW, NOW), &seqs(1 << 49), &["last_seq", "any producer can count"]);
        assert_refused(gap(NOW, NOW), &seqs(i64::MAX as u64), &["last_seq", "any producer counts"]);
    }

    #[test]
    fn what_producers_say_of_themselves_is_held_against_the_clock_too() {
        let report = |at: &str, sites: u64| {
            let mut report = envelope("producer");
            report.as_object_mut().unwrap().extend(
                json!({"state": "heartbeat", "at": at, "site_count": sites, "config_hash": "c", "version": "1"})
                    .as_object()
                    .unwrap()
                    .clone(),
            );
            report
        };
        assert_eq!(reason(report(NOW, 7), &[]), None);
        assert_refused(report("2026-11-23T00:00:00Z", 7), &[], &["ahead"]);
        assert_refused(report(NOW, u64::MAX), &[], &["site_count"]);
        assert_refused(report(NOW, 1 << 32), &[], &["site_count"]);
        let step = |step_us: i64| {
            let mut step = envelope("clock_step");
            (step["at"], step["step_us"]) = (json!(NOW), json!(step_us));
            step
        };
        // From 1970 until now.
        assert_eq!(reason(step(1_795_000_000_000_000), &[]), None);
        assert_refused(step(i64::MIN), &[], &["step_us"]);
    }
}
