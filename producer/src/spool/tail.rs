//! The segment that is being written.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use isitup_shared::crash_point;
use isitup_shared::time::UtcTime;
use uuid::Uuid;

use super::files::{self, FileId, sync_folder};
use super::record::{self, HEAD_SIZE, Head, Mark};
use super::segment::{self, Prepared, SIZE, Segment};

/// Zeros behind the newest records. They are written with each batch, so the disk has given their room already: when it
/// is full, some marks can still be written, and without a mark nothing that Kafka has acknowledged could be given back.
const SLACK: usize = 512;
/// Below this, emptying the segment gives the disk too little back to go on with.
pub(super) const WORTH_EMPTYING: u64 = SIZE / 4 * 3;

/// The segment that is being written.
#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    id: FileId,
    file: File,
    /// Where the next record goes; all before it is durable.
    end: u64,
    size: u64,
    /// Whether what comes belongs into another segment.
    is_ended: bool,
}

impl Tail {
    /// Makes a new segment of `producer_id` for numbers from `first_seq` on, none of a slot before `since`, which begins
    /// with `records`. Durable when it returns; until then nothing has changed, whatever happens: one of the same number
    /// may be there already, which holds nothing but marks, the only ones perhaps.
    pub(super) fn create(
        folder: &Path,
        producer_id: Uuid,
        first_seq: u64,
        since: UtcTime,
        records: &[u8],
    ) -> io::Result<(Self, Segment)> {
        let path = segment::path(folder, first_seq);
        let size = SIZE.max((HEAD_SIZE + records.len() + SLACK) as u64);
        let mut contents = Vec::with_capacity(HEAD_SIZE + records.len() + SLACK);
        let since = Some(since);
        record::write_head(&mut contents, &Head { producer_id, size, since });
        contents.extend_from_slice(records);
        let end = contents.len() as u64;
        contents.resize(contents.len() + SLACK, 0);
        crash_point!("segment.begin");
        let (prepared, file) = Prepared::new(&path, &contents, size)?;
        let id = FileId::of(&file.metadata()?);
        crash_point!("segment.headed");
        prepared.rename()?;
        crash_point!("segment.named");
        // One that is perhaps there must not be found beside what is written in its stead.
        sync_folder(folder).inspect_err(|_| drop(fs::remove_file(&path)))?;
        crash_point!("segment.durable");
        let tail = Self { path: path.clone(), id, file, end, size, is_ended: false };
        Ok((tail, Segment { bytes: end, since, ..Segment::empty(path, first_seq) }))
    }

    /// Opens the segment at `path`, which is whole and whose records end at `end`, for marks only.
    pub(super) fn open(path: &Path, end: u64) -> io::Result<Self> {
        let file = File::options().write(true).open(path)?;
        let metadata = file.metadata()?;
        let (id, size) = (FileId::of(&metadata), metadata.len());
        Ok(Self { path: path.to_owned(), id, file, end, size, is_ended: true })
    }

    /// Returns whether the file is still found where it was made, at its size. What is written to one that was removed is
    /// kept by nobody.
    pub(super) fn is_in_place(&self) -> io::Result<bool> {
        let found = files::metadata(&self.path)?;
        Ok(found.is_some_and(|found| FileId::of(&found) == self.id && found.len() == self.size))
    }

    /// Has no room for events from here on.
    pub(super) const fn end(&mut self) {
        self.is_ended = true;
    }

    /// Returns whether `bytes` more fit.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        !self.is_ended && self.end + (bytes + SLACK) as u64 <= self.size
    }

    /// Writes `records` and makes them durable. After an error none of them count, and the call may be repeated.
    pub(super) fn append(&mut self, records: &mut Vec<u8>) -> io::Result<()> {
        let length = records.len();
        records.resize(length + SLACK, 0);
        let written = self.write_durably(records);
        records.truncate(length);
        self.end += written.map(|()| length as u64)?;
        Ok(())
    }

    /// Writes `mark` into the room that the disk has given already.
    pub(super) fn append_mark(&mut self, mark: &Mark) -> io::Result<()> {
        let mut record = Vec::new();
        record::write_mark(&mut record, mark);
        if self.end + record.len() as u64 > self.size {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.write_durably(&record)?;
        self.end += record.len() as u64;
        Ok(())
    }

    fn write_durably(&self, bytes: &[u8]) -> io::Result<()> {
        crash_point!("spool.begin");
        let written = self.file.write_all_at(bytes, self.end).and_then(|()| {
            crash_point!("spool.written");
            self.file.sync_data()
        });
        crash_point!("spool.durable");
        if written.is_err() {
            // What a full disk took of them would look like damage, should the process end before the disk has room.
            let _ = self.file.write_all_at(&vec![0; bytes.len()], self.end);
        }
        written
    }

    /// Takes back the last `bytes` that were appended.
    pub(super) fn take_back(&mut self, bytes: usize) {
        self.end -= bytes as u64;
        let _ = self.file.write_all_at(&vec![0; bytes], self.end);
    }

    /// Returns whether emptying it would give the disk room back.
    pub(super) const fn is_worth_emptying(&self) -> bool {
        self.end >= WORTH_EMPTYING
    }

    /// Empties the segment where it lies: the disk need give neither room nor an inode for that. To be called only after
    /// Kafka has acknowledged all of its events; `mark` says so.
    ///
    /// The head and the mark are written first, over the oldest events, within one sector: whenever this is cut short, the
    /// mark is there and the rest is either whole or known to be acknowledged.
    pub(super) fn empty(&mut self, producer_id: Uuid, since: Option<UtcTime>, mark: &Mark) -> io::Result<u64> {
        let mut begin = Vec::new();
        record::write_head(&mut begin, &Head { producer_id, size: self.size, since });
        record::write_mark(&mut begin, mark);
        self.file.write_all_at(&begin, 0)?;
        self.file.sync_data()?;
        // From here on it must not be appended to where it ended, whatever happens.
        self.is_ended = true;
        self.file.set_len(begin.len() as u64)?;
        self.file.set_len(self.size)?;
        self.file.sync_all()?;
        (self.end, self.is_ended) = (begin.len() as u64, false);
        Ok(self.end)
    }
}
