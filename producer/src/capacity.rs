//! How many workers fit into what the system lets this process have.
//!
//! A check that finds no descriptor or no thread says nothing about its site. So the pool grows only as far as fits, and what is
//! due beyond that is late, or declared as a gap.

use std::collections::HashSet;
use std::fmt;

use isitup_shared::limits::{Limit, Limits};

use crate::checker::Transport;
use crate::endpoint::Endpoint;
use crate::site::{Pattern, Site};

/// What one worker needs while it checks; `tests/worker_cost.rs` measures it.
pub mod cost {
    /// Files of an HTTP client: those by which its thread waits.
    pub const FILES_PER_CLIENT: u64 = 3;
    /// Sockets of a check: connections to both families of a name may be under way at one time.
    pub const FILES_PER_CHECK: u64 = 2;
    /// Sockets of a lookup by the system, which keeps one for each name server that it asks.
    pub const FILES_PER_LOOKUP: u64 = 3;
    /// The thread of an HTTP client.
    pub const THREADS_PER_CLIENT: u64 = 1;
    /// Of a worker, its clients and the buffers that it keeps.
    pub const BYTES_PER_WORKER: u64 = 256 << 10;
}

/// Files that are no worker's: the health port's connections, the spool, the way to Kafka, the configuration.
const OTHER_FILES: u64 = 128;
/// Threads that are no worker's: the Kafka client's above all.
const OTHER_THREADS: u64 = 64;
/// Memory that is no worker's.
const OTHER_BYTES: u64 = 64 << 20;
/// The most that bodies may take that are kept to be judged, and the part of all memory.
const MOST_BODIES: u64 = 128 << 20;
const BODIES_PART: u64 = 4;
/// The most and fewest threads for lookups by the system; between these as many as half of the workers.
const MOST_LOOKUPS: u64 = 256;
const FEWEST_LOOKUPS: u64 = 16;

/// What the sites want of each worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// HTTP clients that a worker may have at one time.
    clients: u64,
    /// Whether there are name servers of sites' own, which are asked on a thread of their own.
    has_name_servers: bool,
    /// Bytes of the compiled patterns.
    patterns: u64,
    /// As many workers can be busy at one time.
    sites: u64,
}

impl Load {
    /// What `sites` want.
    pub fn of(sites: &[Site]) -> Self {
        let mut transports: HashSet<&str> = HashSet::new();
        let mut patterns: HashSet<usize> = HashSet::new();
        let (mut bytes, mut has_name_servers) = (0, false);
        for site in sites {
            if matches!(site.endpoint, Endpoint::Http(_)) {
                transports.insert(Transport::secret_fingerprint(&site.settings.transport));
            }
            has_name_servers |= site.settings.route.resolver.is_some();
            let expect = &site.settings.expect;
            let headers = expect.headers.iter().map(|(_, pattern)| pattern);
            let all = expect.body.iter().chain(&expect.body_not).chain(headers);
            let new = all.filter(|pattern| patterns.insert(pattern.address()));
            bytes += new.map(Pattern::memory).sum::<usize>() as u64;
        }
        // One for what most sites have, which redirects may need too, and a few for those that want something of their own.
        let own = transports.iter().filter(|fingerprint| !fingerprint.is_empty()).count() as u64;
        Self { clients: 1 + own.min(2), has_name_servers, patterns: bytes, sites: sites.len() as u64 }
    }

    fn files(&self, workers: u64) -> u64 {
        let each = self.clients * cost::FILES_PER_CLIENT + cost::FILES_PER_CHECK + u64::from(self.has_name_servers);
        OTHER_FILES + workers * each + lookups(workers) * cost::FILES_PER_LOOKUP
    }

    fn threads(&self, workers: u64) -> u64 {
        let each = 1 + self.clients * cost::THREADS_PER_CLIENT + u64::from(self.has_name_servers);
        OTHER_THREADS + workers * each + lookups(workers)
    }

    fn memory(&self, workers: u64, limit: u64) -> u64 {
        OTHER_BYTES + self.patterns + bodies(limit) + workers * cost::BYTES_PER_WORKER
    }
}

/// A limit, of what, and how much of that so many workers need.
type Need<'a> = (Option<Limit>, &'static str, &'a dyn Fn(u64) -> u64);

fn lookups(workers: u64) -> u64 {
    (workers / 2).clamp(FEWEST_LOOKUPS, MOST_LOOKUPS)
}

fn bodies(memory: u64) -> u64 {
    (memory / BODIES_PART).min(MOST_BODIES)
}

/// How many workers there are, and of what there would have to be more for those that are configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// So many workers fit, and are configured; one at least.
    pub workers: usize,
    /// Threads for lookups by the system.
    pub lookups: usize,
    /// The most bytes of bodies that are kept to be judged.
    pub bodies: u64,
    /// What there is too little of.
    pub shortages: Vec<Shortage>,
}

/// A limit that is too low.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    configured: u64,
    fit: u64,
    needed: u64,
    what: &'static str,
    limit: Limit,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { configured, fit, needed, what, limit } = self;
        let (has, needs) = match *what {
            "bytes of memory" => {
                (format!("{} MiB of memory", limit.value >> 20), format!("{} MiB", (needed >> 20) + 1))
            }
            what => (format!("{} {what}", limit.value), needed.to_string()),
        };
        write!(
            f,
            "producer.workers: {configured} do not fit into {has}: {fit} do; raise that limit ({}) to {needs}, or set \
             producer.workers: {fit}",
            limit.set_by
        )
    }
}

impl Capacity {
    /// What fits of `workers` for `sites` into the limits of this process.
    pub fn of(workers: usize, sites: &[Site]) -> Self {
        Self::within(workers as u64, &Load::of(sites), &Limits::of_process())
    }

    fn within(configured: u64, load: &Load, limits: &Limits) -> Self {
        let memory = limits.memory.map_or(u64::MAX, |limit| limit.value);
        let needs: [Need<'_>; 3] = [
            (limits.files, "open files", &|workers| load.files(workers)),
            (limits.threads, "threads", &|workers| load.threads(workers)),
            (limits.memory, "bytes of memory", &|workers| load.memory(workers, memory)),
        ];
        let mut workers = configured;
        let mut shortages = Vec::new();
        // No more of them can be busy than there are sites.
        let wanted = configured.min(load.sites.max(1));
        for (limit, what, need) in needs {
            let Some(limit) = limit else { continue };
            let fit = most(configured, |workers| need(workers) <= limit.value);
            workers = workers.min(fit);
            if fit < wanted {
                shortages.push(Shortage { configured, fit, needed: need(configured), what, limit });
            }
        }
        Self {
            workers: usize::try_from(workers).unwrap_or(usize::MAX),
            lookups: usize::try_from(lookups(workers)).unwrap_or(usize::MAX),
            bodies: bodies(memory),
            shortages,
        }
    }
}

/// The most workers up to `configured`, one at least, that fit.
fn most(configured: u64, fits: impl Fn(u64) -> bool) -> u64 {
    let (mut fit, mut too_many) = (1, configured + 1);
    while too_many - fit > 1 {
        let middle = fit.midpoint(too_many);
        if fits(middle) { fit = middle } else { too_many = middle }
    }
    fit
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load = Load { clients: 1, has_name_servers: false, patterns: 0, sites: 600 };

    fn limits(files: u64, threads: u64, mebibytes: u64) -> Limits {
        let limit = |value, set_by| Some(Limit { value, set_by });
        Limits {
            files: limit(files, "ulimit -n"),
            threads: limit(threads, "pids.max"),
            memory: limit(mebibytes << 20, "mem_limit"),
        }
    }

    #[test]
    fn as_many_workers_run_as_fit() {
        let fit = |load: Load, limits: Limits| Capacity::within(512, &load, &limits).workers as u64;
        for limits in [
            limits(1024, 2048, 512),
            limits(65_536, 2048, 512),
            limits(65_536, 300, 512),
            limits(1 << 20, 1 << 20, 128),
        ] {
            let workers = fit(LOAD, limits);
            assert!((16..=512).contains(&workers), "{workers}");
            for (need, limit) in [(LOAD.files(workers), limits.files), (LOAD.threads(workers), limits.threads)] {
                assert!(need <= limit.unwrap().value, "{need} {limit:?}");
            }
        }
        // What compose and the units allow is enough for the default.
        assert_eq!(fit(LOAD, limits(65_536, 2048, 512)), 512);
        assert_eq!(fit(LOAD, Limits::default()), 512);
        // Sites that want much of each worker leave room for fewer.
        let own = Load { clients: 3, has_name_servers: true, ..LOAD };
        assert!(fit(own, limits(65_536, 2048, 512)) < 512);
        assert_eq!(fit(LOAD, limits(10, 10, 1)), 1);
        assert!(fit(Load { patterns: 300 << 20, ..LOAD }, limits(65_536, 2048, 512)) < 512);
    }

    #[test]
    fn what_does_not_fit_is_said_with_its_remedies() {
        let told = |load: Load, limits: Limits| -> Vec<String> {
            Capacity::within(512, &load, &limits).shortages.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            told(LOAD, limits(1024, 300, 512)),
            [
                "producer.workers: 512 do not fit into 1024 open files: 137 do; raise that limit (ulimit -n) to 3456, or set \
                 producer.workers: 137",
                "producer.workers: 512 do not fit into 300 threads: 94 do; raise that limit (pids.max) to 1344, or set \
                 producer.workers: 94",
            ]
        );
        assert_eq!(
            told(LOAD, limits(65_536, 2048, 128)),
            [
                "producer.workers: 512 do not fit into 128 MiB of memory: 128 do; raise that limit (mem_limit) to 225 MiB, or \
                 set producer.workers: 128",
            ]
        );
        // A few sites need no more workers than there are of them.
        assert_eq!(told(Load { sites: 90, ..LOAD }, limits(1024, 2048, 512)), [""; 0]);
    }
}
