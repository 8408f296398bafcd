//! The files of a spool: each holds records from one number on, at a size fixed when it is made, so that a cut shows.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use isitup_shared::crash_point;
use isitup_shared::event::Rank;
use isitup_shared::time::UtcTime;
use uuid::Uuid;

use super::files::{self, sync_folder};
use super::record::{self, HEAD_SIZE, Head, Mark, Record, Stored};

/// Bytes of a segment, unless one record needs more.
pub(super) const SIZE: u64 = 4 << 20;
/// The unit of [`MetadataExt::blocks`].
const BLOCK: u64 = 512;
/// What the smallest file takes on common file systems.
const DISK_BLOCK: u64 = 4096;
/// Longer files are damaged: no segment was ever made so long.
const LONGEST: u64 = 256 << 20;
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
    /// Bytes that are written; its unwritten part takes no room on disk.
    pub(super) bytes: u64,
    /// Events it holds.
    pub(super) count: u64,
    /// Bytes of those of them that are no results.
    pub(super) accounts: u64,
    /// None of its events is of a slot before this moment, where that is known.
    pub(super) since: Option<UtcTime>,
    /// Events up to this rank were dropped from it.
    pub(super) thinned: Option<Rank>,
}

impl Segment {
    /// One without events.
    pub(super) const fn empty(path: PathBuf, first_seq: u64) -> Self {
        let last_seq = first_seq.saturating_sub(1);
        Self { path, first_seq, last_seq, bytes: 0, count: 0, accounts: 0, since: None, thinned: None }
    }

    /// Bytes it takes on disk, in whole blocks.
    pub(super) const fn disk_bytes(&self) -> u64 {
        self.bytes.next_multiple_of(DISK_BLOCK)
    }

    /// Notes that it holds these events now.
    pub(super) fn note(&mut self, events: &[Stored]) {
        self.count = events.len() as u64;
        self.accounts = bytes_of(events.iter().filter(|event| event.rank == Rank::Account));
    }
}

/// Bytes that `events` take in a segment.
pub(super) fn bytes_of<'a>(events: impl IntoIterator<Item = &'a Stored>) -> u64 {
    events.into_iter().map(|event| event.size() as u64).sum()
}

/// Where the segment of numbers from `first_seq` on lies.
pub(super) fn path(folder: &Path, first_seq: u64) -> PathBuf {
    folder.join(format!("{first_seq:020}.{EXTENSION}"))
}

/// Removes what was being made when the process or the machine died.
pub(super) fn remove_unplaced(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == UNPLACED) {
            fs::remove_file(&path).or_else(|_| files::set_aside(&path))?;
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
            let Some(metadata) = files::metadata(&path)? else {
                log::error!("{} is no file; what the spool had there is taken for lost", path.display());
                continue;
            };
            let bytes = metadata.blocks() * BLOCK;
            segments.push(Segment { bytes, ..Segment::empty(path, first_seq) });
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
    /// Where the records end.
    pub(super) end: u64,
}

/// Reads all that is whole in `segment`. Numbers outside `1..=most` are damage, whatever their checksum says.
pub(super) fn read(segment: &Segment, most: u64) -> io::Result<Contents> {
    let mut bytes = Vec::new();
    File::open(&segment.path)?.take(LONGEST).read_to_end(&mut bytes)?;
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
    contents.end = at as u64;
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
    pub(super) fn new(path: &Path, contents: &[u8], size: u64) -> io::Result<(Self, File)> {
        let (path, temporary) = (path.to_owned(), path.with_extension(UNPLACED));
        let prepared = Self { path, temporary, bytes: contents.len() as u64, is_placed: false };
        let file = files::create_temporary(&prepared.temporary)?;
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

    pub(super) fn rename(mut self) -> io::Result<()> {
        files::rename_into_place(&self.temporary, &self.path)?;
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

/// What `segment` of a running spool holds, without what was dropped from it or numbered by somebody else. It is damaged
/// when events are missing that it is known to hold, also when the whole file is gone or was replaced.
pub(super) fn read_known(segment: &Segment) -> io::Result<Contents> {
    let mut contents = match files::metadata(&segment.path)? {
        Some(_) => read(segment, u64::MAX)?,
        None => Contents { damaged: true, ..Contents::default() },
    };
    let is_known = |event: &Stored| {
        (segment.first_seq..=segment.last_seq).contains(&event.seq) && Some(event.rank) > segment.thinned
    };
    contents.events.retain(is_known);
    contents.damaged |= (contents.events.len() as u64) < segment.count;
    Ok(contents)
}

/// Prepares what is to replace `segment`: one that holds `events` only, `producer_id`'s where its `head` is lost.
pub(super) fn rewrite(
    segment: &Segment,
    head: Option<Head>,
    producer_id: Uuid,
    events: &[Stored],
) -> io::Result<Prepared> {
    let size = HEAD_SIZE as u64 + bytes_of(events);
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
