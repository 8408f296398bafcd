//! What the system lets this process have: open files, threads, memory.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, getuid, setrlimit};

/// More open files than any number of workers needs.
const MOST_FILES: u64 = 1 << 20;

/// The limits of this process; what is absent is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Open files, sockets among them.
    pub files: Option<Limit>,
    /// Threads.
    pub threads: Option<Limit>,
    /// Bytes of memory.
    pub memory: Option<Limit>,
}

/// A limit, and where it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// As much is left to this process.
    pub value: u64,
    /// What to raise, in words.
    pub set_by: &'static str,
}

impl Limits {
    /// The limits as they are for this process. Open files count as if [`raise_open_files`] had been called.
    pub fn of_process() -> Self {
        let files = getrlimit(Resource::Nofile).maximum;
        Self {
            files: files.map(|value| Limit { value, set_by: "ulimit -n, LimitNOFILE=, nofile" }),
            threads: least([cgroup_pids(), user_processes()]),
            memory: least([cgroup_memory(), address_space()]),
        }
    }
}

/// Raises the soft limit of open files to the hard one. Programs that wait by `select` are why the soft one is low; this is none.
pub fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(MOST_FILES).min(MOST_FILES);
    if current.is_some_and(|current| current < wanted)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
    {
        log::warn!("the limit of open files cannot be raised to {wanted}: {error}");
    }
}

fn least(limits: [Option<Limit>; 2]) -> Option<Limit> {
    limits.into_iter().flatten().min_by_key(|limit| limit.value)
}

fn address_space() -> Option<Limit> {
    getrlimit(Resource::As).current.map(|value| Limit { value, set_by: "ulimit -v, LimitAS=" })
}

/// The limit of the user's processes, without those of others. It does not bind root.
fn user_processes() -> Option<Limit> {
    let user = getuid();
    if user.is_root() {
        return None;
    }
    let value = getrlimit(Resource::Nproc).current?;
    let own = std::process::id().to_string();
    let others: u64 = entries(Path::new("/proc"))
        .filter(|process| process.file_name().is_some_and(|name| name != own.as_str()))
        .filter(|process| fs::metadata(process).is_ok_and(|found| found.uid() == user.as_raw()))
        .map(|process| entries(&process.join("task")).count() as u64)
        .sum();
    Some(Limit { value: value.saturating_sub(others), set_by: "ulimit -u, LimitNPROC=" })
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path())
}

fn cgroup_pids() -> Option<Limit> {
    let own = entries(Path::new("/proc/self/task")).count() as u64;
    let left = |folder: &Path| {
        let most = number(&folder.join("pids.max"))?;
        let others = number(&folder.join("pids.current")).unwrap_or(own).saturating_sub(own);
        Some(most.saturating_sub(others))
    };
    let value = cgroups("pids").iter().filter_map(|folder| left(folder)).min()?;
    Some(Limit { value, set_by: "pids.max, TasksMax=, pids_limit" })
}

fn cgroup_memory() -> Option<Limit> {
    let most =
        |folder: &Path| number(&folder.join("memory.max")).or_else(|| number(&folder.join("memory.limit_in_bytes")));
    // Version 1 writes a number near 2^63 where there is no limit.
    let value = cgroups("memory").iter().filter_map(|folder| most(folder)).filter(|most| *most < 1 << 60).min()?;
    Some(Limit { value, set_by: "memory.max, MemoryMax=, mem_limit" })
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The control groups of this process for `controller`, from its own up to the one at the root, of both versions.
fn cgroups(controller: &str) -> Vec<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    groups_in(&own, controller)
}

fn groups_in(own: &str, controller: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let root = match controllers {
            "" => PathBuf::from("/sys/fs/cgroup"),
            some if some.split(',').any(|one| one == controller) => Path::new("/sys/fs/cgroup").join(controller),
            _ => continue,
        };
        // In a container the path may be that of the host, while the folder at the root is its own.
        let own = Path::new(path.trim_start_matches('/'));
        all.extend(own.ancestors().map(|group| root.join(group)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_groups_are_found_in_both_versions() {
        let paths = |own: &str| -> Vec<String> {
            groups_in(own, "pids")
                .iter()
                .map(|path| path.display().to_string().trim_end_matches('/').to_owned())
                .collect()
        };
        assert_eq!(
            paths("0::/system.slice/isitup.service\n"),
            ["/sys/fs/cgroup/system.slice/isitup.service", "/sys/fs/cgroup/system.slice", "/sys/fs/cgroup"]
        );
        assert_eq!(paths("0::/\n"), ["/sys/fs/cgroup"]);
        assert_eq!(paths("4:memory:/a\n3:pids,x:/b\n"), ["/sys/fs/cgroup/pids/b", "/sys/fs/cgroup/pids"]);
    }

    #[test]
    fn the_soft_limit_of_open_files_is_raised() {
        let before = getrlimit(Resource::Nofile);
        raise_open_files();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(maximum, before.maximum);
        assert!(current >= Some(maximum.unwrap_or(MOST_FILES).min(MOST_FILES)), "{current:?} of {maximum:?}");
        assert!(Limits::of_process().files.is_none_or(|files| Some(files.value) == maximum));
    }
}
