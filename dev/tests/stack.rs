//! A real stack, treated badly.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as the tests do")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use isitup_dev::{Addresses, Stack, StackOptions};
use kafka::client::KafkaClient;
use postgres::{Client, NoTls};

const PROGRAM: &str = env!("CARGO_BIN_EXE_isitup-dev");

fn start(only: &[&str]) -> Stack {
    let only = only.iter().map(ToString::to_string).collect();
    Stack::start_with(Path::new(PROGRAM), &StackOptions { only, ..StackOptions::default() }).unwrap()
}

/// Processes that work in the stack's folder: all servers of a stack do, and nobody else.
fn working_below(folder: &Path) -> Vec<String> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    pids.filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder))).collect()
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < until, "not so after 30 s: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn connect(stack: &Stack) -> Client {
    Client::connect(stack.postgres_url(), NoTls).unwrap()
}

fn partitions(stack: &Stack, topic: &str) -> usize {
    let mut client = KafkaClient::new(vec![stack.kafka().to_owned()]);
    // The first question makes the topic.
    client.load_metadata(&[topic]).ok();
    client.topics().partitions(topic).map_or(0, |partitions| partitions.len())
}

#[test]
fn kafka_and_postgres_come_back_with_their_data_on_the_same_ports() {
    let stack = start(&["kafka", "postgres"]);
    eventually("the topic has 6 partitions", || partitions(&stack, "kept") == 6);
    connect(&stack).batch_execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)").unwrap();

    for part in ["kafka", "postgres"] {
        stack.kill(part).unwrap();
        assert!(stack.kill(part).unwrap_err().to_string().ends_with(&format!("{part} does not run")));
    }
    assert!(Client::connect(stack.postgres_url(), NoTls).is_err());
    for part in ["kafka", "postgres"] {
        stack.start_part(part).unwrap();
    }
    stack.restart("postgres").unwrap();

    let row = connect(&stack).query_one("SELECT n FROM kept", &[]).unwrap();
    assert_eq!(row.get::<_, i32>(0), 7);
    assert_eq!(partitions(&stack, "kept"), 6);
}

#[test]
fn a_paused_database_answers_nobody_and_goes_on_afterwards() {
    let stack = start(&["postgres"]);
    let mut client = connect(&stack);
    let address = stack.postgres_url().rsplit('@').next().unwrap().trim_end_matches("/isitup").to_owned();
    stack.pause("postgres").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    // SSLRequest: a running server answers it by one byte at once.
    stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).unwrap();
    assert!(stream.read(&mut [0]).is_err());
    stack.resume("postgres").unwrap();
    client.batch_execute("SELECT 1").unwrap();
}

#[test]
fn nothing_outlives_an_isitup_dev_that_is_killed() {
    let stack = start(&[]);
    let folder = stack.addresses().dir.clone();
    let _session = connect(&stack);
    assert!(working_below(&folder).len() >= 3);
    let pid = rustix::process::Pid::from_raw(i32::try_from(stack.pid()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    eventually("all processes are gone", || working_below(&folder).is_empty());

    // The next stack removes the files. A folder counts as abandoned from its second second on.
    thread::sleep(Duration::from_millis(1100));
    drop(start(&["sites"]));
    // Another test's stack may be at it already.
    eventually("the folder is removed", || !folder.exists());
}

#[test]
fn the_end_of_its_input_ends_a_stack_and_deletes_its_folder() {
    let stack = start(&["postgres"]);
    let folder = stack.addresses().dir.clone();
    assert!(folder.join("logs/postgres.log").exists());
    drop(stack);
    assert!(!folder.exists());
    assert!(working_below(&folder).is_empty());
}

#[test]
fn sigterm_ends_a_stack_in_order_and_keeps_its_data() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["stack", "--only", "postgres", "--dir"])
        .arg(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addresses: Addresses = serde_json::from_str(&line).unwrap();
    assert_eq!((addresses.kafka, addresses.sites), (None, None));

    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    let log = fs::read_to_string(folder.path().join("logs/postgres.log")).unwrap();
    assert!(log.contains("database system is shut down"), "{log}");
    assert!(folder.path().join("data/postgres").exists());
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: demo-sites\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_demo_sites_show_every_kind_of_answer() {
    let stack = start(&["sites"]);
    let sites = stack.sites();
    assert!(get(sites, "/steady").ends_with("\r\n\r\nsteady: all is well\n"));
    assert!(get(sites, "/error").starts_with("HTTP/1.1 500 Internal Server Error\r\n"));
    assert!(get(sites, "/redirect").contains("\r\nLocation: /steady\r\n"));
    assert!(!get(sites, "/body").contains("all is well"));
    assert!(get(sites, "/slow").starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(get(sites, "/health").starts_with("HTTP/1.1 200 OK\r\n"));

    let mut silent = TcpStream::connect(sites.trim_start_matches("http://")).unwrap();
    silent.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    silent.write_all(b"GET /silent HTTP/1.1\r\n\r\n").unwrap();
    assert!(silent.read(&mut [0]).is_err());
}
