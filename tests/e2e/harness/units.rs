//! Our systemd units, and what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::binaries::{fresh, repository};

/// The unit of a program.
pub(crate) fn text(program: &str) -> String {
    fs::read_to_string(repository().join(format!("packaging/systemd/{program}.service"))).unwrap()
}

/// The unit of `program` as it is, in `folder`, but for the place of the program: it is ours, not the one below /usr/local.
pub(crate) fn installed(program: &str, folder: &std::path::Path) -> PathBuf {
    let (unit, here) = (text(program), fresh(program));
    let place = format!("/usr/local/bin/{program}");
    assert!(unit.contains(&place), "{unit}");
    let path = folder.join(format!("{program}.service"));
    fs::write(&path, unit.replace(&place, here.to_str().unwrap())).unwrap();
    path
}

/// What the unit of `program` allows it to ask of the system.
pub(crate) fn allowed_calls(program: &str) -> BTreeSet<String> {
    let groups = groups();
    let mut allowed = BTreeSet::new();
    for filter in text(program).lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let (names, is_allowed) = filter.strip_prefix('~').map_or((filter, true), |names| (names, false));
        for name in names.split_whitespace() {
            let calls = calls_of(name, &groups);
            if is_allowed {
                allowed.extend(calls);
            } else {
                allowed.retain(|call| !calls.contains(call));
            }
        }
    }
    allowed
}

/// The groups of calls as systemd has them.
fn groups() -> BTreeMap<String, Vec<String>> {
    let said = Command::new("systemd-analyze").arg("syscall-filter").output().expect("systemd-analyze (`make deps`)");
    let (mut groups, mut group) = (BTreeMap::<String, Vec<String>>::new(), String::new());
    for line in String::from_utf8_lossy(&said.stdout).lines() {
        let name = line.trim();
        if line.starts_with('@') {
            group = name.to_owned();
        } else if line.starts_with(' ') && !name.starts_with('#') {
            groups.entry(group.clone()).or_default().push(name.to_owned());
        }
    }
    groups
}

/// The calls of a group, or the one of that name.
fn calls_of(name: &str, groups: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    match groups.get(name) {
        Some(names) => names.iter().flat_map(|name| calls_of(name, groups)).collect(),
        None => BTreeSet::from([name.to_owned()]),
    }
}
