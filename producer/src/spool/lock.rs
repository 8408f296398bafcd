//! One producer at a time on a spool.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::SpoolError;

/// Holds a spool's folder for as long as it lives, against this process and all others.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Takes the spool in `folder`.
    pub(super) fn take(folder: &Path) -> Result<Self, SpoolError> {
        let io = |source| SpoolError::Io { what: "locked", folder: folder.to_owned(), source };
        let file = File::options().create(true).truncate(false).write(true).open(folder.join("lock")).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(SpoolError::InUse { folder: folder.to_owned() }),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }
}

impl Drop for Lock {
    /// Closing the file would not do: a child that another thread is just starting has a copy of it until its program
    /// begins, and flock(2) holds a lock until the last copy is closed, or until any of them gives it up.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
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
        let _childs = held.0.try_clone().unwrap();
        assert!(matches!(Lock::take(folder.path()), Err(SpoolError::InUse { .. })));
        drop(held);
        Lock::take(folder.path()).unwrap();
    }
}
