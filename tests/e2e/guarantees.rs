//! `docs/GUARANTEES.md` promises nothing without a test, and names none that is not there.

use std::fs;
use std::path::{Path, PathBuf};

/// All that people may be sent to.
const SOURCES: [&str; 4] = ["tests/e2e", "producer/src", "producer/tests", "consumer/src"];
const MOST_LINES: usize = 120;

#[test]
fn each_guarantee_names_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(root.join("docs/GUARANTEES.md")).unwrap();
    assert!(page.lines().count() < MOST_LINES, "the page is to be read at one sitting");
    let sources: String = SOURCES.iter().flat_map(|folder| rust_files(&root.join(folder))).collect();
    let is_test = |name: &str| sources.contains(&format!("fn {name}()"));
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(|word| word.contains("::")).collect();
    let missing: Vec<&&str> = named.iter().filter(|name| !is_test(name.rsplit("::").next().unwrap())).collect();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");

    // Every row of the table but its head and the line below it.
    let rows =
        page.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---") && !line.contains("Shown by"));
    let unshown: Vec<&str> = rows.filter(|row| !row.contains("::")).collect();
    assert!(unshown.is_empty() && named.len() > 20, "promised, and shown by no test: {unshown:#?}");
}

fn rust_files(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.push(fs::read_to_string(path).unwrap());
        }
    }
    texts
}
