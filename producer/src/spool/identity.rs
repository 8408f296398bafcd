//! Who the producer is, and up to which number it may have numbered: kept apart from the events, so that even a
//! damaged spool never issues a number twice.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use isitup_shared::crash_point;
use uuid::Uuid;

const NAME: &str = "identity";

/// Numbers reserved by one write of the file.
const AHEAD: u64 = 65_536;

/// The identity file of a spool.
#[derive(Debug)]
pub(super) struct Identity {
    path: PathBuf,
    pub(super) producer_id: Uuid,
    /// No number above this one was ever issued.
    pub(super) reserved: u64,
}

impl Identity {
    /// The identity in `folder`, unless there is none that is whole.
    pub(super) fn read(folder: &Path) -> io::Result<Option<Self>> {
        let path = folder.join(NAME);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(parse(&text).map(|(producer_id, reserved)| Self { path, producer_id, reserved })),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A new identity in `folder`, in place of what may be there.
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        let identity = Self { path: folder.join(NAME), producer_id: Uuid::new_v4(), reserved: 0 };
        identity.write(0)?;
        Ok(identity)
    }

    /// Makes sure that numbers up to `seq` are reserved, durably.
    pub(super) fn reserve(&mut self, seq: u64) -> io::Result<()> {
        if seq > self.reserved {
            self.write(seq + AHEAD)?;
            self.reserved = seq + AHEAD;
        }
        Ok(())
    }

    fn write(&self, reserved: u64) -> io::Result<()> {
        let line = format!("{} {reserved}", self.producer_id);
        let temporary = self.path.with_extension("new");
        crash_point!("identity.begin");
        let mut file = File::create(&temporary)?;
        writeln!(file, "{line} {:08x}", crc32fast::hash(line.as_bytes()))?;
        crash_point!("identity.written");
        file.sync_all()?;
        crash_point!("identity.synced");
        fs::rename(&temporary, &self.path)?;
        crash_point!("identity.renamed");
        self.path.parent().map_or(Ok(()), sync_folder)?;
        crash_point!("identity.durable");
        Ok(())
    }
}

/// Makes created, renamed and removed names durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn parse(text: &str) -> Option<(Uuid, u64)> {
    let (line, crc) = text.trim_end().rsplit_once(' ')?;
    if u32::from_str_radix(crc, 16).ok()? != crc32fast::hash(line.as_bytes()) {
        return None;
    }
    let (producer_id, reserved) = line.split_once(' ')?;
    Some((producer_id.parse().ok()?, reserved.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_back_with_its_reservation() {
        let folder = tempfile::tempdir().unwrap();
        let mut made = Identity::create(folder.path()).unwrap();
        made.reserve(1).unwrap();
        let read = Identity::read(folder.path()).unwrap().unwrap();
        assert_eq!((read.producer_id, read.reserved), (made.producer_id, 1 + AHEAD));
    }

    #[test]
    fn a_damaged_identity_is_none() {
        let folder = tempfile::tempdir().unwrap();
        Identity::create(folder.path()).unwrap();
        let path = folder.path().join(NAME);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() - 1 {
            let mut damaged = whole.clone();
            damaged[at] ^= 2;
            fs::write(&path, damaged).unwrap();
            assert!(Identity::read(folder.path()).unwrap().is_none(), "byte {at}");
        }
    }
}
