//! One producer at a time on a spool.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::SpoolError;
use super::files::{self, FileId};

/// How often the lock is tried while somebody replaces its file at the same time.
const TRIES: u32 = 10;

/// Holds a spool's folder for as long as it lives, against this process and all others.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    file: File,
    id: FileId,
}

impl Lock {
    /// Takes the spool in `folder`.
    pub(super) fn take(folder: &Path) -> Result<Self, SpoolError> {
        let refused = |source| SpoolError::Io { what: "locked", folder: folder.to_owned(), source };
        for _ in 0..TRIES {
            let path = folder.join("lock");
            files::set_aside_unless_file(&path).map_err(refused)?;
            let file = files::private().create(true).truncate(false).open(&path).map_err(refused)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(SpoolError::InUse { folder: folder.to_owned() }),
                Err(TryLockError::Error(source)) => return Err(refused(source)),
            }
            let id = FileId::of(&file.metadata().map_err(refused)?);
            let lock = Self { path, file, id };
            // Where the file was replaced meanwhile, another producer may hold the one that is there now.
            if lock.is_in_place().map_err(refused)? {
                return Ok(lock);
            }
        }
        Err(refused(io::Error::other("its file `lock` is replaced again and again")))
    }

    /// Returns whether the locked file is still the one that other producers would find.
    pub(super) fn is_in_place(&self) -> io::Result<bool> {
        Ok(FileId::at(&self.path)? == Some(self.id))
    }
}

impl Drop for Lock {
    /// Closing the file would not do: a child that another thread is just starting has a copy of it until its program
    /// begins, and flock(2) holds a lock until the last copy is closed, or until any of them gives it up.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            log::warn!("the spool was not unlocked: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_file_does_not_outlast_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let held = Lock::take(folder.path()).unwrap();
        let _childs = held.file.try_clone().unwrap();
        assert!(matches!(Lock::take(folder.path()), Err(SpoolError::InUse { .. })));
        drop(held);
        Lock::take(folder.path()).unwrap();
    }
}
