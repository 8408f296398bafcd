//! Child processes with a log each, that cannot outlive this process.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::proc::{self, Identity};
use crate::spawner::Spawner;

const STEP: Duration = Duration::from_millis(10);
/// How long a killed process may take to leave the process table.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// Closes the gap between the start of a child and its parent-death signal: whose parent is gone by then, ends.
const GUARD: &str = r#"[ "$PPID" = "$1" ] || exit 1; shift; exec "$@""#;

/// Whom a process runs as, when not as ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// What to start.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    name: String,
    command: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: PathBuf,
    log: Option<PathBuf>,
    user: Option<User>,
}

impl Launch {
    /// `program` in `folder`, its output (both streams) appended to `log`.
    pub(crate) fn new(name: &str, program: impl AsRef<OsStr>, folder: &Path, log: &Path) -> Self {
        Self {
            name: name.to_owned(),
            command: vec![program.as_ref().to_owned()],
            environment: Vec::new(),
            folder: folder.to_owned(),
            log: Some(log.to_owned()),
            user: None,
        }
    }

    /// Adds arguments.
    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Runs it as somebody else; only root can.
    pub(crate) fn user(mut self, user: Option<User>) -> Self {
        self.user = user;
        self
    }

    /// Lets it write to our own output instead of a log.
    pub(crate) fn with_our_output(mut self) -> Self {
        self.log = None;
        self
    }

    /// Starts it.
    pub(crate) fn start(&self, spawner: &Spawner) -> Result<Process> {
        let log_start = self.log.as_deref().map_or(0, file_length);
        let child = spawner.spawn(self.guarded()?).with_context(|| {
            format!("could not start {}: is setpriv (package util-linux) installed? `make deps` installs it", self.name)
        })?;
        let pid = i32::try_from(child.id()).context("a process number beyond any known")?;
        let identity = Identity::of(pid).unwrap_or(Identity { pid, start_ticks: 0 });
        Ok(Process { name: self.name.clone(), child, identity, log: self.log.clone(), log_start })
    }

    /// Runs it to its end, which must be a success.
    pub(crate) fn run(&self, spawner: &Spawner) -> Result<()> {
        let mut process = self.start(spawner)?;
        let status = process.child.wait().with_context(|| format!("could not wait for {}", self.name))?;
        if !status.success() {
            bail!("{} failed ({status}){}", self.name, process.last_words());
        }
        Ok(())
    }

    /// The command behind `setpriv`, which asks the kernel to kill it when we die, however that happens. setpriv does
    /// so after it has changed the user (that would clear the wish again) and right before it becomes the program.
    fn guarded(&self) -> Result<Command> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some(User { uid, gid }) = self.user {
            command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).arg("--clear-groups");
        }
        command.args(["--", "sh", "-c", GUARD, "sh"]).arg(std::process::id().to_string()).args(&self.command);
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        // A group of its own: Ctrl-C in the terminal reaches only us, and we end the parts in order.
        command.current_dir(&self.folder).stdin(Stdio::null()).process_group(0);
        if let Some(log) = &self.log {
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(log)
                .with_context(|| format!("could not open the log {}", log.display()))?;
            command.stdout(file.try_clone().context("could not share the log")?).stderr(file);
        }
        Ok(command)
    }
}

/// A child process. Dropped, it is killed.
pub(crate) struct Process {
    name: String,
    child: Child,
    identity: Identity,
    log: Option<PathBuf>,
    log_start: u64,
}

impl Process {
    /// Its number and start time.
    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// How it ended, if it has.
    pub(crate) fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("could not look after {}", self.name))
    }

    /// Signals the process and everything below it.
    pub(crate) fn signal_all(&self, signal: Signal) {
        proc::family(self.identity).iter().for_each(|member| member.signal(signal));
    }

    /// Asks it to end by `signal` and waits; what does not end within `patience` is killed.
    pub(crate) fn stop(mut self, signal: Signal, patience: Duration) -> Result<()> {
        // Who is paused cannot hear the wish to end.
        self.signal_all(Signal::CONT);
        self.identity.signal(signal);
        let until = Instant::now() + patience;
        while self.exited()?.is_none() {
            if Instant::now() > until {
                log::warn!("{} did not end within {} s: killing it", self.name, patience.as_secs());
                return self.kill();
            }
            thread::sleep(STEP);
        }
        Ok(())
    }

    /// Kills it and everything below it, and waits until all of them are gone.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.end_now()
    }

    fn end_now(&mut self) -> Result<()> {
        if self.exited()?.is_some() {
            return Ok(());
        }
        let family = proc::family(self.identity);
        family.iter().for_each(|member| member.signal(Signal::KILL));
        self.child.wait().with_context(|| format!("could not wait for {}", self.name))?;
        let until = Instant::now() + KILL_LIMIT;
        while family.iter().any(Identity::is_alive) {
            if Instant::now() > until {
                bail!("{} still has processes {} s after kill -9", self.name, KILL_LIMIT.as_secs());
            }
            thread::sleep(STEP);
        }
        Ok(())
    }

    /// What it has written to its log since it started, at most the last 16 KiB.
    pub(crate) fn written(&self) -> String {
        self.log.as_deref().map(|log| read_tail(log, self.log_start)).unwrap_or_default()
    }

    /// Names the log and shows its last lines, to end an error message with.
    pub(crate) fn last_words(&self) -> String {
        let Some(log) = &self.log else { return String::new() };
        match last_lines(&self.written(), 15) {
            lines if lines.is_empty() => format!("; its log {} says nothing", log.display()),
            lines => format!("; the last lines of its log {}:\n{lines}", log.display()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.end_now() {
            log::warn!("{error:#}");
        }
    }
}

/// The last lines of a log file, for error messages about a process that is not ours.
pub(crate) fn log_tail(log: &Path) -> String {
    last_lines(&read_tail(log, 0), 15)
}

fn file_length(path: &Path) -> u64 {
    path.metadata().map_or(0, |meta| meta.len())
}

fn read_tail(log: &Path, start: u64) -> String {
    const MOST: u64 = 16 * 1024;
    let start = start.max(file_length(log).saturating_sub(MOST));
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let first = lines.len().saturating_sub(count);
    lines[first..].iter().map(|line| format!("  | {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spawner::with_spawner;

    fn shell(folder: &Path, script: &str) -> Launch {
        Launch::new("a script", "sh", folder, &folder.join("log")).args(["-c", script])
    }

    #[test]
    fn a_failed_command_shows_the_end_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let error = with_spawner(|spawner| shell(folder.path(), "echo first; echo last; exit 3").run(&spawner));
        let text = format!("{:#}", error.unwrap_err());
        assert!(text.contains("a script failed (exit status: 3)"), "{text}");
        assert!(text.ends_with("  | first\n  | last"), "{text}");
    }

    #[test]
    fn what_ignores_the_signal_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        with_spawner(|spawner| {
            let process = shell(folder.path(), "trap '' TERM; sleep 60 & wait; wait").start(&spawner).unwrap();
            while proc::family(process.identity()).len() < 2 {
                thread::sleep(STEP);
            }
            let family = proc::family(process.identity());
            process.stop(Signal::TERM, Duration::from_millis(100)).unwrap();
            assert!(family.iter().all(|member| !member.is_alive()));
        });
    }
}
