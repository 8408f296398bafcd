//! Who else may change or read what a configuration is made of: the file itself where it holds commands, and the files
//! of secrets.
//!
//! Warned of is what lets another user of the machine run a command or read a password, and not the ways in which
//! containers and systemd hand out secrets: `/run/secrets` with mode 0444, credentials with group root.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid, getgroups};

const ROOT: u32 = 0;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const GROUP_READS: u32 = 0o040;
const OTHERS_READ: u32 = 0o004;

/// Where container engines put secrets, readable by whoever runs in the container.
const OF_ENGINES: [&str; 2] = ["/run/secrets", "/var/run/secrets"];
/// Kubernetes mounts the files of a secret in folders of such names, with mode 0644.
const OF_KUBERNETES: &str = "..2";

/// What a configuration was read from, beside its own file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Files that it names and that were read.
    pub files: Vec<PathBuf>,
    /// Those among them, and private keys, that are secret.
    pub secret_files: Vec<PathBuf>,
    /// Files that hold a command that prints a secret.
    pub files_with_commands: Vec<PathBuf>,
}

impl Sources {
    /// What others may change or read of it, in words that complete "warning: …".
    pub fn warnings(&self) -> Vec<String> {
        let with_commands = unique(&self.files_with_commands);
        let secrets = unique(&self.secret_files);
        let changeable = with_commands.iter().filter_map(|file| {
            who_changes(file).map(|who| {
                format!(
                    "{}: {who}, and so run commands as this user (it has a `.._command`): chmod go-w, and own it",
                    file.display()
                )
            })
        });
        let readable = secrets.iter().filter_map(|file| {
            who_reads(file)
                .map(|who| format!("{}: {who}: chmod o-r,g-r, or give it to the group of this user", file.display()))
        });
        changeable.chain(readable).collect()
    }
}

fn unique(files: &[PathBuf]) -> Vec<&PathBuf> {
    let mut files: Vec<&PathBuf> = files.iter().collect();
    files.sort_unstable();
    files.dedup();
    files
}

/// Who else may change `file`; `None` where nobody may, or where it is not to be had.
fn who_changes(file: &Path) -> Option<String> {
    let metadata = fs::metadata(file).ok()?;
    let (mode, owner) = (metadata.mode(), metadata.uid());
    if mode & OTHERS_WRITE != 0 {
        return Some("everybody may change it".into());
    }
    if mode & GROUP_WRITES != 0 {
        return Some(format!("the group {} may change it", metadata.gid()));
    }
    (owner != ROOT && owner != geteuid().as_raw()).then(|| format!("user {owner}, who owns it, may change it"))
}

/// Who else may read `file`; `None` where nobody may, or where it is not to be had.
fn who_reads(file: &Path) -> Option<String> {
    let file = fs::canonicalize(file).ok()?;
    let metadata = fs::metadata(&file).ok()?;
    let (mode, group) = (metadata.mode(), metadata.gid());
    if mode & OTHERS_READ != 0 {
        return (!is_handed_out(&file)).then(|| "everybody on this machine may read it".into());
    }
    let is_of_others = mode & GROUP_READS != 0 && group != ROOT && !is_our_group(group);
    is_of_others.then(|| format!("the group {group}, to which this user does not belong, may read it"))
}

/// Whether a container engine put it there, for the container alone.
fn is_handed_out(file: &Path) -> bool {
    let of_kubernetes = |part: &OsStr| part.as_encoded_bytes().starts_with(OF_KUBERNETES.as_bytes());
    OF_ENGINES.iter().any(|folder| file.starts_with(folder)) || file.iter().any(of_kubernetes)
}

fn is_our_group(group: u32) -> bool {
    getegid().as_raw() == group || getgroups().is_ok_and(|groups| groups.iter().any(|ours| ours.as_raw() == group))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn with_mode(file: &Path, mode: u32) {
        fs::write(file, "x").unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_secret_that_everybody_may_read_is_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let warnings = |file: &Path| Sources { secret_files: vec![file.to_owned()], ..Sources::default() }.warnings();
        for (mode, is_warned) in [(0o600, false), (0o640, false), (0o440, false), (0o644, true), (0o604, true)] {
            with_mode(&file, mode);
            assert_eq!(!warnings(&file).is_empty(), is_warned, "{mode:o}");
        }
        let kubernetes = folder.path().join("..2026_12_01_10_00_00.123");
        fs::create_dir(&kubernetes).unwrap();
        with_mode(&kubernetes.join("secret"), 0o644);
        std::os::unix::fs::symlink(kubernetes.join("secret"), folder.path().join("mounted")).unwrap();
        assert_eq!(warnings(&folder.path().join("mounted")), Vec::<String>::new());
        assert_eq!(warnings(&folder.path().join("none")), Vec::<String>::new());
    }

    #[test]
    fn a_file_with_commands_that_others_may_change_is_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yml");
        for (mode, is_warned) in [(0o600, false), (0o644, false), (0o664, true), (0o646, true)] {
            with_mode(&file, mode);
            let sources = Sources { files_with_commands: vec![file.clone(), file.clone()], ..Sources::default() };
            assert_eq!(sources.warnings().len(), usize::from(is_warned), "{mode:o}");
        }
    }
}
