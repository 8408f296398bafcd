//! The program as it is started: what it says, and which signals it outlives.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot do its work fails the test that called it")]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
/// Of Linux.
const O_NONBLOCK: i32 = 0o4000;

fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isitup-consumer"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(File::create(folder.join("log")).unwrap());
    command
}

fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap()
}

/// Waits until `is_so`, while `running` lives.
fn wait_until(running: &mut Child, folder: &Path, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        let ended = running.try_wait().unwrap();
        assert!(ended.is_none() && Instant::now() < until, "{ended:?}: {}", log(folder));
        thread::sleep(Duration::from_millis(10));
    }
}

/// The pipe at `path`, once `running` reads from it.
fn open_when_read(running: &mut Child, folder: &Path, path: &Path) -> File {
    let mut pipe = None;
    wait_until(running, folder, || {
        pipe = OpenOptions::new().write(true).custom_flags(O_NONBLOCK).open(path).ok();
        pipe.is_some()
    });
    pipe.unwrap()
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn signal(name: &str, running: &Child) {
    let status = Command::new("kill").args(["-s", name, &running.id().to_string()]).status();
    assert!(status.unwrap().success());
}

/// A configuration whose password is a pipe.
fn with_slow_password(folder: &Path) {
    pipe(&folder.join("password"));
    let yaml = "kafka: {brokers: ['127.0.0.1:1']}\npostgres: {url: 'postgres://u@127.0.0.1:1/d', password_file: password}\n\
                consumer: {listen: '127.0.0.1:0'}\n";
    fs::write(folder.join("config.yml"), yaml).unwrap();
}

#[test]
fn a_hangup_while_the_configuration_is_read_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    with_slow_password(folder);
    let mut running = program(folder, &["run", "-c", "config.yml"]).spawn().unwrap();
    let mut password = open_when_read(&mut running, folder, &folder.join("password"));
    signal("HUP", &running);
    password.write_all(b"secret\n").unwrap();
    drop(password);
    wait_until(&mut running, folder, || log(folder).contains("waiting for PostgreSQL"));
    signal("HUP", &running);
    signal("TERM", &running);
    assert_eq!(running.wait().unwrap().code(), Some(0), "{}", log(folder));
}

#[test]
fn a_hangup_ends_a_one_shot_command() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    with_slow_password(folder);
    let mut running = program(folder, &["audit", "-c", "config.yml"]).spawn().unwrap();
    let _password = open_when_read(&mut running, folder, &folder.join("password"));
    signal("HUP", &running);
    const SIGHUP: i32 = 1;
    assert_eq!(running.wait().unwrap().signal(), Some(SIGHUP));
}
