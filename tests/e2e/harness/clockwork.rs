//! A wall clock that a test sets for one service, by `libfaketime`. Its monotonic clock stays the machine's.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

/// A wall clock, at first the machine's.
pub(crate) struct Clockwork {
    folder: TempDir,
    /// How far it is ahead, in microseconds.
    ahead_us: Mutex<i64>,
}

impl Clockwork {
    pub(crate) fn new() -> Self {
        let clockwork = Self { folder: tempfile::tempdir().unwrap(), ahead_us: Mutex::new(0) };
        clockwork.step(0);
        clockwork
    }

    /// `command`, to go by this clock.
    pub(crate) fn drives(&self, mut command: Command) -> Command {
        command.env("LD_PRELOAD", library()).env("FAKETIME_TIMESTAMP_FILE", self.file());
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command
    }

    /// Steps the clock by so many microseconds, back where they are negative. Services that it drives see it at once.
    pub(crate) fn step(&self, by_us: i64) {
        let mut ahead_us = self.ahead_us.lock().unwrap_or_else(PoisonError::into_inner);
        *ahead_us += by_us;
        let sign = if *ahead_us < 0 { '-' } else { '+' };
        let (seconds, micros) = (ahead_us.unsigned_abs() / 1_000_000, ahead_us.unsigned_abs() % 1_000_000);
        // Renamed into place, as a service reads it each time that it asks what time it is.
        let written = self.folder.path().join("ahead.new");
        fs::write(&written, format!("{sign}{seconds}.{micros:06}\n")).unwrap();
        fs::rename(written, self.file()).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ahead")
    }
}

/// The one for programs with threads. With the plain one of 0.9.10 a thread now and then reads the machine's time, while another
/// reads the file into the buffer that they share: eight threads got 514 wrong readings in 400,000.
fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let candidates = folders.chain(["/usr/lib".into(), "/usr/lib64".into(), "/usr/local/lib".into()]);
    candidates.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|library| library.exists()).expect(
        "libfaketime is missing, so that no clock can be stepped: `make deps` installs it (Debian: libfaketime)",
    )
}
