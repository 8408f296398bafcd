//! `docs/GUARANTEES.md` promises nothing without a test, and names none that is not there; nor do the patches of
//! `tests/protections`, which take out what is there.

use std::fs;
use std::path::{Path, PathBuf};

/// All that people may be sent to.
const SOURCES: [&str; 6] =
    ["tests/e2e", "producer/src", "producer/tests", "consumer/src", "shared/src", "shared/tests"];
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

#[test]
fn each_protection_that_a_patch_takes_out_is_there_and_so_are_the_tests_that_see_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let sources: String = SOURCES.iter().flat_map(|folder| rust_files(&root.join(folder))).collect();
    let files = fs::read_dir(root.join("tests/protections")).unwrap().map(|entry| entry.unwrap().path());
    let patches: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "patch")).collect();
    assert!(patches.len() > 40);
    for path in patches {
        let (patch, name) = (fs::read_to_string(&path).unwrap(), path.display());
        let tests: Vec<&str> = patch.lines().filter_map(|line| line.strip_prefix("Test: ")).collect();
        let is_there =
            |test: &&str| test.rsplit([':', ' ']).next().is_some_and(|test| sources.contains(&format!("fn {test}()")));
        assert!(!tests.is_empty() && tests.iter().all(is_there), "{name} names {tests:?}");
        for part in patch.split("\n+++ b/").skip(1) {
            let (file, hunks) = part.split_once('\n').unwrap();
            let code = fs::read_to_string(root.join(file)).unwrap();
            for hunk in hunks.split("\n@@ ").map(|hunk| hunk.split("\ndiff --git").next().unwrap()) {
                let before = hunk.lines().skip(1).filter_map(|line| line.strip_prefix([' ', '-']));
                let before = before.collect::<Vec<_>>().join("\n");
                assert!(
                    code.contains(&before),
                    "{name} does not fit {file} any more: bring it along, there is no\n{before}"
                );
            }
        }
    }
}

#[test]
fn each_test_that_is_left_out_with_librdkafka_is_there_and_has_a_reason_above_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let list = fs::read_to_string(root.join("tests/not-by-librdkafka")).unwrap();
    let sources: String = rust_files(&root.join("tests/e2e")).concat();
    let tests: Vec<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
    let gone: Vec<&&str> =
        tests.iter().filter(|test| !sources.contains(&format!("fn {}()", test.rsplit(':').next().unwrap()))).collect();
    assert!(gone.is_empty(), "no such tests: {gone:?}");
    assert!(!tests.is_empty() && list.lines().nth(1).is_some_and(|line| line.starts_with("# ")), "{list}");
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
