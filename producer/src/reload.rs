//! Takes up changes of the configuration while the producer runs: on SIGHUP, and when one of its files changes.
//!
//! Files are looked at once a second. That sees what notifications miss: editors that replace a file, mounted config maps
//! whose symbolic links move, network file systems.

use std::fs;
use std::io;
use std::mem;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use isitup_shared::retry::Retry;
use isitup_shared::shutdown::Shutdown;
use isitup_shared::supervision;

use crate::capacity::Capacity;
use crate::config::Settings;
use crate::dispatcher::Reload;
use crate::metrics::Metrics;

const TICK: Duration = Duration::from_secs(1);

/// Pauses between tries where something was away that the new configuration needs, such as a vault.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Watches the configuration of a producer.
pub struct Watch {
    file: Option<PathBuf>,
    /// The workers that were configured at the start.
    workers: usize,
    /// What was read last, without the sites, and what it was read from.
    settings: Settings,
    seen: State,
    /// Set by the signal.
    is_asked: Arc<AtomicBool>,
    reloads: Sender<Reload>,
    metrics: Metrics,
}

impl Watch {
    /// Begins to watch `file`, from which `settings` were read, until `shutdown`. A SIGHUP sets `is_asked`, and may have done so
    /// while they were read. Gives what changes.
    ///
    /// # Errors
    /// When the thread cannot be set up.
    pub fn start(
        file: Option<PathBuf>,
        settings: Settings,
        metrics: Metrics,
        is_asked: Arc<AtomicBool>,
        shutdown: &Shutdown,
    ) -> io::Result<Receiver<Reload>> {
        let (reloads, receiver) = bounded(1);
        let seen = State::of(file.as_deref(), &settings.sources);
        let workers = settings.producer.workers;
        let mut watch = Self { file, workers, settings, seen, is_asked, reloads, metrics };
        let shutdown = shutdown.clone();
        thread::Builder::new().name("configuration".into()).spawn(move || watch.run(&shutdown))?;
        Ok(receiver)
    }

    fn run(&mut self, shutdown: &Shutdown) {
        let mut before = self.seen.clone();
        let (mut retry, mut again_at) = (Retry::new(FIRST_PAUSE, LONGEST_PAUSE), None);
        while !shutdown.wait(TICK) {
            let now = State::of(self.file.as_deref(), &self.settings.sources);
            let is_asked = self.is_asked.swap(false, Ordering::AcqRel);
            // A file that changed within this second may be half written.
            let is_changed = now != self.seen && now == before;
            before.clone_from(&now);
            let is_due = again_at.is_some_and(|at| Instant::now() >= at);
            if is_asked || is_changed {
                retry.reset();
            }
            if is_asked || is_changed || is_due {
                self.seen = now;
                let is_settled = supervision::reloading(|| self.reload());
                again_at = (!is_settled).then(|| Instant::now() + retry.next_pause());
                // The new settings may depend on other files.
                self.seen = State::of(self.file.as_deref(), &self.settings.sources);
                before.clone_from(&self.seen);
            }
        }
    }

    /// Whether the files as they are now need no other try.
    fn reload(&mut self) -> bool {
        match Settings::load(self.file.as_deref()) {
            Ok(mut settings) => {
                self.tell_what_must_wait(&settings);
                self.metrics.count_reload(true);
                let capacity = Capacity::of(self.workers, &settings.sites);
                capacity.shortages.iter().for_each(|shortage| log::warn!("{shortage}"));
                let sites = mem::take(&mut settings.sites);
                let reload = Reload { sites, config_hash: settings.config_hash.clone(), workers: capacity.workers };
                // The dispatcher takes it within a second; when it is gone, so is the need.
                let _ = self.reloads.send(reload);
                self.settings = settings;
                true
            }
            Err(problems) => {
                self.metrics.count_reload(false);
                let is_passing = problems.are_passing();
                let lines: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
                let next = if is_passing { "; that is tried again" } else { "" };
                log::error!("the changed configuration is refused, the one before goes on: {}{next}", lines.join("; "));
                !is_passing
            }
        }
    }

    /// What is not about sites is read once, at the start.
    fn tell_what_must_wait(&self, new: &Settings) {
        let old = &self.settings;
        let changed = [
            ("log", old.log != new.log),
            ("kafka", old.kafka != new.kafka),
            ("producer", old.producer != new.producer),
        ];
        for (section, _) in changed.iter().filter(|(_, is_changed)| *is_changed) {
            log::warn!("`{section}` has changed: that needs a restart; the sites are taken up now");
        }
    }
}

/// What the files of a configuration are like: another state means that one of them may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State(Vec<FileState>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct FileState {
    path: PathBuf,
    /// Where its symbolic links lead; device, inode, size, and time of the last change in seconds and nanoseconds.
    found: Option<(PathBuf, u64, u64, u64, i64, i64)>,
}

impl State {
    /// The state of `file` and of `sources`, which may be patterns.
    fn of(file: Option<&Path>, sources: &[PathBuf]) -> Self {
        let mut paths: Vec<PathBuf> = file.map(Path::to_owned).into_iter().collect();
        for source in sources {
            let matching = glob::glob(&source.to_string_lossy()).map(|found| found.filter_map(Result::ok).collect());
            let matching: Vec<PathBuf> = matching.unwrap_or_default();
            // A file that is not there, or whose name only looks like a pattern, is looked at as it is.
            if matching.is_empty() {
                paths.push(source.clone());
            }
            paths.extend(matching);
        }
        Self(paths.into_iter().map(FileState::of).collect())
    }
}

impl FileState {
    fn of(path: PathBuf) -> Self {
        let found = fs::canonicalize(&path).and_then(|target| {
            let metadata = fs::metadata(&target)?;
            let place = (metadata.dev(), metadata.ino(), metadata.len());
            Ok((target, place.0, place.1, place.2, metadata.mtime(), metadata.mtime_nsec()))
        });
        Self { path, found: found.ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_replaced_vanished_or_redirected_file_shows_and_a_new_one_of_a_pattern_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["config.yml", "a.txt", "v1", "v2"] {
            fs::write(path(name), "one").unwrap();
        }
        std::os::unix::fs::symlink("v1", path("link")).unwrap();
        let sources = [path("*.txt"), path("link"), path("missing")];
        let state = || State::of(Some(&path("config.yml")), &sources);
        let mut last = state();
        assert_eq!(last, state());
        let mut shows = |what: &str| {
            let now = state();
            assert_ne!(now, last, "{what}");
            last = now;
        };
        fs::write(path("config.yml"), "three").unwrap();
        shows("a file that grew");
        fs::write(path("new"), "three").unwrap();
        fs::rename(path("new"), path("config.yml")).unwrap();
        shows("a file that was replaced");
        fs::write(path("b.txt"), "").unwrap();
        shows("a new file of the pattern");
        fs::remove_file(path("link")).unwrap();
        std::os::unix::fs::symlink("v2", path("link")).unwrap();
        shows("a link that leads elsewhere");
        fs::write(path("missing"), "").unwrap();
        shows("a file that came");
        fs::remove_file(path("a.txt")).unwrap();
        shows("a file that went");
    }
}
