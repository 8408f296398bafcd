//! The commands that ask the supervisor for something, or tell what it does.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use jiff::Timestamp;
use rustix::process::Signal;

use super::state::{self, Health, Item, State};
use super::up::say;
use super::{CONSUMER, FolderArgs, PRODUCER};
use crate::process::log_tail;
use crate::stack::delete_data;

const RESTART_LIMIT: Duration = Duration::from_secs(90);
const DOWN_LIMIT: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What `down` can be told.
#[derive(Debug, Args)]
pub(crate) struct DownArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// Delete the data, too: database, topic, spool and logs
    #[arg(long)]
    data: bool,
}

/// What `status` can be told.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// Print the whole state as JSON
    #[arg(long)]
    json: bool,
}

/// What `exec` runs.
#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// The command; names that begin with `isitup-` are also looked for beside this program
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Ends the supervisor and with it everything.
pub(crate) fn down(args: &DownArgs) -> Result<()> {
    let dir = &args.folder.dir;
    match State::running(dir)? {
        None => say("isitup does not run.")?,
        Some(state) => {
            end(&state)?;
            say("isitup has ended.")?;
        }
    }
    if dir.is_dir() {
        state::forget(dir)?;
    }
    if args.data && dir.is_dir() {
        delete_data(dir)?;
        say(&format!("The data below {} is deleted.", dir.display()))?;
    }
    Ok(())
}

fn end(state: &State) -> Result<()> {
    state.supervisor.signal(Signal::TERM);
    let until = Instant::now() + DOWN_LIMIT;
    while state.supervisor.is_alive() {
        if Instant::now() > until {
            log::warn!("the supervisor does not end: killing it, and everything with it");
            state.supervisor.signal(Signal::KILL);
            thread::sleep(LOOK_EVERY * 10);
            if state.supervisor.is_alive() {
                bail!("process {} cannot be killed: is it another user's?", state.supervisor.pid);
            }
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// Restarts producer and consumer and waits until they are ready.
pub(crate) fn restart_services(args: &FolderArgs) -> Result<()> {
    let before = running(&args.dir)?;
    before.supervisor.signal(Signal::HUP);
    let until = Instant::now() + RESTART_LIMIT;
    loop {
        let now = running(&args.dir)?;
        let both: Vec<&Item> = [PRODUCER, CONSUMER].into_iter().filter_map(|name| now.item(name)).collect();
        let is_new = now.generation > before.generation;
        if is_new && both.iter().all(|item| item.health == Health::Ready) {
            return say(&format!("{PRODUCER} and {CONSUMER} are restarted and ready."));
        }
        let crashed = both.iter().find(|item| is_new && item.health == Health::Crashed);
        if let Some(item) = crashed {
            bail!(
                "{} has crashed; the last lines of its log {}:\n{}",
                item.name,
                item.log.display(),
                log_tail(&item.log)
            );
        }
        if Instant::now() > until {
            bail!(
                "the services are not ready after {} s: see their logs in {}",
                RESTART_LIMIT.as_secs(),
                args.dir.join("logs").display()
            );
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Shows what runs.
pub(crate) fn status(args: &StatusArgs) -> Result<()> {
    let state = State::running(&args.folder.dir)?;
    if args.json {
        return say(&serde_json::to_string(&state).context("could not write JSON")?);
    }
    let Some(state) = state else { return say("isitup does not run: `make run-dev` starts it.") };
    let now = Timestamp::now();
    let head = ["NAME", "STATE", "FOR", "ADDRESS", "PROCESS", "RESTARTS", "LOG"].map(str::to_owned);
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(state.items.iter().map(|item| row(item, now))).collect();
    say(&table(&rows))
}

fn row(item: &Item, now: Timestamp) -> [String; 7] {
    let health = match item.health {
        Health::Starting => "starting",
        Health::Ready => "ready",
        Health::Crashed => "crashed",
    };
    [
        item.name.clone(),
        health.to_owned(),
        humane(now.duration_since(item.since).as_secs()),
        item.address.clone(),
        item.process.map_or_else(|| "-".to_owned(), |process| process.pid.to_string()),
        item.restarts.to_string(),
        item.log.display().to_string(),
    ]
}

fn humane(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Columns as wide as their widest cell, two spaces apart.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Prints what commands need to reach the running set-up.
pub(crate) fn env(args: &FolderArgs) -> Result<()> {
    for (key, value) in running(&args.dir)?.environment {
        say(&format!("export {key}='{}'", value.replace('\'', r"'\''")))?;
    }
    Ok(())
}

/// Becomes the command, with that environment.
pub(crate) fn exec(args: &ExecArgs) -> Result<()> {
    let state = running(&args.folder.dir)?;
    let Some((program, rest)) = args.command.split_first() else { bail!("no command") };
    let error = Command::new(resolve(program)).args(rest).envs(state.environment).exec();
    Err(error).with_context(|| format!("could not run {}", program.display()))
}

fn resolve(program: &OsString) -> PathBuf {
    let ours = program.to_str().filter(|name| name.starts_with("isitup-") && !name.contains('/'));
    ours.and_then(|name| crate::binary(name).ok()).unwrap_or_else(|| program.into())
}

fn running(dir: &Path) -> Result<State> {
    match State::running(dir)? {
        Some(state) => Ok(state),
        None => bail!("isitup does not run (nothing in {}): `make run-dev` starts it", dir.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_tail() {
        let rows = [["NAME", "STATE"], ["kafka", "ready"], ["db", "-"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "NAME   STATE\nkafka  ready\ndb     -");
    }

    #[test]
    fn times_are_told_in_the_unit_that_fits() {
        assert_eq!([5, 61, 7200, 180_000].map(humane), ["5 s", "1 min", "2 h", "2 d"]);
    }
}
