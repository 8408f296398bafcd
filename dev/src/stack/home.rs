//! The folder of a stack: data, logs and settings, and whose it is.

use std::fs::{self, File, Permissions, TryLockError};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::proc::{self, Identity};

const EPHEMERAL: &str = "isitup-dev-stack-";
const LOCK: &str = "lock";
/// What we make in a folder, and so may delete.
const OURS: [&str; 5] = ["data", "logs", "conf", "spool", "certificates"];

/// A folder that is ours alone while this lives.
#[derive(Debug)]
pub(crate) struct Home {
    root: PathBuf,
    was_made: bool,
    _lock: File,
}

impl Home {
    /// Takes `root`, making it if need be. Another isitup-dev in the same folder is an error.
    pub(crate) fn take(root: &Path) -> Result<Self> {
        let was_made = !root.exists();
        let make =
            |folder: &Path| fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()));
        make(root)?;
        let root = root.canonicalize().with_context(|| format!("could not resolve {}", root.display()))?;
        let lock =
            File::create(root.join(LOCK)).with_context(|| format!("could not make a lock in {}", root.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another isitup-dev runs in {}: end it first", root.display()),
            Err(TryLockError::Error(error)) => return Err(error).context("could not lock the folder"),
        }
        for name in ["data", "logs", "conf"] {
            make(&root.join(name))?;
        }
        Ok(Self { root, was_made, _lock: lock })
    }

    /// A new folder below the system's temporary one. Those of stacks that were killed are removed first.
    pub(crate) fn ephemeral() -> Result<Self> {
        let base = std::env::temp_dir();
        sweep(&base);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let root = base.join(format!("{EPHEMERAL}{}-{}", std::process::id(), now.subsec_nanos()));
        let home = Self::take(&root)?;
        // PostgreSQL's user must get through to its own folder below.
        fs::set_permissions(&home.root, Permissions::from_mode(0o755))
            .context("could not open the folder to others")?;
        Ok(home)
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The log of a part.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        log_of(&self.root, name)
    }

    /// The data of a part; made by the part itself, as not all of it is ours.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.root.join("data").join(name)
    }

    /// Writes a settings file and says where it lies. Parts that start at the same time share some.
    pub(crate) fn write_settings(&self, name: &str, text: &str) -> Result<PathBuf> {
        static WRITTEN: AtomicUsize = AtomicUsize::new(0);
        let path = self.root.join("conf").join(name);
        let fresh = path.with_added_extension(format!("new-{}", WRITTEN.fetch_add(1, Ordering::Relaxed)));
        let written = fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, &path));
        written.with_context(|| format!("could not write {}", path.display()))?;
        Ok(path)
    }

    /// Where certificates and keys go.
    pub(crate) fn certificates(&self) -> PathBuf {
        self.root.join("certificates")
    }

    /// Deletes what a stack made here, and the folder if it was not there before.
    pub(crate) fn delete(self) -> Result<()> {
        delete_data(&self.root)?;
        if self.was_made {
            fs::remove_dir_all(&self.root).with_context(|| format!("could not delete {}", self.root.display()))?;
        }
        Ok(())
    }
}

/// The log of a part in the folder `root`.
pub(crate) fn log_of(root: &Path, name: &str) -> PathBuf {
    root.join("logs").join(format!("{name}.log"))
}

/// Deletes the data, logs and settings in `root`, and the data that had to be placed elsewhere.
pub(crate) fn delete_data(root: &Path) -> Result<()> {
    let postgres = root.join("data/postgres");
    free_shared_memory(&postgres.join("postmaster.pid"));
    let elsewhere = fs::read_link(&postgres).ok().filter(|target| is_placed_elsewhere(target));
    for folder in elsewhere.into_iter().chain(OURS.iter().map(|name| root.join(name))) {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("could not delete {}", folder.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The folder for data which its owner cannot reach at `data`, because a folder above (such as `/root`) is closed.
pub(crate) fn placed_elsewhere(data: &Path) -> PathBuf {
    PathBuf::from(format!("/var/tmp/isitup-dev-{:016x}", fingerprint(data.as_os_str().as_encoded_bytes())))
}

fn is_placed_elsewhere(target: &Path) -> bool {
    target.starts_with("/var/tmp")
        && target.file_name().is_some_and(|name| name.to_string_lossy().starts_with("isitup-dev-"))
}

/// FNV-1a: short, and the same in every build, which the hashers of `std` do not promise.
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Removes what killed stacks have left in `base`: processes, shared memory, files. Troubles are logged only.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    let own = rustix::process::getuid().as_raw();
    for entry in entries.flatten() {
        let is_candidate = entry.file_name().to_string_lossy().starts_with(EPHEMERAL)
            && entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == own && is_old(&meta));
        if is_candidate && let Err(error) = sweep_one(&entry.path()) {
            log::warn!("could not remove {}, left by a stack that was killed: {error:#}", entry.path().display());
        }
    }
}

/// A folder this young may belong to a stack that has not locked it yet.
fn is_old(meta: &fs::Metadata) -> bool {
    meta.modified().is_ok_and(|time| time.elapsed().is_ok_and(|age| age > Duration::from_secs(1)))
}

fn sweep_one(folder: &Path) -> Result<()> {
    let Ok(lock) = File::open(folder.join(LOCK)) else { return Ok(()) };
    if lock.try_lock().is_err() {
        return Ok(());
    }
    let left: Vec<Identity> = proc::working_below(folder);
    left.iter().for_each(|process| process.signal(Signal::KILL));
    free_shared_memory(&folder.join("data/postgres/postmaster.pid"));
    fs::remove_dir_all(folder).context("could not delete it")
}

/// PostgreSQL guards its data by a small System V segment, which outlives a kill -9. Line 7 of its lock file names it
/// (`key id`). As numbers come back after a restart of the machine, only a segment that nobody uses is removed.
fn free_shared_memory(lock_file: &Path) {
    let Ok(text) = fs::read_to_string(lock_file) else { return };
    let Some(segment) = text.lines().nth(6).and_then(numbers::<2>) else { return };
    let all = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    if all.lines().any(|line| is_unused_segment(line, segment)) {
        let id = segment[1].to_string();
        let _ = Command::new("ipcrm").args(["-m", &id]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// A line of that table: key, id, permissions, size, creator, last user, how many are attached, and more.
fn is_unused_segment(line: &str, [key, id]: [i64; 2]) -> bool {
    numbers::<7>(line).is_some_and(|fields| fields[0] == key && fields[1] == id && fields[6] == 0)
}

/// The first numbers of a line.
fn numbers<const N: usize>(line: &str) -> Option<[i64; N]> {
    let found: Vec<i64> = line.split_whitespace().take(N).map_while(|word| word.parse().ok()).collect();
    found.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unused_segment_is_removed() {
        let line =
            |attached| format!(" 9978109  32816   600  56  28901  29011  {attached}  101  104  101  104  0 0 0 0 0");
        assert!(is_unused_segment(&line(0), [9_978_109, 32_816]));
        assert!(!is_unused_segment(&line(1), [9_978_109, 32_816]));
        assert!(!is_unused_segment(&line(0), [9_978_110, 32_816]));
        assert!(!is_unused_segment("       key      shmid perms", [0, 0]));
    }

    #[test]
    fn a_folder_serves_one_stack_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::take(folder.path()).unwrap();
        let error = Home::take(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("another isitup-dev runs in "), "{error}");
        drop(home);
        Home::take(folder.path()).unwrap();
    }

    #[test]
    fn deleting_spares_what_is_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        Home::take(folder.path()).unwrap().delete().unwrap();
        assert!(folder.path().join("notes.txt").exists());
        assert!(!folder.path().join("data").exists());
    }

    #[test]
    fn the_folder_of_a_killed_stack_is_swept_and_that_of_a_living_one_is_not() {
        let base = tempfile::tempdir().unwrap();
        let living = Home::take(&base.path().join(format!("{EPHEMERAL}1"))).unwrap();
        let dead = base.path().join(format!("{EPHEMERAL}2"));
        drop(Home::take(&dead).unwrap());
        std::thread::sleep(Duration::from_millis(1100));
        sweep(base.path());
        assert!(living.root().exists());
        assert!(!dead.exists());
    }
}
