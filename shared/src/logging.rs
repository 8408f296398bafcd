//! Log lines on standard error: one readable line, or one JSON object a line.

use std::io::Write;

use env_logger::{Builder, WriteStyle};
use log::LevelFilter;

use crate::config::{LogConfig, LogFormat};
use crate::time::UtcTime;

/// Libraries whose own chatter below a warning says nothing about isitup.
const QUIET: [&str; 7] = ["kafka", "reqwest", "hyper", "hyper_util", "h2", "rustls", "refinery_core"];
/// This one writes whole statements, also those that give a role its password.
const NEVER_CHATTY: &str = "tokio_postgres";

/// Starts logging. Later calls change nothing, so tests may call it often.
pub fn init(config: LogConfig) {
    let mut builder = Builder::new();
    builder.filter_level(config.level);
    if config.level < LevelFilter::Trace {
        for library in QUIET {
            builder.filter_module(library, config.level.min(LevelFilter::Warn));
        }
    }
    builder.filter_module(NEVER_CHATTY, config.level.min(LevelFilter::Warn));
    match config.format {
        LogFormat::Text => builder.format_timestamp_millis().format_target(false),
        LogFormat::Json => builder.write_style(WriteStyle::Never).format(|out, record| {
            let line = serde_json::json!({
                "time": UtcTime::now(),
                "level": record.level().as_str(),
                "target": record.target(),
                "message": record.args().to_string(),
            });
            writeln!(out, "{line}")
        }),
    };
    // A second start is refused by `log`, which is what is wanted.
    let _ = builder.try_init();
}
