//! Keeping the spool's folder while the producer runs, whatever somebody does to its files.

use std::io;

use isitup_shared::event::SeqRange;

use super::files;
use super::lock::Lock;
use super::segment;
use super::writer::Writer;

impl Writer {
    /// Sets aside a segment that somebody put where the next one of this spool goes.
    pub(super) fn clear_way(&self) -> io::Result<()> {
        let path = segment::path(&self.folder, self.next_seq);
        let is_ours = self.shared.lock().segments.iter().any(|segment| segment.path == path);
        if !is_ours && path.symlink_metadata().is_ok() { files::set_aside(&path) } else { Ok(()) }
    }

    /// Makes sure that the folder is there and locked by this producer, and says who it is, whatever somebody did to its
    /// files. The producer keeps its name and its numbers; what is lost shows when it is to be read back.
    pub(super) fn hold_folder(&mut self) -> io::Result<()> {
        if !self.lock.is_in_place()? {
            let is_gone = !self.folder.is_dir();
            files::create_folder(&self.folder)?;
            // Another producer that holds the new lock is respected: this one waits.
            self.lock = Lock::take(&self.folder).map_err(io::Error::other)?;
            let folder = self.folder.display();
            if is_gone {
                log::error!("the spool {folder} was taken away; it begins anew with what is in memory");
            } else {
                log::error!("the lock of the spool {folder} was taken away; it is held again");
            }
        }
        if !self.identity.is_in_place()? {
            let others = self.identity.restore(&self.folder)?;
            log::error!("the identity of the spool {} was taken away; it is written again", self.folder.display());
            if let Some(last) = others.filter(|last| *last >= self.next_seq) {
                let first = self.skipped.map_or(self.next_seq, |skipped| skipped.first);
                self.skipped = Some(SeqRange { first, last });
                self.next_seq = last + 1;
                log::error!("another producer may have used the numbers up to {last}: this one goes on behind them");
            }
        }
        Ok(())
    }
}
