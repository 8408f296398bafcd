//! `check-config --connect`: whether what the producer needs beside its configuration is there.

use std::fs;
use std::path::Path;

use isitup_shared::kafka;
use isitup_shared::prerequisites::Prerequisites;

use crate::config::Settings;
use crate::spool;

/// Looks at all of it.
pub(super) fn look(settings: &Settings) -> Prerequisites {
    let mut needed = Prerequisites::new();
    needed.note("spool", try_folder(&settings.producer.spool.path, settings.producer.spool.max_size));
    needed.note("kafka", kafka::try_sending(&settings.kafka));
    needed
}

/// Tries to write a file there, and says what is amiss with the folder and its room. A producer that runs meanwhile is not
/// disturbed.
fn try_folder(path: &Path, max_size: u64) -> Result<String, String> {
    let shown = path.display().to_string();
    let refused = |error: std::io::Error| {
        format!(
            "producer.spool.path {shown:?} cannot be written: {error}; let the producer's user own it, or set another"
        )
    };
    spool::create_folder(path).map_err(refused)?;
    let probe = path.join(format!(".check-config-{}", std::process::id()));
    fs::write(&probe, b"isitup").and_then(|()| fs::remove_file(&probe)).map_err(refused)?;
    let warnings =
        spool::warnings(path, max_size).iter().map(|warning| format!("; warning: {warning}")).collect::<String>();
    Ok(format!("{shown} can be written{warnings}"))
}
