//! Reads what keeps a site from being called down wrongly: confirmations and maintenance.

use std::time::Duration;

use crate::config::{Entry, Section, shown};
use jiff::tz::TimeZone;

use super::settings::{Place, Reader};
use crate::site::{Confirm, Weekly, Window};

const LONGEST_CONFIRMATION: Duration = Duration::from_secs(60);

impl Reader<'_> {
    pub(super) fn confirm(&mut self, section: &mut Section, base: Confirm) -> Confirm {
        let mut confirm = section.section("confirm");
        let times = confirm.get_in("times", 0..=10);
        let is_well = |within: &Duration| !within.is_zero() && *within <= LONGEST_CONFIRMATION;
        let within = confirm.get_where("within", is_well, "more than 0s and at most 1m is allowed");
        confirm.finish();
        Confirm { times: times.unwrap_or(base.times), within: within.unwrap_or(base.within) }
    }

    /// The windows of `section`, in place of those of `base`.
    pub(super) fn maintenance(&mut self, section: &mut Section, place: Place<'_>, base: &[Window]) -> Vec<Window> {
        let is_given = section.contains("maintenance");
        let entries = section.entries("maintenance");
        if !is_given {
            return base.to_vec();
        }
        let windows = entries.into_iter().enumerate().filter_map(|(index, entry)| match entry {
            Entry::Scalar(text) => {
                text.refuse(
                    "write a window as {from: .., to: ..} or {weekly: Sun 02:00-04:00, time_zone: Europe/Berlin}",
                );
                None
            }
            Entry::Table(section) => self.window(section, &format!("{}.maintenance[{index}]", place.path)),
        });
        windows.collect()
    }

    fn window(&mut self, mut section: Section, path: &str) -> Option<Window> {
        let place = section.place();
        let zone = section.get::<String>("time_zone");
        let (weekly, from, to) =
            (section.get::<String>("weekly"), section.get::<String>("from"), section.get::<String>("to"));
        section.finish();
        let mut refuse = |key: &str, message: String| {
            self.refuse(&place, &format!("{path}{key}"), message);
            None
        };
        let zone = match &zone {
            None => TimeZone::UTC,
            Some(name) => match TimeZone::get(name) {
                Ok(zone) => zone,
                Err(_) => {
                    return refuse(
                        ".time_zone",
                        format!("{} is no time zone such as Europe/Berlin", shown::text(name)),
                    );
                }
            },
        };
        match (weekly, from, to) {
            (Some(text), None, None) => match Weekly::parse(&text, zone) {
                Some(weekly) => Some(Window::Weekly(weekly)),
                None => {
                    let allowed = "is no time of the week: write it like Sun 02:00-04:00 or Mon-Fri 22:00-02:00";
                    refuse(".weekly", format!("{} {allowed}", shown::text(&text)))
                }
            },
            (None, Some(from), Some(to)) => match (Window::time(&from, &zone), Window::time(&to, &zone)) {
                (Some(from), Some(to)) if from < to => Some(Window::Once { from, to }),
                (Some(from), Some(to)) => refuse(".to", format!("{to} is not after {from}")),
                (None, _) => refuse(".from", no_time(&from)),
                (_, None) => refuse(".to", no_time(&to)),
            },
            _ => refuse("", "needs `from` and `to`, or `weekly` alone".into()),
        }
    }
}

fn no_time(text: &str) -> String {
    format!("{} is no time: write it like 2026-12-01T22:00:00Z", shown::text(text))
}
