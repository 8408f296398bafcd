//! What a slot counts as, by its scheduled check.

use isitup_shared::event::Check;

/// What a slot counts as. `uptime_between` in the migrations says the same in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The check was good, or a confirmation was.
    Up,
    /// The check failed, and so did all confirmations that there were.
    Down,
    /// The check failed by a fault of the prober, which says nothing about the site.
    Unknown,
    /// The slot lies in a maintenance window, whatever was found.
    Maintenance,
}

impl Verdict {
    /// By a scheduled check. A confirmation has no verdict: that of its slot's check is made in view of it.
    pub(super) fn of(check: &Check) -> Self {
        if check.maintenance {
            Self::Maintenance
        } else if check.outcome.failure().is_none() {
            Self::Up
        } else if check.prober_fault.is_some() {
            Self::Unknown
        } else if check.confirmed == Some(false) {
            Self::Up
        } else {
            Self::Down
        }
    }

    /// Whether the site was down, where that is known and counts.
    pub(super) fn is_down(self) -> Option<bool> {
        match self {
            Self::Up => Some(false),
            Self::Down => Some(true),
            Self::Unknown | Self::Maintenance => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isitup_shared::event::{FailureKind, Outcome};
    use isitup_shared::time::UtcTime;

    #[test]
    fn a_slot_is_down_only_when_nothing_speaks_against_it() {
        let good = || Check::up("site", "https://site/", UtcTime::EPOCH);
        let failed = || Check { outcome: Outcome::down(FailureKind::Status, "500"), ..good() };
        let prober_fault = || Some("no network".into());
        let cases = [
            (good(), Verdict::Up),
            (failed(), Verdict::Down),
            (Check { confirmed: Some(true), ..failed() }, Verdict::Down),
            (Check { confirmed: Some(false), ..failed() }, Verdict::Up),
            (Check { prober_fault: prober_fault(), ..failed() }, Verdict::Unknown),
            (Check { prober_fault: prober_fault(), confirmed: Some(false), ..failed() }, Verdict::Unknown),
            (Check { prober_fault: prober_fault(), ..good() }, Verdict::Up),
            (Check { maintenance: true, ..good() }, Verdict::Maintenance),
            (Check { maintenance: true, ..failed() }, Verdict::Maintenance),
            (Check { maintenance: true, prober_fault: prober_fault(), ..failed() }, Verdict::Maintenance),
        ];
        for (check, verdict) in cases {
            assert_eq!(Verdict::of(&check), verdict, "{check:?}");
        }
    }
}
