//! What a release left: the messages of a topic, the database that its consumer filled from them, the statements that its
//! commands ran, and the spool of a producer that was killed while Kafka was away.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use postgres::{Client, NoTls};
use serde_json::{Value, json};

use crate::harness::Pipeline;

/// Stands in the files for the name of the pipeline, which is that of its topic and its schema.
pub(super) const PIPELINE: &str = "the_pipeline";

/// One release.
pub(super) struct Fixture {
    folder: PathBuf,
}

/// All releases of which something is kept, oldest first.
pub(super) fn releases() -> Vec<Fixture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("upgrade");
    let mut folders: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("topic.jsonl").exists())
        .collect();
    folders.sort();
    assert!(!folders.is_empty(), "tests/upgrade keeps nothing of any release");
    folders.into_iter().map(Fixture::at).collect()
}

impl Fixture {
    pub(super) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The release.
    pub(super) fn name(&self) -> String {
        self.folder.file_name().unwrap().to_string_lossy().into_owned()
    }

    fn text(&self, name: &str) -> String {
        let path = self.folder.join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The messages with their partitions, in the order of their offsets.
    pub(super) fn topic(&self) -> Vec<(i32, Vec<u8>)> {
        let message = |line: &str| {
            let kept: Value = serde_json::from_str(line).unwrap();
            let bytes = kept["text"].as_str().map(|text| text.as_bytes().to_vec());
            let partition = i32::try_from(kept["partition"].as_i64().unwrap()).unwrap();
            (partition, bytes.unwrap_or_else(|| from_hex(kept["hex"].as_str().unwrap())))
        };
        self.text("topic.jsonl").lines().map(message).collect()
    }

    /// Keeps the messages of a topic.
    pub(super) fn keep_topic(&self, messages: &[(i32, Vec<u8>)]) {
        let line = |(partition, bytes): &(i32, Vec<u8>)| {
            let kept = match std::str::from_utf8(bytes) {
                Ok(text) => json!({"partition": partition, "text": text}),
                Err(_) => json!({"partition": partition, "hex": to_hex(bytes)}),
            };
            format!("{kept}\n")
        };
        fs::write(self.folder.join("topic.jsonl"), messages.iter().map(line).collect::<String>()).unwrap();
    }

    /// Whether it has a database.
    pub(super) fn has_database(&self) -> bool {
        self.folder.join("database.sql").exists()
    }

    /// Makes the database of the release that of `pipeline`.
    pub(super) fn restore_database(&self, pipeline: &Pipeline<'_>) {
        let sql = self.text("database.sql").replace(PIPELINE, pipeline.name());
        Client::connect(pipeline.database_url(), NoTls).unwrap().batch_execute(&sql).unwrap();
    }

    /// Keeps the schema of `pipeline` with all that is in it, without what belongs to the server that it is on.
    pub(super) fn keep_database(&self, pipeline: &Pipeline<'_>) {
        let dump = Command::new("pg_dump")
            .args(["--inserts", "--rows-per-insert=100", "--no-owner", "--no-privileges", "--no-comments", "--schema"])
            .args([pipeline.name(), pipeline.database_url()])
            .output()
            .unwrap();
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        let is_ours = |line: &&str| {
            let is_setting = line.starts_with("SET ") && !line.contains("check_function_bodies");
            !(is_setting || line.is_empty() || line.starts_with("--") || line.starts_with('\\'))
        };
        let dump = String::from_utf8(dump.stdout).unwrap();
        let lines: String = dump.lines().filter(is_ours).map(|line| format!("{line}\n")).collect();
        fs::write(self.folder.join("database.sql"), lines.replace(pipeline.name(), PIPELINE)).unwrap();
    }

    /// The statements that the release's commands ran.
    pub(super) fn statements(&self, pipeline: &Pipeline<'_>) -> Vec<String> {
        let text = self.text("statements.sql").replace(PIPELINE, pipeline.name());
        text.split(";\n\n").map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect()
    }

    /// Keeps each statement once that a server's log tells.
    pub(super) fn keep_statements(&self, log: &str, pipeline: &Pipeline<'_>) {
        let mut found: Vec<String> = Vec::new();
        let mut is_open = false;
        for line in log.lines() {
            match (line.split_once("LOG:  execute "), line.strip_prefix('\t')) {
                (Some((_, statement)), _) => {
                    found.push(statement.split_once(": ").map_or("", |(_, sql)| sql).to_owned());
                    is_open = true;
                }
                (None, Some(more)) if is_open => {
                    let last = found.last_mut().unwrap();
                    last.push('\n');
                    last.push_str(more);
                }
                _ => is_open = false,
            }
        }
        found.sort();
        found.dedup();
        let text: String = found.iter().map(|statement| format!("{};\n\n", statement.trim())).collect();
        fs::write(self.folder.join("statements.sql"), text.replace(pipeline.name(), PIPELINE)).unwrap();
    }

    /// Puts the spool of the release into `folder`.
    pub(super) fn unpack_spool(&self, folder: &Path) {
        tar(&["-xzf".as_ref(), self.folder.join("spool.tar.gz").as_os_str(), "-C".as_ref(), folder.as_os_str()]);
    }

    /// Keeps the spool in `folder`. Its segments are mostly zeros.
    pub(super) fn keep_spool(&self, folder: &Path) {
        let parent = folder.parent().unwrap();
        let name = folder.file_name().unwrap();
        let archive = self.folder.join("spool.tar.gz");
        tar(&["-czf".as_ref(), archive.as_os_str(), "-C".as_ref(), parent.as_os_str(), name]);
    }
}

fn tar(args: &[&std::ffi::OsStr]) {
    assert!(Command::new("tar").args(args).status().unwrap().success(), "tar {args:?}");
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
