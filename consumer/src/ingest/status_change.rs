//! What a new result means for a site's status. Pure: rows in, changes out.

use std::time::Duration;

use isitup_shared::event::{Check, Envelope};
use isitup_shared::time::UtcTime;

use super::verdict::Verdict;
use crate::store::statuses::Status;

/// What a result changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Observation {
    /// It is now the latest.
    pub is_newer: bool,
    /// The site went down or came up with it.
    pub turn: Option<Turn>,
    /// It is older than the first slot known so far.
    pub began_earlier: bool,
    /// The step from the slot before, under the same configuration, in microseconds.
    pub step_us: Option<i64>,
}

/// A change between up and down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// From up, or from nothing known, to down.
    WentDown,
    /// From down to up.
    CameUp,
}

/// Brings `status` up to date with the result of a scheduled check that was not known before. One that does not count
/// is the latest all the same, but leaves the site up or down as it was.
/// `now` is the time at which it is stored.
pub(super) fn observe(
    status: &mut Option<Status>,
    envelope: &Envelope,
    check: &Check,
    version_id: i32,
    now: UtcTime,
) -> Observation {
    let ordered_at = check.finished_at.min(now);
    let is_down = Verdict::of(check).is_down();
    let Some(known) = status else {
        *status = Some(Status {
            producer_id: envelope.producer_id,
            seq: envelope.seq,
            version_id,
            first_scheduled_at: check.scheduled_at,
            scheduled_at: check.scheduled_at,
            finished_at: check.finished_at,
            ordered_at,
            since: check.finished_at,
            is_down,
        });
        return Observation { is_newer: true, turn: turn(None, is_down), ..Observation::default() };
    };
    let began_earlier = check.scheduled_at < known.first_scheduled_at;
    known.first_scheduled_at = known.first_scheduled_at.min(check.scheduled_at);
    if !is_newer(known, envelope, ordered_at) {
        return Observation { began_earlier, ..Observation::default() };
    }
    let observation = Observation {
        is_newer: true,
        turn: turn(known.is_down, is_down),
        began_earlier,
        step_us: step(known, envelope, check, version_id),
    };
    if is_down.is_some() && is_down != known.is_down {
        known.is_down = is_down;
        known.since = check.finished_at;
    }
    known.producer_id = envelope.producer_id;
    known.seq = envelope.seq;
    known.version_id = version_id;
    known.scheduled_at = check.scheduled_at;
    known.finished_at = check.finished_at;
    known.ordered_at = ordered_at;
    observation
}

/// What becomes of a site that was down or not, where that is known, when the next check says `is_down`, if it says so.
fn turn(was_down: Option<bool>, is_down: Option<bool>) -> Option<Turn> {
    match (was_down, is_down) {
        (None | Some(false), Some(true)) => Some(Turn::WentDown),
        (Some(true), Some(false)) => Some(Turn::CameUp),
        _ => None,
    }
}

/// How much later than the latest a result with a lower number may have been made before it is the newer all the same. A
/// clock that is put back by more than that makes a straggler the latest, until the next check.
const STALE_AFTER: Duration = Duration::from_secs(3600);

/// Of one producer the higher number is newer, whatever its clock did; of two the later end. A clock that was ahead counts
/// as the time at which its result was stored, and a number that nobody has reached an hour later was never issued: so
/// neither keeps a site as it was for longer.
fn is_newer(known: &Status, envelope: &Envelope, ordered_at: UtcTime) -> bool {
    if known.producer_id == envelope.producer_id {
        envelope.seq > known.seq || ordered_at > known.ordered_at.after(STALE_AFTER)
    } else {
        ordered_at > known.ordered_at
    }
}

/// No site is checked more often (the producer's configuration refuses it). A shorter step between two slots is of no
/// schedule, and would make any outage a million unknown slots.
const SHORTEST_STEP_US: i64 = 100_000;

fn step(known: &Status, envelope: &Envelope, check: &Check, version_id: i32) -> Option<i64> {
    let is_comparable = known.producer_id == envelope.producer_id && known.version_id == version_id;
    let step = check.scheduled_at.as_micros() - known.scheduled_at.as_micros();
    (is_comparable && step >= SHORTEST_STEP_US).then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use isitup_shared::event::{FailureKind, Outcome};
    use uuid::Uuid;

    const SECOND: i64 = 1_000_000;

    fn event(producer: u128, seq: u64, second: i64, up: bool) -> (Envelope, Check) {
        let envelope = Envelope { v: 1, producer_id: Uuid::from_u128(producer), seq, location: "here".into() };
        let at = UtcTime::from_micros(second * SECOND);
        let outcome = if up { Outcome::Up } else { Outcome::down(FailureKind::Status, "500") };
        let check = Check { outcome, config_hash: "c".into(), ..Check::up("site", "https://site/", at) };
        (envelope, check)
    }

    /// Sees checks of one producer, 30 seconds apart, and tells the turns they make.
    fn turns(status: &mut Option<Status>, checks: impl IntoIterator<Item = Check>) -> Vec<Option<Turn>> {
        let mut seq = status.as_ref().map_or(0, |status| status.seq);
        let mut turn = |check: Check| {
            seq += 1;
            let (envelope, Check { scheduled_at, started_at, finished_at, .. }) = event(1, seq, 30 * seq as i64, true);
            observe(status, &envelope, &Check { scheduled_at, started_at, finished_at, ..check }, 1, later()).turn
        };
        checks.into_iter().map(&mut turn).collect()
    }

    /// When results are stored, unless a test says otherwise: after their ends.
    fn later() -> UtcTime {
        UtcTime::from_micros(1_000_000 * SECOND)
    }

    /// Stores a check at this second, and tells whether it is the newest then.
    fn is_newest(status: &mut Option<Status>, stored: i64, (envelope, check): (Envelope, Check)) -> bool {
        observe(status, &envelope, &check, 1, UtcTime::from_micros(stored * SECOND)).is_newer
    }

    fn good() -> Check {
        event(1, 1, 0, true).1
    }

    fn failed() -> Check {
        event(1, 1, 0, false).1
    }

    fn in_maintenance(check: Check) -> Check {
        Check { maintenance: true, ..check }
    }

    fn by_fault_of_prober() -> Check {
        Check { prober_fault: Some("no network".into()), ..failed() }
    }

    fn confirmed(confirmed: bool) -> Check {
        Check { confirmed: Some(confirmed), ..failed() }
    }

    fn slot(number: i64) -> UtcTime {
        UtcTime::from_micros(30 * number * SECOND)
    }

    fn see(status: &mut Option<Status>, (envelope, check): (Envelope, Check)) -> Observation {
        observe(status, &envelope, &check, 1, later())
    }

    #[test]
    fn a_site_first_seen_down_went_down_and_comes_up_once() {
        let mut status = None;
        assert_eq!(see(&mut status, event(1, 1, 0, false)).turn, Some(Turn::WentDown));
        assert_eq!(see(&mut status, event(1, 2, 30, false)).turn, None);
        assert_eq!(see(&mut status, event(1, 3, 60, true)).turn, Some(Turn::CameUp));
        assert_eq!(see(&mut status, event(1, 4, 90, true)).turn, None);
        assert_eq!(status.unwrap().since, UtcTime::from_micros(60 * SECOND));
    }

    #[test]
    fn what_does_not_count_leaves_an_incident_open_and_opens_none() {
        let mut status = None;
        let checks = [good(), by_fault_of_prober(), in_maintenance(failed()), failed()];
        assert_eq!(turns(&mut status, checks), [None, None, None, Some(Turn::WentDown)]);
        let checks = [by_fault_of_prober(), in_maintenance(good()), in_maintenance(failed()), failed(), good()];
        assert_eq!(turns(&mut status, checks), [None, None, None, None, Some(Turn::CameUp)]);
        let status = status.unwrap();
        assert_eq!((status.seq, status.since, status.is_down), (9, slot(9), Some(false)));
    }

    #[test]
    fn what_does_not_count_is_the_latest_all_the_same() {
        let mut status = None;
        turns(&mut status, [failed(), in_maintenance(good())]);
        let status = status.unwrap();
        assert_eq!((status.seq, status.scheduled_at, status.finished_at), (2, slot(2), slot(2)));
        assert_eq!((status.since, status.is_down), (slot(1), Some(true)));
    }

    #[test]
    fn a_site_first_seen_in_maintenance_is_neither_up_nor_down_until_a_check_counts() {
        let mut status = None;
        assert_eq!(turns(&mut status, [in_maintenance(failed()), by_fault_of_prober()]), [None, None]);
        assert_eq!(status.as_ref().map(|status| (status.since, status.is_down)), Some((slot(1), None)));
        assert_eq!(turns(&mut status.clone(), [failed()]), [Some(Turn::WentDown)]);
        assert_eq!(turns(&mut status, [good()]), [None], "coming up is no end of an incident");
        assert_eq!(status.map(|status| (status.since, status.is_down)), Some((slot(3), Some(false))));
    }

    #[test]
    fn a_failure_that_a_confirmation_denied_counts_as_up() {
        let mut status = None;
        let checks = [confirmed(false), confirmed(true), confirmed(false), good()];
        assert_eq!(turns(&mut status, checks), [None, Some(Turn::WentDown), Some(Turn::CameUp), None]);
        assert_eq!(status.map(|status| status.since), Some(slot(3)));
    }

    #[test]
    fn an_older_event_changes_nothing_but_where_the_site_begins() {
        let mut status = None;
        see(&mut status, event(1, 10, 300, true));
        let before = status.clone().unwrap();
        let late = see(&mut status, event(1, 9, 270, false));
        assert_eq!(late, Observation { began_earlier: true, ..Observation::default() });
        let first_scheduled_at = UtcTime::from_micros(270 * SECOND);
        assert_eq!(status.unwrap(), Status { first_scheduled_at, ..before });
    }

    #[test]
    fn a_clock_set_back_does_not_make_a_producers_next_event_old() {
        let mut status = None;
        see(&mut status, event(1, 10, 3600, true));
        assert_eq!(see(&mut status, event(1, 11, 0, false)).turn, Some(Turn::WentDown));
    }

    #[test]
    fn of_two_producers_the_later_end_is_newer() {
        let mut status = None;
        see(&mut status, event(1, 10, 100, true));
        assert!(!see(&mut status, event(2, 999, 100, false)).is_newer);
        assert!(see(&mut status, event(2, 1, 101, false)).is_newer);
    }

    #[test]
    fn steps_are_told_only_between_slots_of_one_producer_and_configuration() {
        let mut status = None;
        assert_eq!(see(&mut status, event(1, 1, 0, true)).step_us, None);
        assert_eq!(see(&mut status, event(1, 2, 30, true)).step_us, Some(30 * SECOND));
        assert_eq!(see(&mut status, event(2, 1, 31, true)).step_us, None);
        let (envelope, check) = event(2, 2, 61, true);
        assert_eq!(observe(&mut status, &envelope, &check, 2, later()).step_us, None);
    }

    #[test]
    fn a_clock_that_was_ahead_freezes_no_status() {
        let mut status = None;
        let day = 86_400;
        assert!(is_newest(&mut status, 100, event(1, 1, 100 + day, false)));
        assert!(is_newest(&mut status, 101, event(2, 1, 101, true)), "the other producer's clock is right");
        assert!(is_newest(&mut status, 102, event(1, 2, 102 + day, true)));
        assert!(!is_newest(&mut status, 103, event(2, 2, 101, true)), "an older one is older");
        assert!(is_newest(&mut status, 104, event(1, 3, 60, true)), "of one producer the higher number is newer");
    }

    #[test]
    fn a_number_that_was_never_issued_freezes_no_status_for_longer_than_an_hour() {
        let mut status = None;
        assert!(is_newest(&mut status, 100, event(1, 1 << 47, 100, false)));
        assert!(!is_newest(&mut status, 3_700, event(1, 7, 3_700, true)));
        assert!(is_newest(&mut status, 3_701, event(1, 8, 3_701, true)));
        assert!(is_newest(&mut status, 3_731, event(1, 9, 3_731, true)));
        assert_eq!(status.map(|status| status.seq), Some(9));
    }

    #[test]
    fn a_step_shorter_than_any_interval_is_not_learnt() {
        let mut status = None;
        see(&mut status, event(1, 1, 0, true));
        let (envelope, check) = event(1, 2, 0, true);
        let soon = Check { scheduled_at: UtcTime::from_micros(99_999), ..check };
        assert_eq!(see(&mut status, (envelope, soon)).step_us, None);
    }
}
