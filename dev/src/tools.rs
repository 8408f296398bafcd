//! Finds the programs that this one starts.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The full path of a program in `PATH`.
pub(crate) fn find(name: &str) -> Result<PathBuf> {
    match in_path(name) {
        Some(path) => Ok(path),
        None => bail!("{name} is not installed: `make deps` installs it or says how"),
    }
}

/// The folder with PostgreSQL's programs, where `initdb` and `postgres` lie together: that of the `initdb` in `PATH`,
/// else the newest of Debian's.
pub(crate) fn postgres_folder() -> Result<PathBuf> {
    // A link in PATH leads to the real folder, which has the rest.
    let on_path = in_path("initdb").and_then(|path| Some(path.canonicalize().ok()?.parent()?.to_owned()));
    let debian = newest_version(Path::new("/usr/lib/postgresql")).map(|folder| folder.join("bin"));
    let complete = |folder: &PathBuf| ["initdb", "postgres"].iter().all(|name| is_program(&folder.join(name)));
    match on_path.filter(complete).or(debian.filter(complete)) {
        Some(folder) => Ok(folder),
        None => bail!("PostgreSQL's initdb and postgres are not installed: `make deps` installs them or says how"),
    }
}

/// A service's binary: beside this one, as cargo builds them all into one folder.
pub(crate) fn beside_us(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().unwrap_or(Path::new("."));
    // A test binary lies one level deeper, in deps/.
    let candidates = [Some(folder), folder.parent()];
    match candidates.into_iter().flatten().map(|folder| folder.join(name)).find(|path| is_program(path)) {
        Some(path) => Ok(path),
        None => bail!("{} is not built: run `cargo build --workspace`", folder.join(name).display()),
    }
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| is_program(candidate))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn newest_version(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    entries.flatten().map(|entry| entry.path()).filter(|path| version(path).is_some()).max_by_key(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_names_the_remedy() {
        let error = find("no-such-program").unwrap_err().to_string();
        assert_eq!(error, "no-such-program is not installed: `make deps` installs it or says how");
    }

    #[test]
    fn version_15_is_newer_than_9() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["9", "15", "13", "common"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        assert_eq!(newest_version(folder.path()), Some(folder.path().join("15")));
    }
}
