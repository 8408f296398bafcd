//! Room on disk: how much the spool needs and finds, and giving back what Kafka has acknowledged.

use std::fs;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};

use isitup_shared::crash_point;

use super::files;
use super::record::Mark;
use super::segment::{SIZE, Segment};
use super::writer::Writer;

/// With less the spool cannot begin a segment beside a full one and rewrite a third.
const LEAST_ROOM: u64 = 3 * SIZE;
/// Beyond `max_size` the spool takes at most the segment that is being written and one that is being rewritten.
pub(super) const BEYOND_MAX_SIZE: u64 = 2 * SIZE;

/// Bytes that are free for this user on the file system of `folder`.
fn free(folder: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// What to say where a spool of up to `max_size` bytes, which takes `taken` bytes already, finds too little room in `folder`.
pub(super) fn warning(folder: &Path, taken: u64, max_size: u64) -> Option<String> {
    let room = free(folder).ok()?.saturating_add(taken);
    let (most, shown) = (max_size.saturating_add(BEYOND_MAX_SIZE), folder.display());
    let has = format!("the file system of the spool {shown} has {} for it", in_mib(room));
    if room < LEAST_ROOM {
        Some(format!("{has}, and it needs at least {}; make room", in_mib(LEAST_ROOM)))
    } else if room < most {
        let take = in_mib(most);
        Some(format!("{has}, and it may take {take} while Kafka is away; make room or lower producer.spool.max_size"))
    } else {
        None
    }
}

fn in_mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

impl Writer {
    /// Removes segments whose events Kafka has all acknowledged. Only a mark that is on disk counts, else a crash
    /// would find them gone without knowing why. Returns whether any was removed.
    pub(super) fn drop_acknowledged(&mut self) -> bool {
        let mut is_any = false;
        while let Some(path) = self.acknowledged_segment() {
            crash_point!("unlink.begin");
            if !self.remove_segment(&path) {
                break;
            }
            is_any = true;
            crash_point!("unlink.done");
        }
        is_any
    }

    fn acknowledged_segment(&self) -> Option<PathBuf> {
        let state = self.shared.lock();
        let (_, closed) = state.segments.split_last()?;
        closed.first().filter(|segment| segment.last_seq <= self.mark.acked).map(|segment| segment.path.clone())
    }

    /// Removes a segment whose events are done with. One that cannot be removed still takes its room; the next batch tries
    /// again.
    pub(super) fn remove_segment(&mut self, path: &Path) -> bool {
        match fs::remove_file(path) {
            Err(error) if !files::is_missing(&error) && !path.is_dir() => {
                if !mem::replace(&mut self.cannot_remove, true) {
                    log::warn!("{} cannot be removed: {error}; it is tried again", path.display());
                }
                false
            }
            _ => {
                self.cannot_remove = false;
                self.shared.lock().segments.retain(|segment| segment.path != path);
                true
            }
        }
    }

    /// Gives back what Kafka has acknowledged, when the disk has no room for a batch. Returns whether that was anything.
    pub(super) fn make_room(&mut self) -> bool {
        if !matches!((self.lock.is_in_place(), self.tail.is_in_place()), (Ok(true), Ok(true))) {
            return false;
        }
        let mark = self.mark_up_to(self.next_seq - 1);
        if self.frees_segments(mark.acked) || (mark.acked >= self.mark.handed && mark.handed > self.mark.handed) {
            match self.tail.append_mark(&mark) {
                Ok(()) => {
                    self.mark = mark;
                    self.shared.publish(Vec::new(), mark.handed);
                }
                Err(error) => log::debug!("no mark can be written: {error}"),
            }
        }
        self.drop_acknowledged() || self.empty_tail(mark)
    }

    fn frees_segments(&self, acked: u64) -> bool {
        let state = self.shared.lock();
        state.segments.len() > 1 && (self.mark.acked + 1..=acked).contains(&state.segments[0].last_seq)
    }

    /// Empties the newest segment when Kafka has acknowledged all it holds: what is known of its numbers is in the mark and,
    /// should that be lost, in the identity's bound.
    fn empty_tail(&mut self, mark: Mark) -> bool {
        if mark.acked + 1 < self.next_seq || !self.tail.is_worth_emptying() {
            return false;
        }
        let since = mark.settled.or(self.identity.settled);
        match self.tail.empty(self.identity.producer_id, since, &mark) {
            Ok(bytes) => {
                if let Some(segment) = self.shared.lock().segments.last_mut() {
                    *segment = Segment { bytes, since, ..Segment::empty(segment.path.clone(), self.next_seq) };
                }
                self.mark = mark;
                true
            }
            Err(error) => {
                log::warn!("the newest segment of the spool {} cannot be emptied: {error}", self.folder.display());
                false
            }
        }
    }
}
