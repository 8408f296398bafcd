//! The program as it is started: what it says, and which signals it outlives.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot do its work fails the test that called it")]

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpListener;
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
    let mut command = Command::new(env!("CARGO_BIN_EXE_isitup-producer"));
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

/// A configuration whose list of sites is a pipe.
fn with_slow_sites(folder: &Path) {
    pipe(&folder.join("sites"));
    let yaml = "kafka: {brokers: ['127.0.0.1:1']}\nproducer: {spool: {path: spool}, listen: '127.0.0.1:0'}\ndomains_file: sites\n";
    fs::write(folder.join("config.yml"), yaml).unwrap();
}

#[test]
fn a_hangup_while_the_configuration_is_read_is_a_reload_later() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    with_slow_sites(folder);
    let mut running = program(folder, &["run", "-c", "config.yml"]).spawn().unwrap();
    let mut sites = open_when_read(&mut running, folder, &folder.join("sites"));
    signal("HUP", &running);
    sites.write_all(b"http://127.0.0.1:1/a\n").unwrap();
    drop(sites);
    wait_until(&mut running, folder, || log(folder).contains("checks 1 sites"));
    // The signal that came meanwhile has the sites read once more.
    let mut again = open_when_read(&mut running, folder, &folder.join("sites"));
    again.write_all(b"http://127.0.0.1:1/a\nhttp://127.0.0.1:1/b\n").unwrap();
    drop(again);
    signal("TERM", &running);
    assert_eq!(running.wait().unwrap().code(), Some(0), "{}", log(folder));
}

#[test]
fn a_hangup_ends_a_one_shot_command() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    with_slow_sites(folder);
    let mut running = program(folder, &["check-config", "-c", "config.yml"]).spawn().unwrap();
    let _sites = open_when_read(&mut running, folder, &folder.join("sites"));
    signal("HUP", &running);
    const SIGHUP: i32 = 1;
    assert_eq!(running.wait().unwrap().signal(), Some(SIGHUP));
}

#[test]
fn cookies_and_credentials_are_in_no_log_at_any_level() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            let mut head = [0; 4096];
            let length = stream.read(&mut head).unwrap_or(0);
            let is_first = head[..length].starts_with(b"GET / ");
            let answer = if is_first {
                "HTTP/1.1 302 On\r\nSet-Cookie: session=s3cret-cookie; Path=/\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n"
            } else {
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
            };
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://user:s3cret-password@{address}/");
    for level in ["debug", "trace"] {
        let arguments = ["--log-level", level, "check", &url];
        let status = program(folder.path(), &arguments).env("RUST_LOG", "trace").status().unwrap();
        let log = log(folder.path());
        assert_eq!(status.code(), Some(0), "{log}");
        for secret in ["s3cret", "czNjcmV0", "cookie_store", "hyper", "reqwest"] {
            assert!(!log.contains(secret), "{level}: {log}");
        }
    }
}

#[test]
fn check_config_warns_of_secrets_that_everybody_may_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("token"), "hunter2\n").unwrap();
    let yaml = "kafka: {brokers: ['k:1']}\nproducer: {spool: {path: spool}}\ndomains: [{url: a.test, bearer_token_file: token}, {url: b.test, method: POST, body_command: echo b}]\n";
    fs::write(folder.join("config.yml"), yaml).unwrap();
    for (mode, config_mode, code) in [(0o600, 0o644, 0), (0o644, 0o600, 1), (0o600, 0o666, 1)] {
        for (name, mode) in [("token", mode), ("config.yml", config_mode)] {
            fs::set_permissions(folder.join(name), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        }
        let mut command = program(folder, &["check-config", "--strict", "-c", "config.yml"]);
        let output = command.stdout(Stdio::piped()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert_eq!(told.contains("warning: "), code == 1, "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}
