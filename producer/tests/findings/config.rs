//! Reads bytes as a configuration, and looks at what came of it.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use isitup_producer::config::Settings;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

/// Reads `input` as the configuration file.
pub(crate) fn check(input: &[u8]) {
    let file: PathBuf = FOLDER.path().join("config.yml");
    fs::write(&file, input).unwrap();
    match Settings::load(Some(&file)) {
        Ok(settings) => assert_is_checked(&settings, &file),
        Err(problems) => {
            assert!(!problems.0.is_empty());
            for problem in &problems.0 {
                assert!(!problem.origin.is_empty() && !problem.message.is_empty(), "{problem:?}");
            }
        }
    }
}

fn assert_is_checked(settings: &Settings, file: &std::path::Path) {
    let names: HashSet<&str> = settings.sites.iter().map(|site| &*site.name).collect();
    assert_eq!(names.len(), settings.sites.len());
    assert!(!names.is_empty());
    for site in &settings.sites {
        assert!(!site.name.trim().is_empty());
        assert!(!site.settings.interval.is_zero() && !site.settings.timeout.is_zero());
        assert!(!site.shown_url.contains("s3cret"), "{site:?}");
    }
    let again = Settings::load(Some(file)).unwrap();
    assert_eq!(settings.config_hash, again.config_hash);
    assert!(settings.sites.iter().zip(&again.sites).all(|(one, other)| one.is_same(other)));
}
