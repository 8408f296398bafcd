//! The tarball of `make dist`, and the systemd units in it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::harness::{fresh, repository, units};

const PROGRAMS: [&str; 2] = ["isitup-producer", "isitup-consumer"];

/// What `packaging/dist` makes of the programs under test, unpacked.
struct Unpacked {
    _folder: TempDir,
    root: PathBuf,
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}:\n{out}\n{err}", output.status);
    output
}

impl Unpacked {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let programs = PROGRAMS.map(fresh);
        let target = programs[0].ancestors().nth(2).unwrap();
        let mut dist = Command::new(repository().join("packaging/dist"));
        dist.args(["1.2.3", "dev"]).env("BUILT", "yes").env("LEVEL", "1").env("ISITUP_CONFIG", "/nowhere");
        run(dist.env("TARGET", target).env("OUT", folder.path()));
        run(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(folder.path()));
        let tarball = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let tarball = tarball.into_iter().find(|path| path.extension().is_some_and(|end| end == "gz")).unwrap();
        run(Command::new("tar").arg("-xzf").arg(&tarball).current_dir(folder.path()));
        let root = PathBuf::from(tarball.to_str().unwrap().strip_suffix(".tar.gz").unwrap());
        Self { root, _folder: folder }
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

#[test]
fn the_tarball_is_whole_and_its_programs_manual_pages_and_completions_belong_together() {
    let unpacked = Unpacked::new();
    run(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&unpacked.root));
    for program in PROGRAMS {
        let said = run(Command::new(unpacked.root.join("bin").join(program)).arg("--version"));
        assert!(String::from_utf8_lossy(&said.stdout).starts_with(program));
        let page = unpacked.read(&format!("share/man/man1/{program}.1"));
        assert!(page.contains("ISITUP__") && page.contains("Exit codes") && !page.contains("/nowhere"), "{page}");
        assert!(unpacked.read(&format!("share/man/man1/{program}-health.1")).contains("alive"));
        for completions in [
            format!("share/bash-completion/completions/{program}"),
            format!("share/zsh/site-functions/_{program}"),
            format!("share/fish/vendor_completions.d/{program}.fish"),
        ] {
            assert!(unpacked.read(&completions).contains("log-level"), "{completions}");
        }
    }
    for example in ["config.prod.yml", "config.dev.yml", "README.md", "LICENSE", "SECURITY.md"] {
        assert!(!unpacked.read(&format!("share/doc/isitup/{example}")).is_empty());
    }
    assert!(!unpacked.root.join("share/man/man1/isitup-producer-manual.1").exists(), "it is for us alone");
}

#[test]
fn the_systemd_units_pass_their_verification_and_give_no_more_rights_than_needed() {
    let folder = tempfile::tempdir().unwrap();
    let units = PROGRAMS.map(|program| units::installed(program, folder.path()));
    let said = run(Command::new("systemd-analyze").arg("verify").args(&units));
    assert!(said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
    // 0 is the best mark, 100 the worst, and 96 what a unit without any protection has.
    run(Command::new("systemd-analyze").args(["security", "--offline=true", "--threshold=15"]).args(&units));
}

#[test]
fn the_dockerfiles_are_the_same_up_to_their_last_stage_so_that_one_build_serves_all() {
    let stages = |path: &str| -> Vec<String> {
        let text = fs::read_to_string(repository().join(path)).unwrap();
        let (common, last) = text.rsplit_once("\nFROM base\n").unwrap_or_else(|| panic!("{path} has no last stage"));
        assert!(last.contains("USER 10001:10001") && last.contains("HEALTHCHECK"), "{path}");
        // But for the comments, and the programs that are built when nobody says which.
        let is_common = |line: &&str| !line.starts_with(['#', '\n']) && !line.starts_with("ARG PACKAGES=");
        common.lines().filter(is_common).map(str::to_owned).collect()
    };
    let first = stages("producer/Dockerfile");
    assert!(first.iter().any(|line| line.contains("cargo build --locked")), "{first:?}");
    for other in ["consumer/Dockerfile", "packaging/Dockerfile", "dev/Dockerfile"] {
        assert_eq!(stages(other), first, "{other}");
    }
}
