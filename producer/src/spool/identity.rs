//! Who the producer is, and up to which number it may have numbered: kept apart from the events, so that even a
//! damaged spool never issues a number twice.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use isitup_shared::crash_point;
use isitup_shared::time::UtcTime;
use uuid::Uuid;

use super::files::{self, FileId};

const NAME: &str = "identity";

/// Numbers reserved by one write of the file.
const AHEAD: u64 = 65_536;

/// The identity file of a spool.
#[derive(Debug)]
pub(super) struct Identity {
    path: PathBuf,
    /// The file as it was read or written last.
    id: Option<FileId>,
    pub(super) producer_id: Uuid,
    /// No number above this one was ever issued.
    pub(super) reserved: u64,
    /// The first number of the newest segment that is known to be on disk; one as new must be there.
    pub(super) newest: u64,
    /// The settled time when this was written, for a spool that has lost all later ones.
    pub(super) settled: Option<UtcTime>,
}

impl Identity {
    /// The identity in `folder`, unless there is none that is whole.
    pub(super) fn read(folder: &Path) -> io::Result<Option<Self>> {
        let path = folder.join(NAME);
        if files::metadata(&path)?.is_none() {
            return Ok(None);
        }
        let mut file = File::open(&path)?;
        let id = FileId::of(&file.metadata()?);
        let mut text = String::new();
        match file.read_to_string(&mut text) {
            Ok(_) => Ok(parse(&text, path).map(|identity| Self { id: Some(id), ..identity })),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A new identity in `folder`, in place of what may be there.
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        let producer_id = Uuid::new_v4();
        let path = folder.join(NAME);
        let mut identity = Self { path, id: None, producer_id, reserved: 0, newest: 0, settled: None };
        identity.write()?;
        Ok(identity)
    }

    /// Makes sure that numbers up to `seq` are reserved, durably.
    pub(super) fn reserve(&mut self, seq: u64) -> io::Result<()> {
        if seq > self.reserved {
            let before = std::mem::replace(&mut self.reserved, seq + AHEAD);
            self.write().inspect_err(|_| self.reserved = before)?;
        }
        Ok(())
    }

    /// Notes that a segment of numbers from `newest` on is on disk, when all slots before `settled` were.
    pub(super) fn note(&mut self, newest: u64, settled: UtcTime) -> io::Result<()> {
        (self.newest, self.settled) = (newest, Some(settled));
        self.write()
    }

    /// Returns whether the file is still the one that was read or written last.
    pub(super) fn is_in_place(&self) -> io::Result<bool> {
        Ok(self.id.is_some() && FileId::at(&self.path)? == self.id)
    }

    /// Takes back the file that somebody removed or replaced. Returns the highest number that another producer of the
    /// same name may have issued meanwhile, where there was one.
    pub(super) fn restore(&mut self, folder: &Path) -> io::Result<Option<u64>> {
        let found = Self::read(folder)?;
        let is_ours = found.as_ref().is_none_or(|found| found.producer_id == self.producer_id);
        if !is_ours {
            files::set_aside(&self.path)?;
        }
        // An older copy, as a backup has it, says less than this one.
        let ahead = found.filter(|found| is_ours && (found.newest > self.newest || found.reserved > self.reserved));
        if let Some(found) = &ahead {
            self.reserved = self.reserved.max(found.reserved);
            self.newest = self.newest.max(found.newest);
        }
        self.write()?;
        Ok(ahead.map(|_| self.reserved))
    }

    /// Writes the file, durably.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let temporary = self.path.with_extension("new");
        self.write_by(&temporary).inspect_err(|_| drop(fs::remove_file(&temporary)))
    }

    fn write_by(&mut self, temporary: &Path) -> io::Result<()> {
        let settled = self.settled.map_or_else(|| "-".to_owned(), |time| time.as_micros().to_string());
        let line = format!("{} {} {} {settled}", self.producer_id, self.reserved, self.newest);
        crash_point!("identity.begin");
        let mut file = files::create_temporary(temporary)?;
        writeln!(file, "{line} {:08x}", crc32fast::hash(line.as_bytes()))?;
        crash_point!("identity.written");
        file.sync_all()?;
        crash_point!("identity.synced");
        let id = FileId::of(&file.metadata()?);
        files::rename_into_place(temporary, &self.path)?;
        self.id = Some(id);
        crash_point!("identity.renamed");
        self.path.parent().map_or(Ok(()), files::sync_folder)?;
        crash_point!("identity.durable");
        Ok(())
    }
}

fn parse(text: &str, path: PathBuf) -> Option<Identity> {
    let (line, crc) = text.trim_end().rsplit_once(' ')?;
    if u32::from_str_radix(crc, 16).ok()? != crc32fast::hash(line.as_bytes()) {
        return None;
    }
    let mut words = line.split(' ');
    let (producer_id, reserved) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    // An older form has these two only; where numbers were reserved there was a segment.
    let newest = words.next().map_or(Some(u64::from(reserved > 0)), |newest| newest.parse().ok())?;
    let settled = words.next().and_then(|micros| micros.parse().ok()).map(UtcTime::from_micros);
    Some(Identity { path, id: None, producer_id, reserved, newest, settled })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_back_with_its_reservation() {
        let folder = tempfile::tempdir().unwrap();
        let mut made = Identity::create(folder.path()).unwrap();
        made.reserve(1).unwrap();
        made.note(7, UtcTime::from_micros(5)).unwrap();
        let read = Identity::read(folder.path()).unwrap().unwrap();
        assert_eq!((read.producer_id, read.reserved), (made.producer_id, 1 + AHEAD));
        assert_eq!((read.newest, read.settled), (7, Some(UtcTime::from_micros(5))));
    }

    #[test]
    fn an_identity_of_an_older_release_is_read() {
        let line = "0195b4c8-55a0-7a6e-8000-000000000001 65537";
        let text = format!("{line} {:08x}\n", crc32fast::hash(line.as_bytes()));
        let read = parse(&text, PathBuf::new()).unwrap();
        assert_eq!((read.reserved, read.newest, read.settled), (65_537, 1, None));
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
