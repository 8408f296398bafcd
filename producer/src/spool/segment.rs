//! The files of a spool: each holds records from one number on, at a size fixed when it is made, so that a cut shows.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use isitup_shared::crash_point;
use isitup_shared::event::Rank;
use uuid::Uuid;

use super::identity::sync_folder;
use super::record::{self, HEAD_SIZE, Head, Mark, Record, Stored};

/// Bytes of a segment, unless one record needs more.
pub(super) const SIZE: u64 = 4 << 20;
/// The unit of [`MetadataExt::blocks`].
const BLOCK: u64 = 512;
const EXTENSION: &str = "seg";

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
    /// Events up to this rank were dropped from it.
    pub(super) thinned: Option<Rank>,
}

/// The segment that is being written.
#[derive(Debug)]
pub(super) struct Tail {
    file: File,
    /// Where the next record goes; all before it is durable.
    end: u64,
    size: u64,
}

impl Tail {
    /// Makes a new segment of `producer_id` for records from `first_seq` on, with room for `at_least` bytes of them.
    pub(super) fn create(
        folder: &Path,
        producer_id: Uuid,
        first_seq: u64,
        at_least: usize,
    ) -> io::Result<(Self, Segment)> {
        let path = folder.join(format!("{first_seq:020}.{EXTENSION}"));
        let size = SIZE.max((HEAD_SIZE + at_least) as u64);
        let mut head = Vec::new();
        record::write_head(&mut head, &Head { producer_id, size });
        crash_point!("segment.begin");
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        crash_point!("segment.named");
        file.set_len(size)?;
        file.write_all_at(&head, 0)?;
        crash_point!("segment.headed");
        file.sync_all()?;
        sync_folder(folder)?;
        crash_point!("segment.durable");
        let segment =
            Segment { path, first_seq, last_seq: first_seq.saturating_sub(1), bytes: head.len() as u64, thinned: None };
        Ok((Self { file, end: head.len() as u64, size }, segment))
    }

    /// Whether `bytes` more fit.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.end + bytes as u64 <= self.size
    }

    /// Writes `records` and makes them durable. After an error none of them count, and the call may be repeated.
    pub(super) fn append(&mut self, records: &[u8]) -> io::Result<()> {
        crash_point!("spool.begin");
        self.file.write_all_at(records, self.end)?;
        crash_point!("spool.written");
        self.file.sync_data()?;
        crash_point!("spool.durable");
        self.end += records.len() as u64;
        Ok(())
    }
}

/// The segments in `folder`, by their first number. Files of other names are left alone.
pub(super) fn list(folder: &Path) -> io::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != EXTENSION) {
            continue;
        }
        let first = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let Some(first_seq) = first {
            let bytes = fs::metadata(&path)?.blocks() * BLOCK;
            segments.push(Segment { path, first_seq, last_seq: first_seq.saturating_sub(1), bytes, thinned: None });
        }
    }
    segments.sort_by_key(|segment| segment.first_seq);
    Ok(segments)
}

/// What a segment holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Who made the events; `None` where the segment's head is damaged.
    pub(super) producer_id: Option<Uuid>,
    pub(super) events: Vec<Stored>,
    pub(super) mark: Option<Mark>,
    /// Whether something was there that is no whole record.
    pub(super) damaged: bool,
}

/// Reads all that is whole in `segment`. Numbers outside `1..=most` are damage, whatever their checksum says.
pub(super) fn read(segment: &Segment, most: u64) -> io::Result<Contents> {
    let bytes = fs::read(&segment.path)?;
    // A segment whose head is not whole is damaged.
    let mut contents = Contents { damaged: true, ..Contents::default() };
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let mut at = 0;
    while at < end {
        match record::read(&bytes[at..]) {
            Some((Record::Event(event), size)) if (1..=most).contains(&event.seq) => {
                contents.events.push(event);
                at += size;
            }
            Some((Record::Mark(mark), size)) if mark.acked <= most => {
                contents.mark = Some(mark);
                at += size;
            }
            Some((Record::Head(head), size)) if at == 0 => {
                contents.producer_id = Some(head.producer_id);
                contents.damaged = bytes.len() as u64 != head.size;
                at += size;
            }
            // Torn or flipped: what is whole begins again somewhere behind.
            _ => {
                contents.damaged = true;
                at += 1;
            }
        }
    }
    Ok(contents)
}

/// Replaces `segment` by one that holds `events` only, and tells the bytes it takes. Durable when it returns.
pub(super) fn rewrite(segment: &Segment, producer_id: Uuid, events: &[Stored]) -> io::Result<u64> {
    let size = HEAD_SIZE as u64 + events.iter().map(|event| event.size() as u64).sum::<u64>();
    let mut records = Vec::new();
    record::write_head(&mut records, &Head { producer_id, size });
    for event in events {
        record::write_event(&mut records, event);
    }
    let temporary = segment.path.with_extension("new");
    fs::write(&temporary, &records)?;
    crash_point!("rewrite.written");
    File::open(&temporary)?.sync_all()?;
    crash_point!("rewrite.synced");
    fs::rename(&temporary, &segment.path)?;
    crash_point!("rewrite.renamed");
    if let Some(folder) = segment.path.parent() {
        sync_folder(folder)?;
    }
    Ok(size)
}
