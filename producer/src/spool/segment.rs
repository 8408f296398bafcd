//! The files of a spool: each holds records from one number on, at a size fixed when it is made, so that a cut shows.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use isitup_shared::crash_point;
use isitup_shared::event::Rank;
use isitup_shared::time::UtcTime;
use uuid::Uuid;

use super::identity::sync_folder;
use super::record::{self, HEAD_SIZE, Head, Mark, Record, Stored};

/// Bytes of a segment, unless one record needs more.
pub(super) const SIZE: u64 = 4 << 20;
/// The unit of [`MetadataExt::blocks`].
const BLOCK: u64 = 512;
const EXTENSION: &str = "seg";
/// The extension of a file that is not in its place yet.
const UNPLACED: &str = "new";

/// A segment's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// All its numbers are at least this one.
    pub(super) first_seq: u64,
    /// All its numbers are at most this one; grows while it is written.
    pub(super) last_seq: u64,
    /// Bytes it takes on disk; its unwritten part takes none.
    pub(super) bytes: u64,
    /// None of its events is of a slot before this moment, where that is known.
    pub(super) since: Option<UtcTime>,
    /// Events up to this rank were dropped from it.
    pub(super) thinned: Option<Rank>,
}

/// The segment that is being written.
#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    inode: u64,
    file: File,
    /// Where the next record goes; all before it is durable.
    end: u64,
    size: u64,
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
        let path = folder.join(format!("{first_seq:020}.{EXTENSION}"));
        let size = SIZE.max((HEAD_SIZE + records.len()) as u64);
        let mut contents = Vec::with_capacity(HEAD_SIZE + records.len());
        let since = Some(since);
        record::write_head(&mut contents, &Head { producer_id, size, since });
        contents.extend_from_slice(records);
        crash_point!("segment.begin");
        let (prepared, file) = Prepared::new(&path, &contents, size)?;
        let inode = file.metadata()?.ino();
        let end = prepared.bytes;
        crash_point!("segment.headed");
        prepared.rename()?;
        crash_point!("segment.named");
        // One that is perhaps there must not be found beside what is written in its stead.
        sync_folder(folder).inspect_err(|_| drop(fs::remove_file(&path)))?;
        crash_point!("segment.durable");
        let tail = Self { path: path.clone(), inode, file, end, size };
        let last_seq = first_seq.saturating_sub(1);
        let segment = Segment { path, first_seq, last_seq, bytes: end, since, thinned: None };
        Ok((tail, segment))
    }

    /// Whether the file is still found where it was made; what is written to one that was removed is kept by nobody.
    pub(super) fn is_in_place(&self) -> io::Result<bool> {
        match fs::metadata(&self.path) {
            Ok(found) => Ok(found.ino() == self.inode),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Has no room from here on.
    pub(super) const fn end(&mut self) {
        self.size = self.end;
    }

    /// Whether `bytes` more fit.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.end + bytes as u64 <= self.size
    }

    /// Writes `records` and makes them durable. After an error none of them count, and the call may be repeated.
    pub(super) fn append(&mut self, records: &[u8]) -> io::Result<()> {
        crash_point!("spool.begin");
        let written = self.file.write_all_at(records, self.end).and_then(|()| {
            crash_point!("spool.written");
            self.file.sync_data()
        });
        crash_point!("spool.durable");
        match written {
            Ok(()) => self.end += records.len() as u64,
            // What a full disk took of them would look like damage, should the process end before the disk has room.
            Err(_) => drop(self.file.write_all_at(&vec![0; records.len()], self.end)),
        }
        written
    }
}

/// Removes what was being made when the process or the machine died.
pub(super) fn remove_unplaced(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == UNPLACED) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// The segments in `folder`, by their first number. Files of other names are left alone.
pub(super) fn list(folder: &Path) -> io::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != EXTENSION) {
            continue;
        }
        let first = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
        if let Some(first_seq) = first {
            let bytes = fs::metadata(&path)?.blocks() * BLOCK;
            let last_seq = first_seq.saturating_sub(1);
            segments.push(Segment { path, first_seq, last_seq, bytes, since: None, thinned: None });
        }
    }
    segments.sort_by_key(|segment| segment.first_seq);
    Ok(segments)
}

/// What a segment holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// `None` where it is damaged.
    pub(super) head: Option<Head>,
    pub(super) events: Vec<Stored>,
    pub(super) mark: Option<Mark>,
    /// No event numbered from here on is of a slot before that moment.
    pub(super) since: Vec<(u64, UtcTime)>,
    /// Whether something was there that is no whole record.
    pub(super) damaged: bool,
}

/// Reads all that is whole in `segment`. Numbers outside `1..=most` are damage, whatever their checksum says.
pub(super) fn read(segment: &Segment, most: u64) -> io::Result<Contents> {
    let bytes = fs::read(&segment.path)?;
    // A segment whose head is not whole is damaged.
    let mut contents = Contents { damaged: true, ..Contents::default() };
    let end = end_of(&bytes);
    let (mut at, mut is_torn) = (0, false);
    while at < end {
        match record::read(&bytes[at..]) {
            Some((Record::Event(event), size)) if (1..=most).contains(&event.seq) => {
                let settled = contents.mark.and_then(|mark| mark.settled);
                if let Some(settled) =
                    settled.filter(|settled| contents.since.last().is_none_or(|last| last.1 != *settled))
                {
                    // Of what is lost between the mark and this event nobody can tell on which side of the mark it was.
                    contents.since.push((event.seq, settled));
                }
                contents.events.push(event);
                at += size;
            }
            Some((Record::Mark(mark), size)) if mark.acked <= most => {
                // Where something of its batch is lost, not all that the mark calls settled was kept.
                let settled = if is_torn { contents.mark.and_then(|before| before.settled) } else { mark.settled };
                contents.mark = Some(Mark { settled, ..mark });
                is_torn = false;
                at += size;
            }
            Some((Record::Head(head), size)) if at == 0 => {
                contents.head = Some(head);
                contents.damaged = bytes.len() as u64 != head.size;
                at += size;
            }
            // Torn or flipped: what is whole begins again somewhere behind.
            _ => {
                (contents.damaged, is_torn) = (true, true);
                at += 1;
            }
        }
    }
    Ok(contents)
}

/// A file that is durable under a name of no meaning. Goes away unless it is put in its place: what a full disk did not
/// take whole must not fill it up.
#[derive(Debug)]
pub(super) struct Prepared {
    path: PathBuf,
    temporary: PathBuf,
    /// Bytes that are written.
    pub(super) bytes: u64,
    is_placed: bool,
}

impl Prepared {
    /// A file of `size` bytes for `path`, which begins with `contents`.
    fn new(path: &Path, contents: &[u8], size: u64) -> io::Result<(Self, File)> {
        let (path, temporary) = (path.to_owned(), path.with_extension(UNPLACED));
        let prepared = Self { path, temporary, bytes: contents.len() as u64, is_placed: false };
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&prepared.temporary)?;
        file.set_len(size)?;
        file.write_all_at(contents, 0)?;
        file.sync_all()?;
        Ok((prepared, file))
    }

    /// Puts it in the place of what is there: all of it or nothing. Durable when it returns.
    pub(super) fn put(self) -> io::Result<u64> {
        let (folder, bytes) = (self.path.parent().map(Path::to_owned), self.bytes);
        self.rename()?;
        crash_point!("rewrite.renamed");
        folder.as_deref().map_or(Ok(()), sync_folder)?;
        Ok(bytes)
    }

    fn rename(mut self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.path)?;
        self.is_placed = true;
        Ok(())
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if !self.is_placed {
            // The next start tries again.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Makes what can be read of `segment` durable.
pub(super) fn sync(segment: &Segment) -> io::Result<()> {
    File::open(&segment.path)?.sync_all()
}

/// Where the zeros begin that a segment's unwritten part consists of. Whole blocks are compared, since most of them are zeros.
fn end_of(bytes: &[u8]) -> usize {
    const ZEROS: [u8; 4096] = [0; 4096];
    let blocks = bytes.chunks(ZEROS.len());
    let whole =
        blocks.clone().rposition(|block| *block != ZEROS[..block.len()]).map_or(0, |last| (last + 1) * ZEROS.len());
    bytes[..whole.min(bytes.len())].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// What `segment` holds; all of it is damaged when the file is gone.
pub(super) fn read_or_gone(segment: &Segment) -> io::Result<Contents> {
    match read(segment, u64::MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Contents { damaged: true, ..Contents::default() }),
        contents => contents,
    }
}

/// Prepares what is to replace `segment`: one that holds `events` only, `producer_id`'s where its `head` is lost.
pub(super) fn rewrite(
    segment: &Segment,
    head: Option<Head>,
    producer_id: Uuid,
    events: &[Stored],
) -> io::Result<Prepared> {
    let size = HEAD_SIZE as u64 + events.iter().map(|event| event.size() as u64).sum::<u64>();
    let mut records = Vec::new();
    let head = head.unwrap_or(Head { producer_id, size, since: segment.since });
    record::write_head(&mut records, &Head { size, ..head });
    for event in events {
        record::write_event(&mut records, event);
    }
    crash_point!("rewrite.begin");
    let prepared = Prepared::new(&segment.path, &records, size).map(|(prepared, _)| prepared);
    crash_point!("rewrite.synced");
    prepared
}
