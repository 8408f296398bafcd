//! The spool's files and folder: readable by their owner only, replaced as a whole or not at all, whatever lies in the way.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Results hold URLs, so other users get no access.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
/// The permission bits of other users.
const OTHERS: u32 = 0o077;

/// Which file a name leads to, to notice that it leads to another one now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// The file at `path`; `None` where there is none.
    pub(super) fn at(path: &Path) -> io::Result<Option<Self>> {
        Ok(metadata(path)?.map(|metadata| Self::of(&metadata)))
    }
}

/// The metadata of the regular file that `path` leads to; `None` where there is none.
pub(super) fn metadata(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata).filter(Metadata::is_file)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns whether `error` says that nothing can be found under a name: also where links lead in a circle or a folder
/// on the way was replaced by a file.
pub(super) fn is_missing(error: &io::Error) -> bool {
    const ELOOP: i32 = 40;
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        || error.raw_os_error() == Some(ELOOP)
}

/// Returns whether `error` says that the disk, the quota or the inodes are used up.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Makes `folder` and the folders above it where they are missing, durably; `folder` itself for its owner only.
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    create_folder_with(folder, FOLDER_MODE)
}

fn create_folder_with(folder: &Path, mode: u32) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().unwrap_or(Path::new(""));
    create_folder_with(above, 0o777)?;
    match DirBuilder::new().mode(mode).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !folder.is_dir() => return Err(error),
        _ => {}
    }
    sync_folder(if above.as_os_str().is_empty() { Path::new(".") } else { above })
}

/// Makes created, renamed and removed names durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Returns how to open a file that only its owner may read.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(FILE_MODE);
    options
}

/// Creates the temporary file `path`, in place of whatever is left there. A link is removed, never followed.
pub(super) fn create_temporary(path: &Path) -> io::Result<File> {
    match private().create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path).or_else(|_| set_aside(path))?;
            private().create_new(true).open(path)
        }
        opened => opened,
    }
}

/// Renames `temporary` to `path`, in place of the file there. A folder in its place is set aside.
pub(super) fn rename_into_place(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::rename(temporary, path) {
        Err(_) if path.is_dir() => {
            set_aside(path)?;
            fs::rename(temporary, path)
        }
        renamed => renamed,
    }
}

/// Sets aside what is at `path` unless it is a file or a link to one, so that a file can be made there.
pub(super) fn set_aside_unless_file(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => set_aside(path),
        _ => Ok(()),
    }
}

/// Renames what somebody put at `path` to a free name that the spool does not use.
pub(super) fn set_aside(path: &Path) -> io::Result<()> {
    let name = |number: u32| -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".found-{number}"));
        name.into()
    };
    let free = (1..u32::MAX).map(name).find(|name| fs::symlink_metadata(name).is_err());
    let free = free.ok_or_else(|| io::Error::other("no free name to set a file aside"))?;
    log::error!("{} is not a file of this spool; it is renamed to {}", path.display(), free.display());
    fs::rename(path, free)
}

/// Takes other users' access to the files in `folder`, as an older release left it, and warns where they have access to
/// the folder itself.
pub(super) fn make_private(folder: &Path) -> io::Result<()> {
    if let Some(warning) = folder_warning(folder) {
        log::warn!("{warning}");
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_file() && metadata.mode() & OTHERS != 0 {
            // Somebody else may own what is not the spool's.
            let _ = fs::set_permissions(entry.path(), Permissions::from_mode(metadata.mode() & 0o700));
        }
    }
    Ok(())
}

/// What to say where other users have access to the spool's folder.
pub(super) fn folder_warning(folder: &Path) -> Option<String> {
    let mode = fs::metadata(folder).ok().filter(Metadata::is_dir)?.mode() & 0o7777;
    let folder = folder.display();
    (mode & OTHERS != 0).then(|| {
        format!(
            "other users have access to the spool {folder} (mode {mode:03o}), which holds URLs; run: chmod 700 {folder}"
        )
    })
}
