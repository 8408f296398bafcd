//! `peek`: the newest checks, and new ones as they come.

use std::time::Duration;

use clap::Args;
use isitup_shared::retry::Retry;
use isitup_shared::time::UtcTime;
use jiff::Timestamp;
use serde_json::Value;

use super::Context;
use crate::exit::{Answer, CommandError};
use crate::output::{ago, align_right, duration, outcome, print, printable, table, wants_colour};
use crate::store::reading::{self, ShownCheck};
use crate::store::{Session, Store, StoreError};
use crate::waiting::Patience;

/// How often new checks are looked for.
const INTERVAL: Duration = Duration::from_secs(1);

/// Options of `peek`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct PeekArgs {
    /// How many checks to show
    #[arg(long, short = 'n', default_value_t = 20, value_name = "N")]
    pub limit: u32,
    /// Go on with new checks as they come, until stopped
    #[arg(long, short)]
    pub follow: bool,
    /// One JSON object a line, named as the event's fields
    #[arg(long)]
    pub json: bool,
}

/// Shows the newest checks.
///
/// # Errors
/// When PostgreSQL does not answer, or refuses.
pub(crate) fn run(context: &Context, args: PeekArgs) -> Result<Answer, CommandError> {
    let store = context.store()?;
    let (mut checks, moment) = newest(&store, args.limit)?;
    if args.follow {
        // As in `tail`: the newest comes last.
        checks.reverse();
    }
    show(&checks, args, true)?;
    if args.follow {
        follow(context, &store, args, moment)?;
    }
    Ok(Answer::Yes)
}

fn newest(store: &Store, limit: u32) -> Result<(Vec<ShownCheck>, String), StoreError> {
    let mut session = store.session()?;
    let mut tx = session.begin_snapshot()?;
    let checks = reading::newest(&mut tx, i64::from(limit))?;
    let moment = reading::moment(&mut tx)?;
    tx.commit()?;
    Ok((checks, moment))
}

fn follow(context: &Context, store: &Store, args: PeekArgs, mut moment: String) -> Result<(), CommandError> {
    let (mut patience, mut retry) = (Patience::new("PostgreSQL"), Retry::for_service());
    let mut session: Option<Session> = None;
    while !context.shutdown.wait(INTERVAL) {
        match new_ones(store, &mut session, &moment) {
            Ok((checks, now)) => {
                patience.succeeded();
                retry.reset();
                show(&checks, args, false)?;
                moment = now;
            }
            Err(error) => {
                session = None;
                patience.failed(&error);
                retry.pause(&context.shutdown);
            }
        }
    }
    Ok(())
}

fn new_ones(
    store: &Store,
    session: &mut Option<Session>,
    moment: &str,
) -> Result<(Vec<ShownCheck>, String), StoreError> {
    let session = match session {
        Some(session) => session,
        None => session.insert(store.session()?),
    };
    let mut tx = session.begin_snapshot()?;
    let checks = reading::since(&mut tx, moment)?;
    let now = reading::moment(&mut tx)?;
    tx.commit()?;
    Ok((checks, now))
}

fn show(checks: &[ShownCheck], args: PeekArgs, is_first: bool) -> Result<(), CommandError> {
    if args.json {
        for check in checks {
            print(&json(&check.row).to_string())?;
        }
    } else if args.follow {
        for check in checks {
            print(&line(check))?;
        }
    } else if is_first {
        let text = if checks.is_empty() { "no checks yet".to_owned() } else { as_table(checks) };
        print(&text)?;
    }
    Ok(())
}

/// The row with its times written as the contract writes them.
fn json(row: &Value) -> Value {
    let mut row = row.clone();
    if let Some(fields) = row.as_object_mut() {
        for (_, value) in fields.iter_mut().filter(|(name, _)| name.ends_with("_at")) {
            if let Some(time) = value.as_str().and_then(|text| text.parse::<UtcTime>().ok()) {
                *value = Value::from(time.to_string());
            }
        }
    }
    row
}

/// How it failed, after what keeps it from counting as it looks.
fn detail(check: &ShownCheck) -> String {
    let failure = check.failure.as_ref().map(|(kind, detail)| format!("{kind}: {}", printable(detail)));
    notes(check).map(|note| format!("[{note}]")).chain(failure).collect::<Vec<_>>().join(" ")
}

fn notes(check: &ShownCheck) -> impl Iterator<Item = String> {
    let failed = check.failure.is_some();
    let prober_fault = check.prober_fault.as_deref().filter(|_| failed);
    [
        check.maintenance.then(|| "maintenance".to_owned()),
        check.confirmation.map(|number| format!("confirmation {number}")),
        prober_fault.map(|fault| format!("unknown, fault of the prober: {}", printable(fault))),
        (failed && check.confirmed == Some(false)).then(|| "not confirmed".to_owned()),
    ]
    .into_iter()
    .flatten()
}

fn http_status(check: &ShownCheck) -> String {
    check.status.map_or_else(|| "-".to_owned(), |status| status.to_string())
}

fn as_table(checks: &[ShownCheck]) -> String {
    let (now, colour) = (Timestamp::now(), wants_colour());
    let mut shown = table(&["CHECKED", "SITE", "LOCATION", "OUTCOME", "STATUS", "TOOK", "FAILURE"]);
    for check in checks {
        shown.add_row([
            ago(check.finished_at, now),
            printable(&check.site),
            printable(&check.location),
            outcome(check.failure.is_none(), colour),
            http_status(check),
            duration(check.total_us),
            detail(check),
        ]);
    }
    align_right(&mut shown, [4, 5]);
    shown.to_string()
}

/// One check a line, in columns wide enough for most.
fn line(check: &ShownCheck) -> String {
    let time = check.finished_at.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    let outcome = outcome(check.failure.is_none(), wants_colour());
    let padding = " ".repeat(if check.failure.is_none() { 3 } else { 1 });
    format!(
        "{time}  {:<30} {:<10} {outcome}{padding} {:>4} {:>9}  {}",
        printable(&check.site),
        printable(&check.location),
        http_status(check),
        duration(check.total_us),
        detail(check),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> ShownCheck {
        ShownCheck {
            scheduled_at: Timestamp::UNIX_EPOCH,
            finished_at: Timestamp::UNIX_EPOCH,
            site: "site".into(),
            location: "here".into(),
            failure: Some(("status".into(), "500".into())),
            status: Some(500),
            total_us: 1,
            confirmation: None,
            confirmed: None,
            maintenance: false,
            prober_fault: None,
            row: Value::Null,
        }
    }

    #[test]
    fn what_keeps_a_check_from_counting_stands_before_its_failure() {
        let good = || ShownCheck { failure: None, ..failed() };
        let cases = [
            (good(), ""),
            (failed(), "status: 500"),
            (ShownCheck { confirmed: Some(true), ..failed() }, "status: 500"),
            (ShownCheck { confirmed: Some(false), ..failed() }, "[not confirmed] status: 500"),
            (ShownCheck { confirmation: Some(2), ..failed() }, "[confirmation 2] status: 500"),
            (ShownCheck { confirmation: Some(1), ..good() }, "[confirmation 1]"),
            (ShownCheck { maintenance: true, ..good() }, "[maintenance]"),
            (
                ShownCheck { prober_fault: Some("no\nnet".into()), ..failed() },
                r"[unknown, fault of the prober: no\nnet] status: 500",
            ),
        ];
        for (check, expected) in cases {
            assert_eq!(detail(&check), expected);
        }
    }
}
