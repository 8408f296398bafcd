//! The programs of the release before: given by `ISITUP_TEST_OLD_BIN`, or built from its commit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::harness::{Lane, Pipeline, Service, command_of};

/// The commit of the release before.
const COMMIT: &str = "0cdd31a7";

/// A release's programs.
#[derive(Clone)]
pub(super) struct Release {
    folder: PathBuf,
}

impl Release {
    /// The one before, built where need be, which takes some minutes the first time. None where it knows no client for the
    /// Kafka that the tests are run on, which is said.
    pub(super) fn before() -> Option<Self> {
        if !Lane::current().is_for_kafka_rust() {
            eprintln!(
                "{COMMIT} speaks with Kafka up to 3.9, in plaintext: it is run beside this release on that lane only"
            );
            return None;
        }
        // One test builds, the others wait for it.
        static BUILT: Mutex<Option<Release>> = Mutex::new(None);
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        let before = built.get_or_insert_with(|| match std::env::var_os("ISITUP_TEST_OLD_BIN") {
            Some(folder) => Self { folder: folder.into() },
            None => Self { folder: build() },
        });
        Some(before.clone())
    }

    /// Starts one of its programs with the configuration of `pipeline`.
    pub(super) fn start(&self, pipeline: &Pipeline<'_>, program: &str, args: &[&str]) -> Service {
        Service::start(&format!("the old {program}"), self.command(pipeline, program, args))
    }

    /// Starts its producer, writing Avro.
    pub(super) fn start_with_avro(&self, pipeline: &Pipeline<'_>) -> Service {
        let mut command = self.command(pipeline, "isitup-producer", &[]);
        command.env("ISITUP__KAFKA__FORMAT", "avro");
        Service::start("the old producer of avro", command)
    }

    pub(super) fn command(&self, pipeline: &Pipeline<'_>, program: &str, args: &[&str]) -> Command {
        let mut command = command_of(&self.folder.join(program));
        command.arg("--config").arg(pipeline.write_config()).args(args).env("ISITUP__KAFKA__CLIENT", "kafka-rust");
        // It may know no other.
        command.env("ISITUP__KAFKA__FORMAT", "json");
        command
    }
}

/// Its sources are unpacked below the system's temporary folder and built there, to be found again by the next run.
fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = std::env::temp_dir().join(format!("isitup-release-{COMMIT}"));
    let programs = folder.join("target/debug");
    let is_built = folder.join("is-built");
    if is_built.exists() {
        return programs;
    }
    // A build that was cut off goes on.
    fs::create_dir_all(&folder).unwrap();
    let archive = folder.join("sources.tar");
    let git = Command::new("git").arg("-C").arg(root).args(["archive", "--output"]).arg(&archive).arg(COMMIT).output();
    let git = git.unwrap();
    assert!(
        git.status.success(),
        "no commit {COMMIT}, as in a shallow clone: {}",
        String::from_utf8_lossy(&git.stderr)
    );
    run(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&folder));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--package", "isitup-producer", "--package", "isitup-consumer"]);
    run(cargo.current_dir(&folder).env("CARGO_TARGET_DIR", folder.join("target")).stdin(Stdio::null()));
    fs::write(is_built, "").unwrap();
    programs
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
