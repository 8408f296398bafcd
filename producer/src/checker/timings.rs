//! How long each phase took, summed over the hops of a check.

use std::time::{Duration, Instant};

use isitup_shared::event::Timings;

use super::hop::Reached;

/// The phases of a check so far; a phase that was not reached is absent, one that was broken off counts as far as it got.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Phases {
    pub(super) dns: Option<Duration>,
    pub(super) connect: Option<Duration>,
    pub(super) tls: Option<Duration>,
    pub(super) first_byte: Option<Duration>,
    pub(super) body: Option<Duration>,
}

impl Phases {
    /// Adds a hop that ended at `ended`: with the head of its answer, or before.
    pub(super) fn add(&mut self, hop: &Reached, ended: Instant) {
        // An address written as such needs no resolver: there TCP begins at once.
        let connect_began = hop.resolved.or(if hop.resolving.is_none() { hop.began } else { None });
        add(&mut self.dns, hop.resolving, hop.resolved.unwrap_or(ended));
        add(&mut self.connect, connect_began, hop.tls_began.or(hop.connected).unwrap_or(ended));
        add(&mut self.tls, hop.tls_began, hop.connected.unwrap_or(ended));
        add(&mut self.first_byte, hop.connected, ended);
    }

    /// Adds the phases of a whole hop.
    pub(super) fn merge(&mut self, hop: &Self) {
        let both = |sum: &mut Option<Duration>, more: Option<Duration>| {
            if let Some(more) = more {
                *sum = Some(sum.unwrap_or_default() + more);
            }
        };
        both(&mut self.dns, hop.dns);
        both(&mut self.connect, hop.connect);
        both(&mut self.tls, hop.tls);
        both(&mut self.first_byte, hop.first_byte);
        both(&mut self.body, hop.body);
    }

    /// As the contract has them.
    pub(super) fn with_total(self, total: Duration) -> Timings {
        Timings {
            dns: self.dns.map(micros),
            connect: self.connect.map(micros),
            tls: self.tls.map(micros),
            first_byte: self.first_byte.map(micros),
            body: self.body.map(micros),
            total: micros(total),
        }
    }
}

fn add(sum: &mut Option<Duration>, from: Option<Instant>, to: Instant) {
    if let Some(from) = from {
        *sum = Some(sum.unwrap_or_default() + to.saturating_duration_since(from));
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_summed_over_hops_and_a_broken_off_phase_counts_as_far_as_it_got() {
        let start = Instant::now();
        let at = |ms: u64| Some(start + Duration::from_millis(ms));
        let whole = Reached {
            began: at(0),
            resolving: at(1),
            resolved: at(3),
            tls_began: at(7),
            connected: at(15),
            ..Reached::default()
        };
        let mut phases = Phases::default();
        phases.add(&whole, start + Duration::from_millis(31));
        phases.add(&Reached { began: at(40), ..Reached::default() }, start + Duration::from_millis(45));
        let timings = phases.with_total(Duration::from_millis(50));
        let expected = Timings {
            dns: Some(2_000),
            connect: Some(4_000 + 5_000),
            tls: Some(8_000),
            first_byte: Some(16_000),
            body: None,
            total: 50_000,
        };
        assert_eq!(timings, expected);
    }
}
