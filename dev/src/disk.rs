//! A disk of a few MiB for a broker, so that a test can fill it.
//!
//! A tmpfs in a mount namespace of the stack's own: root needs no more for that, others a user namespace besides. It goes
//! with the last process of the stack, however that ends. In a container that allows neither, `/dev/shm` serves, which
//! container engines make small, and which nothing else here uses.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

/// Room for a broker at rest and what a test writes, and soon full.
const SIZE: u64 = 64 << 20;
/// A `/dev/shm` above this is not filled: it may be half of the machine's memory.
const LARGEST_SHM: u64 = 256 << 20;
const SHM: &str = "/dev/shm";
const FILLER: &str = "filler";
/// Mounts, then becomes the stack.
const MOUNT: &str = r#"mount -t tmpfs -o "size=$1" tmpfs "$2" && shift 2 && exec "$@""#;

/// The folder of a stack whose broker's data lie on a small disk. Removed when dropped.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    /// Where there is no namespace: the folder that stands for the disk.
    shared: Option<PathBuf>,
}

impl Disk {
    /// A new folder, and what it takes to mount a disk in it.
    pub(crate) fn make() -> Result<Self> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // Should this process be killed, the next stack sweeps it away by its name.
        let name = format!("isitup-dev-stack-{}-disk-{}", std::process::id(), now.subsec_nanos());
        let folder = std::env::temp_dir().join(&name);
        let shared = if can_mount() { None } else { Some(in_shared_memory(&name)?) };
        let disk = Self { folder, shared };
        let data = disk.folder.join("data");
        fs::create_dir_all(&data).context("could not make the folder of a stack")?;
        let place = disk.place();
        fs::create_dir_all(&place).context("could not make a folder for the disk")?;
        symlink(&place, data.join("kafka")).context("could not link the broker's data")?;
        Ok(disk)
    }

    /// The stack's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// `program`, with the disk mounted.
    pub(crate) fn command(&self, program: &Path) -> Command {
        if self.shared.is_some() {
            return Command::new(program);
        }
        let mut command = unshare();
        command.args(["sh", "-c", MOUNT, "sh", &SIZE.to_string()]).arg(self.place()).arg(program);
        command
    }

    /// Fills it up, as the process `stack` sees it.
    pub(crate) fn fill(&self, stack: u32) -> Result<()> {
        let mut file = File::create(self.filler(stack)).context("could not write to the small disk")?;
        let zeros = vec![0; 4096];
        loop {
            match file.write_all(&zeros) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error).context("could not fill the small disk"),
            }
        }
    }

    /// Gives back what [`fill`](Self::fill) took.
    pub(crate) fn free(&self, stack: u32) -> Result<()> {
        fs::remove_file(self.filler(stack)).context("could not free the small disk")
    }

    fn place(&self) -> PathBuf {
        self.shared.clone().unwrap_or_else(|| self.folder.join("disk"))
    }

    fn filler(&self, stack: u32) -> PathBuf {
        let inside = self.place().join(FILLER);
        match self.shared {
            Some(_) => inside,
            // What is mounted in the stack's namespace is seen through its eyes.
            None => PathBuf::from(format!("/proc/{stack}/root{}", inside.display())),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for folder in self.shared.iter().chain([&self.folder]) {
            if let Err(error) = fs::remove_dir_all(folder) {
                log::warn!("could not remove {}: {error}", folder.display());
            }
        }
    }
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "--propagation", "private", "--"]);
    command
}

fn can_mount() -> bool {
    let mut command = unshare();
    command.args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn in_shared_memory(name: &str) -> Result<PathBuf> {
    let answer = Command::new("df").args(["--output=size", "--block-size=1", SHM]).stderr(Stdio::null()).output();
    let answer = answer.context("could not run df")?;
    let size = String::from_utf8_lossy(&answer.stdout).lines().nth(1).and_then(|line| line.trim().parse::<u64>().ok());
    match size {
        Some(size) if size <= LARGEST_SHM => Ok(Path::new(SHM).join(name)),
        _ => bail!(
            "no small disk can be had here: neither may a tmpfs be mounted in a namespace of its own (`unshare --mount` \
             as root, `unshare --user --map-root-user --mount` as others), nor is {SHM} small enough to be filled"
        ),
    }
}
