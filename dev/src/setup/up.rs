//! `isitup-dev up`: starts the supervisor and shows how far it is.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::control::restart_services;
use super::state::{Health, Item, Phase, State};
use super::{SetupArgs, state};
use crate::process::log_tail;
use crate::stack::log_of;

/// With a cold cache Maven has to fetch 46 MB first.
const LIMIT: Duration = Duration::from_secs(240);
/// A service that crashes this often before it is ready will not get better by itself.
const MOST_CRASHES: u32 = 3;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Starts the set-up unless it runs, and waits until all of it is ready.
pub(crate) fn up(args: &SetupArgs) -> Result<()> {
    let dir = &args.folder.dir;
    let running = State::running(dir)?;
    if let Some(state) = &running {
        // Somebody has mended what made it crash, or they would not call again.
        if state.items.iter().any(|item| item.health == Health::Crashed) {
            say("isitup runs already, but not well: restarting the services.")?;
            restart_services(&args.folder)?;
            return explain(dir);
        }
        if state.phase == Phase::Ready {
            say("isitup runs already.")?;
            return explain(dir);
        }
    }
    let child = match running {
        Some(_) => None,
        None => Some(start_supervisor(args)?),
    };
    follow(dir, child)?;
    explain(dir)
}

fn start_supervisor(args: &SetupArgs) -> Result<Child> {
    let dir = &args.folder.dir;
    let log = log_of(dir, "supervisor");
    fs::create_dir_all(dir.join("logs")).with_context(|| format!("could not make {}", dir.display()))?;
    state::forget(dir)?;
    let file = OpenOptions::new().create(true).write(true).truncate(true).open(&log);
    let file = file.with_context(|| format!("could not open {}", log.display()))?;
    let own = std::env::current_exe().context("could not find this program")?;
    let mut command = Command::new(own);
    command.arg("supervise").arg("--dir").arg(dir).arg("--config").arg(&args.config);
    command.arg("--producer").arg(args.producer()?).arg("--consumer").arg(args.consumer()?);
    command.stdin(Stdio::null()).stdout(file.try_clone().context("could not share the log")?).stderr(file);
    command.spawn().context("could not start the supervisor")
}

/// Shows each part as it becomes ready. An error when one will not.
fn follow(dir: &Path, mut child: Option<Child>) -> Result<()> {
    let mut progress = Progress::new();
    let until = Instant::now() + LIMIT;
    loop {
        let state = State::running(dir)?;
        if let Some(state) = &state {
            progress.show(state)?;
            match state.phase {
                Phase::Ready => return Ok(()),
                _ => give_up_on_crashes(state)?,
            }
        }
        let has_ended = match &mut child {
            Some(child) => child.try_wait().context("could not look after the supervisor")?.is_some(),
            None => state.is_none(),
        };
        // Two `up` at once: the other's supervisor may have been quicker.
        if has_ended && State::running(dir)?.is_none() {
            return Err(why_it_ended(dir));
        }
        if Instant::now() > until {
            bail!("not ready after {} s: see `isitup-dev status` and {}", LIMIT.as_secs(), dir.join("logs").display());
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn why_it_ended(dir: &Path) -> anyhow::Error {
    let log = log_of(dir, "supervisor");
    match State::load(dir).ok().flatten().and_then(|state| state.error) {
        Some(error) => anyhow::anyhow!("{error}\nall logs are in {}", dir.join("logs").display()),
        None => {
            anyhow::anyhow!("the supervisor ended; the last lines of its log {}:\n{}", log.display(), log_tail(&log))
        }
    }
}

fn give_up_on_crashes(state: &State) -> Result<()> {
    let hopeless = |item: &&Item| item.restarts >= MOST_CRASHES && item.health != Health::Ready;
    let Some(item) = state.items.iter().find(hopeless) else { return Ok(()) };
    bail!(
        "{} ended {} times before it was ready; the last lines of its log {}:\n{}\nthe rest keeps running: \
         `make rebuild-dev` after a fix, `make stop-dev` to end it",
        item.name,
        item.restarts,
        item.log.display(),
        log_tail(&item.log)
    )
}

/// Lines for what is ready; below them, in a terminal, what is still awaited.
struct Progress {
    bar: Option<ProgressBar>,
    shown: BTreeSet<String>,
    started: Instant,
}

impl Progress {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(
                ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.enable_steady_tick(LOOK_EVERY);
            bar
        });
        Self { bar, shown: BTreeSet::new(), started: Instant::now() }
    }

    fn show(&mut self, state: &State) -> Result<()> {
        for note in &state.notes {
            self.line(note, &format!("note: {note}"))?;
        }
        for item in state.items.iter().filter(|item| item.health == Health::Ready) {
            let seconds = self.started.elapsed().as_secs_f64();
            self.line(&item.name, &format!("{:<20} ready after {seconds:>5.1} s on {}", item.name, item.address))?;
        }
        if let Some(bar) = &self.bar {
            let awaited = state.items.iter().filter(|item| item.health != Health::Ready).map(|item| item.name.as_str());
            bar.set_message(format!("waiting for {}", awaited.collect::<Vec<_>>().join(", ")));
        }
        Ok(())
    }

    fn line(&mut self, key: &str, text: &str) -> Result<()> {
        if !self.shown.insert(key.to_owned()) {
            return Ok(());
        }
        match &self.bar {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn explain(dir: &Path) -> Result<()> {
    say(&format!(
        "
isitup runs: producer and consumer, on Kafka, ZooKeeper and PostgreSQL of their own.

  make peek-data     the latest checks, as they lie in PostgreSQL
  make round-trip    one check followed to Kafka and into PostgreSQL
  make rebuild-dev   builds and restarts producer and consumer after a change
  make stop-dev      ends everything and keeps the data

Logs are in {}.",
        dir.join("logs").display()
    ))
}

pub(super) fn say(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").context("could not write to our output")
}
