//! The services as processes: started, asked, killed; what they said is shown when a test fails.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::waiting::{eventually, within};
use super::{binaries, http};

/// Lines of a service's log that a failing test shows.
const SHOWN: usize = 60;
const END_LIMIT: Duration = Duration::from_secs(30);

/// A running service; killed when dropped, and when the test process dies.
pub(crate) struct Service {
    name: String,
    child: Child,
    log: Lines,
    output: Lines,
}

/// How a process ended, and what it had said.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) log: String,
}

impl Finished {
    /// The end of its log.
    pub(crate) fn last_lines(&self, count: usize) -> String {
        let lines: Vec<&str> = self.log.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

/// Lines that a thread gathers from a stream.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

/// `program`, to be killed by the kernel should this process die in whatever way. Without the environment's settings of isitup, which are not meant for tests.
pub(crate) fn command(program: &str) -> Command {
    command_of(&binaries::fresh(program))
}

/// The same of a program at this path.
pub(crate) fn command_of(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ISITUP_") {
            command.env_remove(name);
        }
    }
    command
}

impl Service {
    /// Starts `command` under a name for people.
    pub(crate) fn start(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(command).unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let log = Lines::gather(child.stderr.take().unwrap());
        let output = Lines::gather(child.stdout.take().unwrap());
        Self { name: name.to_owned(), child, log, output }
    }

    /// kill -9.
    pub(crate) fn kill9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end in order, and waits until it has.
    pub(crate) fn sigterm(self) -> Finished {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The memory it has, in KiB, while it runs.
    pub(crate) fn resident_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it has ended.
    pub(crate) fn wait(mut self) -> Finished {
        let mut status = None;
        within(END_LIMIT, &format!("{} ends", self.name), || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let code = status.as_ref().and_then(ExitStatus::code);
        // The streams end with the process, and the threads that read them soon after.
        eventually("its output was read", || self.log.is_complete() && self.output.is_complete());
        Finished { code, output: self.output.text(), log: self.log.text() }
    }

    /// Waits until it has died at a point of [`isitup_shared::crash`].
    #[track_caller]
    pub(crate) fn dies_at(mut self, point: &str) {
        eventually(&format!("{} dies at {point}", self.name), || self.has_ended());
        let words = format!("dies at {point}");
        eventually("its output was read", || self.log.is_complete());
        let (status, log) = (self.child.wait().unwrap(), self.log.text());
        assert!(status.code().is_none() && log.contains(&words), "no death at {point}, but {status}:\n{log}");
    }

    /// Waits a while for it to end, and kills it when it does not. Whether it ended by itself.
    pub(crate) fn ends_within(mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if self.has_ended() {
                return true;
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.kill9();
        false
    }

    /// What it has written to its standard output, whole lines.
    pub(crate) fn output(&self) -> Vec<String> {
        self.output.lock().clone()
    }

    /// What it has logged, whole lines.
    pub(crate) fn said(&self) -> Vec<String> {
        self.log.lock().clone()
    }

    /// Whether it has logged a line with these words.
    pub(crate) fn has_logged(&self, words: &str) -> bool {
        self.log.lock().iter().any(|line| line.contains(words))
    }

    /// Waits until it has logged a line with these words.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, words: &str) {
        eventually(&format!("{} says {words:?}", self.name), || self.has_logged(words));
    }

    /// How many lines of its log have these words.
    pub(crate) fn times_logged(&self, words: &str) -> usize {
        self.log.lock().iter().filter(|line| line.contains(words)).count()
    }

    /// The status and text it answers to a GET of `path`.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        http::get(self.address(), path).unwrap_or_else(|error| panic!("{} answers nothing: {error}", self.name))
    }

    /// One of its metrics: the sum over all labels; 0 when it is not there.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get("/metrics");
        let is_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        text.lines().filter(is_it).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until a producer has had so many events acknowledged by Kafka.
    #[track_caller]
    pub(crate) fn wait_until_published(&self, events: u32) {
        eventually(&format!("{events} events are published"), || {
            self.metric("isitup_events_published_total") >= f64::from(events)
        });
    }

    /// Waits until nearly all that a producer has is published; a busy one has always some events under way.
    #[track_caller]
    pub(crate) fn wait_for_empty_spool(&self) {
        eventually("the spool is empty again", || self.metric("isitup_spool_events") < 300.0);
    }

    /// Waits until a consumer says that it is ready, or that it is not.
    #[track_caller]
    pub(crate) fn wait_for_readiness(&self, status: u16) {
        eventually(&format!("{} answers {status} when asked whether it is ready", self.name), || {
            self.get("/health/ready").0 == status
        });
    }

    /// Where it serves health and metrics: a free port, which it tells in its log.
    pub(crate) fn address(&self) -> SocketAddr {
        let mut address = None;
        eventually(&format!("{} says where it listens", self.name), || {
            address = self.log.lock().iter().find_map(|line| listening_on(line));
            address.is_some()
        });
        address.unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = self.log.lock();
            let hidden = log.len().saturating_sub(SHOWN);
            eprintln!("--- the end of what {} said ---\n{}\n---", self.name, log[hidden..].join("\n"));
        }
    }
}

/// Starts a process from a thread that lives as long as this process: the kernel's `pdeathsig` goes by the thread that
/// started the child, and a service may outlive the thread that asked for it.
fn spawn(command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static NURSERY: LazyLock<Mutex<mpsc::Sender<Order>>> = LazyLock::new(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in orders {
                // Whoever asked may have failed meanwhile.
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (reply, child) = mpsc::channel();
    NURSERY.lock().unwrap_or_else(PoisonError::into_inner).send((command, reply)).unwrap();
    child.recv().unwrap()
}

impl Lines {
    fn gather(stream: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let kept = lines.clone();
        thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                kept.lock().push(String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned());
                line.clear();
            }
        });
        lines
    }

    /// Whether the stream has ended: its thread no longer shares the lines.
    fn is_complete(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    fn text(&self) -> String {
        self.lock().join("\n")
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listening_on(line: &str) -> Option<SocketAddr> {
    line.split_once("health and metrics on http://")?.1.split_once('/')?.0.parse().ok()
}
