//! Whom processes are connected to, as the kernel knows it: whether they go through the proxies.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Watches the connections of processes.
pub(crate) struct Reached {
    is_over: Arc<AtomicBool>,
    watching: JoinHandle<BTreeSet<String>>,
}

impl Reached {
    /// Watches these processes from now on.
    pub(crate) fn by<const N: usize>(processes: [u32; N]) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        let watching = thread::spawn(move || {
            let mut reached = BTreeSet::new();
            while !ends.load(Ordering::SeqCst) {
                let sockets = processes.into_iter().flat_map(sockets_of).collect();
                reached.append(&mut peers_of(&sockets));
                thread::sleep(LOOK_EVERY);
            }
            reached
        });
        Self { is_over, watching }
    }

    /// The addresses, `host:port`, that they have been connected to.
    pub(crate) fn until_now(self) -> BTreeSet<String> {
        self.is_over.store(true, Ordering::SeqCst);
        self.watching.join().unwrap()
    }
}

/// The numbers of a process's sockets.
fn sockets_of(process: u32) -> BTreeSet<String> {
    let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    let names = files.filter_map(|file| fs::read_link(file.path()).ok()?.into_os_string().into_string().ok());
    names.filter_map(|name| Some(name.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect()
}

/// Where these sockets are connected to, by IPv4.
fn peers_of(sockets: &BTreeSet<String>) -> BTreeSet<String> {
    let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = lines.filter(|fields| fields.get(9).is_some_and(|socket| sockets.contains(*socket)));
    ours.filter_map(|fields| address(fields[2])).collect()
}

/// `host:port` of what is told as `0100007F:2384`: the bytes of the host as the machine has them in a number.
fn address(told: &str) -> Option<String> {
    let (host, port) = told.split_once(':')?;
    let host = Ipv4Addr::from(u32::from_str_radix(host, 16).ok()?.to_ne_bytes());
    Some(format!("{host}:{}", u16::from_str_radix(port, 16).ok()?))
}
