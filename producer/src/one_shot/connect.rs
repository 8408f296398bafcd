//! `check-config --connect`: whether what the producer needs beside its configuration is there.

use std::fs;
use std::path::Path;

use isitup_shared::kafka;
use isitup_shared::prerequisites::Prerequisites;

use crate::config::Settings;

/// Looks at all of it.
pub(super) fn look(settings: &Settings) -> Prerequisites {
    let mut needed = Prerequisites::new();
    needed.note("spool", try_folder(&settings.producer.spool.path));
    needed.note("kafka", kafka::try_sending(&settings.kafka));
    needed
}

/// Whether a file can be written there. A producer that runs meanwhile is not disturbed.
fn try_folder(path: &Path) -> Result<String, String> {
    let shown = path.display().to_string();
    let refused = |error: std::io::Error| {
        format!(
            "producer.spool.path {shown:?} cannot be written: {error}; let the producer's user own it, or set another"
        )
    };
    fs::create_dir_all(path).map_err(refused)?;
    let probe = path.join(format!(".check-config-{}", std::process::id()));
    fs::write(&probe, b"isitup").and_then(|()| fs::remove_file(&probe)).map_err(refused)?;
    Ok(format!("{shown} can be written"))
}
