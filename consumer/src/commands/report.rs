//! `report`: uptime of each site, with unknown time and maintenance apart.

use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::Context;
use crate::cli;
use crate::exit::{Answer, CommandError};
use crate::output::{align_right, duration, outcome, print, printable, table, wants_colour};
use crate::store::reading::{self, SiteReport};

/// Options of `report`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ReportArgs {
    /// How far back to look, such as 24h or 7d
    #[arg(long, default_value = "24h", value_name = "DURATION", value_parser = cli::duration)]
    pub since: Duration,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Shows figures of each site.
///
/// # Errors
/// When PostgreSQL does not answer, or refuses.
pub(crate) fn run(context: &Context, args: ReportArgs) -> Result<Answer, CommandError> {
    let store = context.store()?;
    let back = SignedDuration::try_from(args.since).unwrap_or(SignedDuration::MAX);
    let since = Timestamp::now().checked_sub(back).unwrap_or(Timestamp::UNIX_EPOCH).max(Timestamp::UNIX_EPOCH);
    let mut session = store.session()?;
    let mut tx = session.begin_snapshot()?;
    let sites = reading::report(&mut tx, since)?;
    tx.commit()?;
    if args.json {
        print(&json!({"since": isitup_shared::time::UtcTime::from(since), "sites": sites}).to_string())?;
    } else if sites.is_empty() {
        print("no checks in this time")?;
    } else {
        print(&as_table(&sites))?;
    }
    Ok(Answer::Yes)
}

fn as_table(sites: &[SiteReport]) -> String {
    let colour = wants_colour();
    let mut shown = table(&["SITE", "NOW", "UPTIME", "UNKNOWN", "MAINTENANCE", "CHECKS", "P50", "P95", "INCIDENTS"]);
    for site in sites {
        let time = |micros: Option<i64>| micros.map_or_else(|| "-".to_owned(), duration);
        shown.add_row([
            printable(&site.site),
            outcome(!site.is_down, colour),
            site.uptime_percent.map_or_else(|| "-".to_owned(), percent),
            percent(share(site.unknown, site.up + site.down + site.unknown)),
            percent(share(site.maintenance, site.up + site.down + site.unknown + site.maintenance)),
            site.checks.to_string(),
            time(site.p50_us),
            time(site.p95_us),
            site.incidents.to_string(),
        ]);
    }
    align_right(&mut shown, 2..9);
    format!(
        "{shown}\n\nUptime is of the due checks that found the site up or down. UNKNOWN is the share without a result, or with \
         one that\nsays nothing about the site by a fault of the prober; checks in maintenance count in neither."
    )
}

/// `some` of `all` in percent.
fn share(some: i64, all: i64) -> f64 {
    if all == 0 { 0.0 } else { 100.0 * some as f64 / all as f64 }
}

/// Two decimals, cut rather than rounded: 99.999 % is not all.
fn percent(value: f64) -> String {
    let cut = (value * 100.0).floor() / 100.0;
    if value > 0.0 && cut == 0.0 { "<0.01 %".into() } else { format!("{cut:.2} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn almost_all_is_not_all_and_almost_nothing_not_nothing() {
        assert_eq!(
            [percent(100.0), percent(99.9999), percent(0.0), percent(0.001)],
            ["100.00 %", "99.99 %", "0.00 %", "<0.01 %"]
        );
    }
}
