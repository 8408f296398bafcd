//! Where a secret comes from, and how it is had anew: vaults give passwords that last for an hour.

use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::secret::Secret;

/// How long a command that prints a secret may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);

/// How often it is looked whether the command has ended.
const POLL: Duration = Duration::from_millis(10);

/// The shell that runs a command that is given as one text.
pub(super) const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// A secret is a line, not a book.
const LONGEST: u64 = 64 << 10;

/// A secret and where it came from.
#[derive(Clone, Debug, Eq)]
pub struct Credential {
    /// The secret, as it was when the configuration was read.
    pub secret: Secret,
    /// Which setting it is of, such as `postgres.password_file`.
    pub setting: String,
    /// How it is had anew.
    pub source: SecretSource,
}

impl PartialEq for Credential {
    /// Whether both are had in the same way: the secret itself counts only where it cannot be had anew.
    fn eq(&self, other: &Self) -> bool {
        let is_same = self.source != SecretSource::Given || self.secret == other.secret;
        self.setting == other.setting && self.source == other.source && is_same
    }
}

/// How a secret is had anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// Not at all: it stands in the configuration or the environment.
    Given,
    /// From a file.
    File(PathBuf),
    /// From the output of a command.
    Command(SecretCommand),
}

impl SecretSource {
    /// The secret as it is now; `None` where it cannot have changed.
    ///
    /// # Errors
    /// Why it cannot be had, in words that complete "the setting …".
    pub fn read(&self) -> Result<Option<Secret>, String> {
        match self {
            Self::Given => Ok(None),
            Self::File(file) => read_file(file).map(Some),
            Self::Command(command) => command.run().map(Some),
        }
    }
}

/// A command that prints a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretCommand {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The folder it runs in.
    pub folder: PathBuf,
}

impl fmt::Debug for SecretCommand {
    /// Without its words, among which secrets may be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretCommand").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl SecretCommand {
    /// A text that the shell runs, in the working folder.
    pub fn of_shell(text: &str) -> Self {
        Self { argv: SHELL.map(str::to_owned).into_iter().chain([text.to_owned()]).collect(), folder: PathBuf::new() }
    }

    /// Runs it: the secret is the first line that it prints. Nothing that it writes is repeated, also not what it writes to
    /// its standard error, where many a program repeats its arguments or what it was answered.
    ///
    /// # Errors
    /// Why there is no secret to be had, in words that complete "the command …".
    pub fn run(&self) -> Result<Secret, String> {
        let (program, arguments) = self.argv.split_first().ok_or("names no program")?;
        let folder = if self.folder.as_os_str().is_empty() { Path::new(".") } else { &self.folder };
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // In a group of its own, so that all of a pipeline ends when its time is over.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(|error| format!("cannot be run: {error}"))?;
        let (output, errors) = (gather(child.stdout.take()), gather(child.stderr.take()));
        let until = Instant::now() + COMMAND_LIMIT;
        let result = wait(&mut child, until).and_then(|status| {
            if status.success() {
                first_line(&receive(&output, until)?)
            } else {
                let said = receive(&errors, until).unwrap_or_default();
                Err(format!("failed ({status}){}", wrote(&said)))
            }
        });
        if result.is_err() {
            end(&mut child);
        }
        result
    }
}

/// What is left empty was forgotten, or is what a container mounts in the place of a file that is not there.
pub(super) const EMPTY: &str = "is empty: put the secret there, or take this setting out";

/// The content of a secret's file.
///
/// # Errors
/// Why it cannot be had.
pub(super) fn read_file(file: &Path) -> Result<Secret, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))?;
    // Editors and `echo` end a file with a line break that is not part of the secret.
    let text = text.strip_suffix('\n').map_or(&*text, |t| t.strip_suffix('\r').unwrap_or(t));
    if text.is_empty() { Err(EMPTY.to_owned()) } else { Ok(Secret::new(text)) }
}

fn wait(child: &mut Child, until: Instant) -> Result<std::process::ExitStatus, String> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < until => thread::sleep(POLL),
            Ok(None) => return Err(too_slow()),
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    }
}

/// Ends what is left of it.
fn end(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // What is gone already needs no end.
    let _ = group.map(|group| kill_process_group(group, Signal::KILL));
    let _ = child.kill();
    let _ = child.wait();
}

/// Reads a stream in a thread of its own: a descendant of the command may hold it open for ever.
fn gather(stream: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    if let Some(stream) = stream {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            if stream.take(LONGEST).read_to_end(&mut bytes).is_ok() {
                // Nobody listens any more when the time is over.
                let _ = sender.send(bytes);
            }
        });
    }
    receiver
}

fn receive(stream: &Receiver<Vec<u8>>, until: Instant) -> Result<Vec<u8>, String> {
    match stream.recv_timeout(until.saturating_duration_since(Instant::now())) {
        Ok(bytes) => Ok(bytes),
        Err(RecvTimeoutError::Timeout) => Err(too_slow()),
        Err(RecvTimeoutError::Disconnected) => Err("printed what cannot be read".into()),
    }
}

fn too_slow() -> String {
    format!("did not end within {} s", COMMAND_LIMIT.as_secs())
}

fn first_line(output: &[u8]) -> Result<Secret, String> {
    let line = output.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok("") => Err("printed nothing: the first line of its standard output must be the secret".into()),
        Ok(line) => Ok(Secret::new(line)),
        Err(_) => Err("printed what is not UTF-8".into()),
    }
}

/// That there is something to read for whoever runs the command by hand.
fn wrote(errors: &[u8]) -> String {
    match errors.len() {
        0 => String::new(),
        length => format!("; the {length} bytes that it wrote to its standard error are not shown: run it by hand"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str) -> Result<String, String> {
        let argv = ["/bin/sh", "-c", text].map(str::to_owned).to_vec();
        SecretCommand { argv, folder: PathBuf::new() }.run().map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn the_first_line_is_the_secret_and_nothing_is_trimmed_but_the_line_break() {
        for (command, secret) in [
            ("echo hunter2", "hunter2"),
            ("printf ' a b '", " a b "),
            ("printf 'one\\r\\ntwo\\n'", "one"),
            ("echo well; echo noise >&2", "well"),
        ] {
            assert_eq!(shell(command).as_deref(), Ok(secret), "{command}");
        }
    }

    #[test]
    fn nothing_that_a_failing_command_wrote_is_shown() {
        for (command, told) in [
            (
                "echo hunter2; echo 'no such\n entry' >&2; exit 3",
                "failed (exit status: 3); the 15 bytes that it wrote to its standard error are not shown: run it by hand",
            ),
            ("echo hunter2; exit 1", "failed (exit status: 1)"),
            ("true", "printed nothing: the first line of its standard output must be the secret"),
            ("printf '\\377\\n'", "printed what is not UTF-8"),
        ] {
            assert_eq!(shell(command), Err(told.to_owned()), "{command}");
        }
        let missing = SecretCommand { argv: vec!["/no/such/program".into()], folder: PathBuf::new() };
        let told = "cannot be run: No such file or directory (os error 2)";
        assert_eq!(missing.run().unwrap_err(), told);
    }

    #[test]
    fn a_command_that_hangs_is_given_up_and_ended_with_all_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let began = Instant::now();
        let hangs = format!("sleep 600 & echo $! >{}; wait", file.display());
        assert_eq!(shell(&hangs), Err("did not end within 10 s".into()));
        assert!(began.elapsed() < COMMAND_LIMIT * 2);
        let pid = fs::read_to_string(file).unwrap();
        let is_gone = || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).map_or(true, |s| s.contains(") Z"));
        while !is_gone() {
            assert!(began.elapsed() < COMMAND_LIMIT * 2, "{pid} lives");
            thread::sleep(POLL);
        }
    }
}
