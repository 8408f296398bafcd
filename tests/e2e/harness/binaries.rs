//! The programs under test. `cargo test` does not build those of other packages; old ones would prove nothing.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What builds the programs with points to die at, as in the Makefile.
const FAILPOINTS: &str = "cargo build --workspace --features isitup-producer/failpoints,isitup-consumer/failpoints \
                          --bin isitup-producer-failpoints --bin isitup-consumer-failpoints";

/// A program of the workspace, which must be as new as its sources were when it was first asked for.
pub(crate) fn fresh(name: &str) -> PathBuf {
    static KNOWN: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_with(HashMap::new);
    if let Some(path) = known.get(name) {
        return path.clone();
    }
    let remedy = if name.ends_with("-failpoints") { FAILPOINTS } else { "cargo build --workspace" };
    let path = isitup_dev::binary(name).unwrap_or_else(|error| panic!("{error}; here: `{remedy}`"));
    if let Some(source) = newer_source(&path) {
        panic!("{} is older than {source}: run `{remedy}`", path.display());
    }
    known.insert(name.to_owned(), path.clone());
    path
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A source that changed since the program was built. Cargo lists them beside it, in the manner of make.
fn newer_source(program: &Path) -> Option<String> {
    let built = fs::metadata(program).ok()?.modified().ok()?;
    let list = fs::read_to_string(program.with_extension("d")).ok()?;
    let (_, sources) = list.split_once(": ")?;
    let is_newer = |source: &&str| fs::metadata(source).and_then(|meta| meta.modified()).is_ok_and(|time| time > built);
    sources.split_whitespace().find(is_newer).map(str::to_owned)
}
