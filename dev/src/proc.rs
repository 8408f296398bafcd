//! What `/proc` knows: who is whose child, since when, and who listens on a port.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// A process that cannot be mistaken for a later one with the same number: its start time belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    /// Clock ticks after boot, field 22 of `/proc/<pid>/stat`.
    pub(crate) start_ticks: u64,
}

impl Identity {
    /// The process that bears this number now; `None` when it is gone, or dead and only not yet collected.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let stat = Stat::read(pid)?;
        (!stat.is_dead()).then_some(Self { pid, start_ticks: stat.start_ticks })
    }

    /// This very process.
    pub(crate) fn own() -> Option<Self> {
        Self::of(i32::try_from(std::process::id()).ok()?)
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Sends a signal, unless the process is gone: then there is nothing to do.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.is_alive())
            && let Err(error) = kill_process(pid, signal)
        {
            log::debug!("signal {signal:?} to process {}: {error}", self.pid);
        }
    }
}

/// The process and everything below it, itself first.
///
/// PostgreSQL's backends each lead a session of their own, so no process group covers them.
pub(crate) fn family(root: Identity) -> Vec<Identity> {
    let all: Vec<Stat> = pids().filter_map(Stat::read).filter(|stat| !stat.is_dead()).collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        let children = all.iter().filter(|stat| stat.parent == parent.pid);
        found.extend(children.map(|stat| Identity { pid: stat.pid, start_ticks: stat.start_ticks }));
        next += 1;
    }
    found
}

/// Processes whose working directory lies below `folder`.
pub(crate) fn working_below(folder: &Path) -> Vec<Identity> {
    let inside = |pid: &i32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
    pids().filter(inside).filter_map(Identity::of).collect()
}

/// Who listens on a TCP port, for people: `java (process 4711)`. `None` where the kernel does not tell us.
pub(crate) fn listener_on(port: u16) -> Option<String> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| table.lines().filter_map(|line| listening_inode(line, port)).collect::<Vec<_>>())
        .collect();
    let pid = pids().find(|pid| holds_socket(*pid, &inodes))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(format!("{} (process {pid})", name.trim()))
}

/// The inode of a line of `/proc/net/tcp` that describes a listening socket (state 0A) on `port`.
fn listening_inode(line: &str, port: u16) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
    let matches = u16::from_str_radix(local_port, 16).ok()? == port && *fields.get(3)? == "0A";
    matches.then(|| fields.get(9).map(ToString::to_string)).flatten()
}

fn holds_socket(pid: i32, inodes: &[String]) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).any(|target| {
        let target = target.to_string_lossy();
        target
            .strip_prefix("socket:[")
            .and_then(|rest| rest.strip_suffix(']'))
            .is_some_and(|inode| inodes.iter().any(|wanted| wanted == inode))
    })
}

fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// The few fields of `/proc/<pid>/stat` that matter here.
#[derive(Debug, PartialEq)]
struct Stat {
    pid: i32,
    state: char,
    parent: i32,
    start_ticks: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The second field is the command in brackets and may itself hold spaces and brackets: count from the last one.
    fn parse(text: &str) -> Option<Self> {
        let (head, tail) = text.rsplit_once(')')?;
        let pid = head.split_once(' ')?.0.parse().ok()?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        Some(Self {
            pid,
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            start_ticks: fields.get(19)?.parse().ok()?,
        })
    }

    fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_command_with_brackets_and_spaces_does_not_shift_the_fields() {
        let text = "42 (a) b (c)) S 7 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3";
        let wanted = Stat { pid: 42, state: 'S', parent: 7, start_ticks: 98765 };
        assert_eq!(Stat::parse(text), Some(wanted));
    }

    #[test]
    fn a_process_with_another_start_time_is_not_the_same_one() {
        let own = Identity::own().unwrap();
        assert!(own.is_alive());
        assert!(!Identity { start_ticks: own.start_ticks + 1, ..own }.is_alive());
    }

    #[test]
    fn the_listener_on_a_port_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let holder = listener_on(listener.local_addr().unwrap().port()).unwrap();
        assert!(holder.contains(&format!("process {}", std::process::id())), "{holder}");
    }

    #[test]
    fn a_child_belongs_to_the_family() {
        let mut child = std::process::Command::new("sleep").arg("30").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert!(family(Identity::own().unwrap()).iter().any(|member| member.pid == pid));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
