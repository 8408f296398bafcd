//! From what a check found to what is said of its site: was the fault ours, is it maintenance, does it fail again?

use std::time::{Duration, Instant};

use isitup_shared::event::{Check, FailureKind};
use isitup_shared::shutdown::Shutdown;
use isitup_shared::time::UtcTime;

use crate::checker::Checker;
use crate::reference::Reference;
use crate::site::Site;

/// A check that waited longer for a thread than this was made by a machine with too much to do: that it ran out of time
/// says little about the site.
const TOO_BUSY: Duration = Duration::from_secs(1);

/// What judging a site needs beside its check.
#[derive(Debug)]
pub struct Jury {
    reference: Reference,
    /// Ends the wait between confirmations.
    stop: Shutdown,
}

impl Jury {
    /// A jury that asks `reference`, and confirms nothing more once `stop` is triggered.
    pub fn new(reference: Reference, stop: Shutdown) -> Self {
        Self { reference, stop }
    }

    /// Checks `site` for `slot`, after its job waited `queued` for a thread. The first result is the scheduled one, the
    /// others are its confirmations.
    pub fn check(&self, checker: &mut Checker, site: &Site, slot: UtcTime, queued: Duration) -> Vec<Check> {
        let mut check = self.examined(checker.check(site, slot), queued);
        check.queue_us = Some(u64::try_from(queued.as_micros()).unwrap_or(u64::MAX));
        check.maintenance = site.settings.maintenance.iter().any(|window| window.contains(slot));
        let is_counted = check.outcome.failure().is_some() && check.prober_fault.is_none() && !check.maintenance;
        if !is_counted || site.settings.confirm.times == 0 {
            return vec![check];
        }
        let confirmations = self.confirm(checker, site, slot);
        check.confirmed = verdict(site.settings.confirm.times, &confirmations);
        let mut all = vec![check];
        all.extend(confirmations);
        all
    }

    /// Tries again, until it is well or has failed as often as is configured.
    fn confirm(&self, checker: &mut Checker, site: &Site, slot: UtcTime) -> Vec<Check> {
        let confirm = site.settings.confirm;
        let (failed_at, step) = (Instant::now(), confirm.within / confirm.times);
        let mut tries = Vec::new();
        for number in 1..=confirm.times {
            let due = failed_at + step * (number - 1);
            if self.stop.wait(due.saturating_duration_since(Instant::now())) {
                break;
            }
            let mut check = self.examined(checker.check(site, slot), Duration::ZERO);
            check.confirmation = Some(number);
            let is_up = check.outcome.failure().is_none();
            tries.push(check);
            if is_up {
                break;
            }
        }
        tries
    }

    /// `check` with what is known of our own part in its failure.
    fn examined(&self, mut check: Check, queued: Duration) -> Check {
        let Some(failure) = check.outcome.failure() else { return check };
        let ran_out_of_time =
            matches!(failure.kind, FailureKind::Dns | FailureKind::ConnectTimeout | FailureKind::Timeout);
        let could_not_connect = ran_out_of_time || failure.kind == FailureKind::ConnectRefused;
        if could_not_connect {
            check.reference_answered = self.reference.answers();
        }
        if check.prober_fault.is_none() && check.reference_answered == Some(false) {
            check.prober_fault = Some("no reference address answered: this machine's network was away".into());
        }
        if check.prober_fault.is_none() && ran_out_of_time && queued > TOO_BUSY {
            let seconds = queued.as_millis() / 100;
            let waited = format!("{}.{} s", seconds / 10, seconds % 10);
            check.prober_fault =
                Some(format!("this machine was too busy: the check waited {waited} for a thread").into());
        }
        check
    }
}

/// Whether the failure is confirmed: not where a try was well, and not known where the tries were cut short or say nothing
/// about the site.
fn verdict(times: u32, tries: &[Check]) -> Option<bool> {
    if tries.iter().any(|check| check.outcome.failure().is_none()) {
        return Some(false);
    }
    let counted = tries.iter().filter(|check| check.prober_fault.is_none()).count();
    (u32::try_from(counted) == Ok(times)).then_some(true)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::sync::Arc;
    use std::thread;

    use isitup_shared::event::Outcome;

    use super::*;
    use crate::checker::Trust;
    use crate::site::{Confirm, SiteSettings, Window};
    use crate::target::Target;

    /// A server that gives these statuses one after the other, then the last one for ever.
    fn answering(statuses: &'static [u16]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let last = statuses.last().into_iter().cycle();
            for (stream, status) in listener.incoming().zip(statuses.iter().chain(last)) {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let _ = write!(stream, "HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
            }
        });
        address
    }

    fn settings(times: u32) -> SiteSettings {
        let confirm = Confirm { times, within: Duration::from_millis(30) };
        SiteSettings { confirm, timeout: Duration::from_secs(20), ..SiteSettings::default() }
    }

    fn judged(address: SocketAddr, settings: SiteSettings, reference: &[SocketAddr], queued: Duration) -> Vec<Check> {
        let trust = Trust::only([]).unwrap();
        let reference = Reference::new(&trust, reference.iter().map(ToString::to_string).collect());
        let site = Site::new(Target::parse(&format!("http://{address}")).unwrap(), None, Arc::new(settings));
        Jury::new(reference, Shutdown::new()).check(&mut Checker::new(&trust), &site, UtcTime::now(), queued)
    }

    fn told(checks: &[Check]) -> Vec<(Option<u32>, Option<u16>, Option<bool>)> {
        checks.iter().map(|check| (check.confirmation, check.status, check.confirmed)).collect()
    }

    #[test]
    fn a_failure_that_does_not_last_is_not_confirmed_and_one_that_does_is() {
        let once = judged(answering(&[500, 200]), settings(2), &[], Duration::ZERO);
        assert_eq!(told(&once), [(None, Some(500), Some(false)), (Some(1), Some(200), None)]);
        assert_eq!(once[0].scheduled_at, once[1].scheduled_at);
        let lasting = judged(answering(&[500]), settings(2), &[], Duration::ZERO);
        let expected = [(None, Some(500), Some(true)), (Some(1), Some(500), None), (Some(2), Some(500), None)];
        assert_eq!(told(&lasting), expected);
        assert_eq!(told(&judged(answering(&[200]), settings(2), &[], Duration::ZERO)), [(None, Some(200), None)]);
        assert_eq!(told(&judged(answering(&[500]), settings(0), &[], Duration::ZERO)), [(None, Some(500), None)]);
    }

    #[test]
    fn where_our_own_network_is_away_the_site_is_not_blamed() {
        let closed = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let away = judged(closed(), settings(2), &[closed()], Duration::ZERO);
        assert_eq!((away.len(), away[0].reference_answered), (1, Some(false)));
        let expected = "no reference address answered: this machine's network was away";
        assert_eq!(away[0].prober_fault.as_deref(), Some(expected));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let down = judged(closed(), settings(0), &[listener.local_addr().unwrap()], Duration::ZERO);
        assert_eq!((down[0].reference_answered, down[0].prober_fault.as_deref()), (Some(true), None));
        let other = judged(answering(&[500]), settings(0), &[closed()], Duration::ZERO);
        assert_eq!((other[0].reference_answered, other[0].prober_fault.as_deref()), (None, None));
    }

    #[test]
    fn a_machine_with_too_much_to_do_blames_itself_for_what_ran_out_of_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let hasty = SiteSettings { timeout: Duration::from_millis(50), ..settings(0) };
        let silent = listener.local_addr().unwrap();
        let checks = judged(silent, hasty.clone(), &[], Duration::from_millis(1_250));
        let expected = "this machine was too busy: the check waited 1.2 s for a thread";
        assert_eq!(checks[0].prober_fault.as_deref(), Some(expected));
        assert_eq!(checks[0].queue_us, Some(1_250_000));
        assert_eq!(judged(silent, hasty, &[], Duration::from_millis(900))[0].prober_fault, None);
    }

    #[test]
    fn in_maintenance_a_failure_is_kept_and_not_looked_at_again() {
        let now = UtcTime::now();
        let maintenance = vec![Window::Once { from: now, to: now.after(Duration::from_secs(3600)) }];
        let checks = judged(answering(&[500]), SiteSettings { maintenance, ..settings(2) }, &[], Duration::ZERO);
        assert_eq!((checks.len(), checks[0].maintenance, checks[0].confirmed), (1, true, None));
        assert_ne!(checks[0].outcome, Outcome::Up);
    }

    #[test]
    fn a_shutdown_cuts_confirmations_short() {
        let trust = Trust::only([]).unwrap();
        let stop = Shutdown::new();
        stop.trigger();
        let target = Target::parse(&format!("http://{}", answering(&[500]))).unwrap();
        let site = Site::new(target, None, Arc::new(settings(2)));
        let jury = Jury::new(Reference::new(&trust, Vec::new()), stop);
        let checks = jury.check(&mut Checker::new(&trust), &site, UtcTime::now(), Duration::ZERO);
        assert_eq!(told(&checks), [(None, Some(500), None)]);
    }
}
