//! Times in which a site may be down: its results are kept, and count for nothing.

use crate::time::UtcTime;
use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// A maintenance window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Window {
    /// Once: from the first moment to before the second.
    Once {
        /// Its begin.
        from: UtcTime,
        /// Its end.
        to: UtcTime,
    },
    /// Every week.
    Weekly(Weekly),
}

/// A window on some days of the week, by the clocks of a time zone: when these are put back it lasts an hour longer, when
/// they are put forward an hour less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weekly {
    /// As written.
    text: String,
    days: Vec<Weekday>,
    begin: Time,
    /// `None` is midnight at the end of the day. When it is not after `begin`, it lies on the next day.
    end: Option<Time>,
    zone: TimeZone,
}

impl Window {
    /// Whether `moment` lies in it.
    pub fn contains(&self, moment: UtcTime) -> bool {
        match self {
            Self::Once { from, to } => (*from..*to).contains(&moment),
            Self::Weekly(weekly) => weekly.contains(moment),
        }
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Self::Once { from, to } => format!("{from} {to}"),
            Self::Weekly(weekly) => format!("{} {}", weekly.text, weekly.zone.iana_name().unwrap_or_default()),
        }
    }

    /// Reads a time such as `2026-12-01T22:00:00Z`, or one without an offset by the clocks of `zone`.
    pub fn time(text: &str, zone: &TimeZone) -> Option<UtcTime> {
        let instant = text.parse::<Timestamp>().ok().or_else(|| {
            let civil = text.parse::<DateTime>().ok()?;
            Some(civil.to_zoned(zone.clone()).ok()?.timestamp())
        });
        instant.map(|instant| UtcTime::from_micros(instant.as_microsecond()))
    }
}

impl Weekly {
    /// Reads `Sun 02:00-04:00`, `Mon-Fri 22:00-02:00` or `Sat,Sun 00:00-24:00`, by the clocks of `zone`.
    pub fn parse(text: &str, zone: TimeZone) -> Option<Self> {
        let (days, times) = text.trim().split_once(char::is_whitespace)?;
        let (begin, end) = times.trim().split_once('-')?;
        let end = if end.trim() == "24:00" { None } else { Some(time(end)?) };
        Some(Self { text: text.trim().to_owned(), days: self::days(days)?, begin: time(begin)?, end, zone })
    }

    fn contains(&self, moment: UtcTime) -> bool {
        let Ok(instant) = Timestamp::from_microsecond(moment.as_micros()) else { return false };
        let local = instant.to_zoned(self.zone.clone()).datetime();
        let (today, now) = (local.weekday(), local.time());
        let began_today = self.days.contains(&today);
        let began_yesterday = local.checked_sub(1.day()).is_ok_and(|before| self.days.contains(&before.weekday()));
        match self.end {
            None => began_today && now >= self.begin,
            Some(end) if end > self.begin => began_today && now >= self.begin && now < end,
            Some(end) => (began_today && now >= self.begin) || (began_yesterday && now < end),
        }
    }
}

fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.trim().split_once(':')?;
    if minute.len() != 2 {
        return None;
    }
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

fn days(text: &str) -> Option<Vec<Weekday>> {
    let mut all = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            None => all.push(day(part)?),
            Some((first, last)) => {
                let (first, last) = (day(first)?, day(last)?);
                all.extend(first.cycle_forward().take(7).take_while(|day| *day != last));
                all.push(last);
            }
        }
    }
    Some(all)
}

fn day(text: &str) -> Option<Weekday> {
    Some(match text.trim().to_ascii_lowercase().as_str() {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UtcTime {
        UtcTime::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond())
    }

    fn is_in(weekly: &str, zone: &str, moment: &str) -> bool {
        Window::Weekly(Weekly::parse(weekly, TimeZone::get(zone).unwrap()).unwrap()).contains(at(moment))
    }

    #[test]
    fn a_weekly_window_goes_by_the_clocks_of_its_zone() {
        // 2026-11-22 is a Sunday. Berlin is an hour ahead of UTC in winter, two in summer.
        for (moment, inside) in [
            ("2026-11-22T00:59:59Z", false),
            ("2026-11-22T01:00:00Z", true),
            ("2026-11-22T02:59:59Z", true),
            ("2026-11-22T03:00:00Z", false),
            ("2026-11-23T01:30:00Z", false),
            ("2026-07-05T00:00:00Z", true),
        ] {
            assert_eq!(is_in("Sun 02:00-04:00", "Europe/Berlin", moment), inside, "{moment}");
        }
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
        for (moment, inside) in [
            ("2026-11-20T21:59:59Z", false),
            ("2026-11-20T22:00:00Z", true),
            ("2026-11-21T01:59:59Z", true),
            ("2026-11-21T02:00:00Z", false),
            ("2026-11-21T23:00:00Z", false),
            ("2026-11-22T01:00:00Z", false),
            ("2026-11-23T01:00:00Z", false),
        ] {
            assert_eq!(is_in("Mon-Fri 22:00-02:00", "UTC", moment), inside, "{moment}");
        }
        assert!(is_in("Sat,Sun 00:00-24:00", "UTC", "2026-11-22T23:59:59.999999Z"));
        assert!(!is_in("Sat,Sun 00:00-24:00", "UTC", "2026-11-23T00:00:00Z"));
        assert!(is_in("Fri-Mon 10:00-11:00", "UTC", "2026-11-22T10:00:00Z"));
    }

    #[test]
    fn when_the_clocks_change_the_window_follows_them() {
        // On 2026-10-25 at 03:00 Berlin's clocks went back to 02:00: 02:30 came twice. On 2026-03-29 it never came.
        for (moment, inside) in [
            ("2026-10-25T00:15:00Z", true),
            ("2026-10-25T01:15:00Z", true),
            ("2026-10-25T02:15:00Z", false),
            ("2026-03-29T00:59:59Z", false),
            ("2026-03-29T01:00:00Z", false),
        ] {
            assert_eq!(is_in("Sun 02:00-03:00", "Europe/Berlin", moment), inside, "{moment}");
        }
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for text in
            ["Sun", "Sun 2-4", "Sunday 02:00-04:00", "Sun 02:00", "Sun 25:00-26:00", "Sun 2:0-3:00", "02:00-04:00"]
        {
            assert!(Weekly::parse(text, TimeZone::UTC).is_none(), "{text}");
        }
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(Window::time("2026-12-01T22:00:00Z", &berlin), Some(at("2026-12-01T22:00:00Z")));
        assert_eq!(Window::time("2026-12-01T22:00", &berlin), Some(at("2026-12-01T21:00:00Z")));
        assert_eq!(Window::time("tomorrow", &berlin), None);
    }
}
