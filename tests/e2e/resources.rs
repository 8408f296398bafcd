//! A producer with few descriptors, threads and little memory, among sites and callers that take what they can get: sites that
//! are well are checked on time.

use std::fs;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::{Pipeline, Service, site, within};

/// What the producer may open; the soft limit is lower, as many systems have it.
const FILES: u64 = 1024;
/// What compose allows.
const THREADS: u64 = 2048;
const MEMORY_KIB: u64 = 512 << 10;

/// A control group that allows 2,048 threads, where one can be made; removed when dropped, its processes being gone by then.
struct Group(Option<PathBuf>);

impl Group {
    fn new(name: &str) -> Self {
        // Version 1, then version 2; in both at the root, since that of the tests may already have processes.
        let made = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].iter().find_map(|root| {
            let folder = PathBuf::from(root).join(name);
            fs::create_dir(&folder).ok()?;
            let is_limited = fs::write(folder.join("pids.max"), THREADS.to_string()).is_ok();
            if !is_limited {
                fs::remove_dir(&folder).unwrap();
            }
            is_limited.then_some(folder)
        });
        if made.is_none() {
            eprintln!("no control group can be made here: the threads are counted, and not limited");
        }
        Self(made)
    }

    /// `command` with few descriptors, in this group.
    fn limited(&self, command: &Command) -> Command {
        let procs = self.0.as_ref().map_or("/dev/null".into(), |folder| folder.join("cgroup.procs"));
        let mut limited = Command::new("sh");
        limited.arg("-c").arg("echo $$ >\"$0\" && ulimit -Sn 256 && ulimit -Hn 1024 && exec \"$@\"").arg(procs);
        limited.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        limited
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            // The kernel needs a moment to see that the last process is gone.
            for _ in 0..100 {
                if fs::remove_dir(folder).is_ok() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut child =
        Command::new("gzip").args(["-9", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut to, text) = (child.stdin.take().unwrap(), text.to_owned());
    let writing = std::thread::spawn(move || to.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    output.stdout
}

/// Letters from a to d in no order that an automaton could profit from.
fn irregular(length: usize) -> String {
    let mut state = 1_u32;
    let letter = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + (state >> 30) as u8)
    };
    (0..length).map(letter).collect()
}

/// How many of `what` the process of `service` has.
fn has(service: &Service, what: &str) -> u64 {
    fs::read_dir(format!("/proc/{}/{what}", service.process())).map_or(0, |entries| entries.count() as u64)
}

#[test]
fn healthy_sites_are_checked_on_time_among_hostile_ones() {
    let well = site::well("all is well");
    let slow = site::slow(Duration::from_secs(3));
    let tree = gzip(&format!("[{}]", vec![r#"{"":0}"#; 140_000].join(",")));
    assert!(tree.len() < 8 << 10);
    let tree = site::answering(site::ok("Content-Encoding: gzip\r\nContent-Type: application/json\r\n", tree));
    let costly = site::well(&irregular(1_000_000));
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = silent.local_addr().unwrap();

    let mut pipeline = Pipeline::new("resources").every(Duration::from_secs(4));
    for number in 0..19 {
        let settings = "timeout: 20s, expect: {body: '(?i)all .* well'}";
        pipeline = pipeline.site_with(&format!("healthy {number}"), well.url(), settings);
    }
    let by_name = well.url().replace("127.0.0.1", "localhost");
    pipeline = pipeline.site_with("healthy by name", &by_name, "timeout: 20s");
    for number in 0..600 {
        pipeline = pipeline.site_with(&format!("slow {number}"), slow.url(), "interval: 10s, timeout: 30s");
    }
    for number in 0..16 {
        let settings = "interval: 5s, timeout: 30s, expect: {json: {/139999/x: ok}}";
        pipeline = pipeline.site_with(&format!("tree {number}"), tree.url(), settings);
    }
    for number in 0..4 {
        let settings = "interval: 10s, timeout: 1s, expect: {body: 'a[a-d]{800}[e-z]{3}'}";
        pipeline = pipeline.site_with(&format!("costly {number}"), costly.url(), settings);
    }
    for number in 0..120 {
        let settings = format!("interval: 10s, timeout: 2s, resolver: '{server}'");
        pipeline = pipeline.site_with(&format!("unnamed {number}"), "http://a.test", &settings);
    }

    let group = Group::new(pipeline.name());
    let told =
        Service::start("the check", group.limited(&pipeline.command("isitup-producer", &["check-config"]))).wait();
    let shortage = "producer.workers: 512 do not fit into 1024 open files: ";
    assert!(told.output.contains(shortage), "{told:?}");
    let producer = Service::start("the producer", group.limited(&pipeline.command("isitup-producer", &[])));
    let _consumer = pipeline.consumer();
    producer.wait_for_log(shortage);
    assert!((64.0..200.0).contains(&producer.metric("isitup_workers_limit")));

    let held: Vec<TcpStream> = (0..1000)
        .map(|_| {
            let mut stream = TcpStream::connect(producer.address()).unwrap();
            stream.write_all(b"GET /health/live HTTP/1.1\r\n").unwrap();
            stream
        })
        .collect();
    let healthy = "check_result WHERE site LIKE 'healthy%'";
    let (mut files, mut threads, mut memory) = (0, 0, 0);
    within(Duration::from_secs(180), "each healthy site was checked 15 times", || {
        assert_eq!(producer.get("/health/live").0, 200);
        files = files.max(has(&producer, "fd"));
        threads = threads.max(has(&producer, "task"));
        memory = memory.max(producer.resident_kib().unwrap_or_default());
        pipeline.count(healthy) >= 300
    });
    eprintln!("{files} files, {threads} threads, {memory} KiB");
    assert!(files < FILES && threads < THREADS && memory < MEMORY_KIB, "{files} {threads} {memory}");
    assert_eq!(pipeline.count(&format!("{healthy} AND outcome <> 'up'")), 0);
    // In the first round nobody knows yet which sites are slow; from then on these have a lane of their own.
    let missed = "gap, unnest(sites) s WHERE s LIKE 'healthy%' AND \"from\" > \
                  (SELECT min(scheduled_at) + interval '25 seconds' FROM check_result)";
    assert_eq!(pipeline.count(missed), 0);
    assert!(
        pipeline.database().value::<bool>(&format!("SELECT count(*) >= 0 FROM {missed}")),
        "the question is well-formed"
    );
    // The slow ones are right where they were checked, and none of the results is for want of a descriptor or thread.
    assert!(pipeline.count("check_result WHERE site LIKE 'slow%' AND outcome = 'up'") > 100);
    assert_eq!(pipeline.count("check_result WHERE site LIKE 'slow%' AND outcome <> 'up'"), 0);
    assert_eq!(pipeline.count("check_result WHERE failure_detail LIKE 'this machine%'"), 0);
    let kinds = |like: &str, kind: &str| {
        format!("check_result WHERE site LIKE '{like}%' AND failure_kind IS DISTINCT FROM '{kind}'")
    };
    for (like, kind) in [("tree", "body_mismatch"), ("costly", "timeout"), ("unnamed", "dns")] {
        assert!(pipeline.count(&format!("check_result WHERE site LIKE '{like}%'")) > 0, "{like}");
        assert_eq!(pipeline.count(&kinds(like, kind)), 0, "{like}");
    }
    drop(held);
}
