//! Child processes, and what `/proc` tells of their CPU time and memory.

use std::fs;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// The kernel tells CPU time in these, on every architecture of Linux.
const TICKS_PER_SECOND: u64 = 100;
const POLL: Duration = Duration::from_millis(5);

/// A child that ends with this value.
#[derive(Debug)]
pub(crate) struct Running {
    name: String,
    child: Child,
}

impl Running {
    /// Starts `command`.
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("could not start {name}"))?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The child itself.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// An error once it has ended.
    pub(crate) fn expect_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended too early: {status}", self.name),
            None => Ok(()),
        }
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.expect_alive()?;
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let deadline = Instant::now() + Duration::from_secs(15);
        while Instant::now() < deadline {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("{} did not end well: {status}", self.name),
                None => thread::sleep(POLL),
            }
        }
        bail!("{} did not end within 15 s of SIGTERM", self.name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for one that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time (user and system) of the process `pid`, all its threads included.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    Stat::read(pid).map(|stat| ticks(stat.own))
}

/// CPU time of the calling thread, finer than that of a process: other work on the machine costs it nothing.
pub(crate) fn cpu_of_this_thread() -> Result<Duration> {
    let told = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = told.split_whitespace().next().context("an empty schedstat")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

/// CPU time of `pid` and all its direct children, ended ones included; PostgreSQL's processes lie in one such family.
pub(crate) fn cpu_of_family(pid: u32) -> Result<Duration> {
    let root = Stat::read(pid)?;
    let pids = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // One that ends meanwhile is counted with its parent's ended children the next time.
    let children: u64 =
        pids.filter_map(|pid| Stat::read(pid).ok()).filter(|stat| stat.parent == pid).map(|stat| stat.own).sum();
    Ok(ticks(root.own + root.ended_children + children))
}

/// The parent of `pid`.
pub(crate) fn parent(pid: u32) -> Result<u32> {
    Stat::read(pid).map(|stat| stat.parent)
}

/// The most memory (resident set) `pid` ever had, in bytes.
pub(crate) fn peak_memory(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM in /proc")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 1000 / TICKS_PER_SECOND)
}

/// The few fields of `/proc/<pid>/stat` that matter here; CPU times in ticks.
struct Stat {
    parent: u32,
    own: u64,
    ended_children: u64,
}

impl Stat {
    fn read(pid: u32) -> Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
        Self::parse(&text).with_context(|| format!("/proc/{pid}/stat is not as expected"))
    }

    /// The second field is the command in brackets and may itself hold spaces and brackets: count from the last one.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: number(11)? + number(12)?,
            ended_children: number(13)? + number(14)?,
        })
    }
}
