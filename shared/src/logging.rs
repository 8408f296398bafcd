//! Log lines on standard error: one readable line, or one JSON object a line.

use std::io::Write;

use env_logger::{Builder, WriteStyle};
use log::LevelFilter;

use crate::config::{LogConfig, LogFormat};
use crate::time::UtcTime;

/// All of our crates.
const OURS: &str = "isitup";
/// Libraries that are heard, and from a warning on: what they say below that holds URLs, headers, cookies and statements
/// with passwords. All others are silent: what they cannot do comes up as an error where they are called.
const HEARD: [&str; 5] = ["kafka", "rustls", "tokio_postgres", "r2d2", "refinery_core"];

/// Starts logging. Later calls change nothing, so tests may call it often.
pub fn init(config: LogConfig) {
    let mut builder = builder(config.level);
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

/// Logs what is ours from `level` on, and little of what is not.
fn builder(level: LevelFilter) -> Builder {
    let mut builder = Builder::new();
    builder.filter_level(LevelFilter::Off).filter_module(OURS, level);
    for library in HEARD {
        builder.filter_module(library, level.min(LevelFilter::Warn));
    }
    builder
}

#[cfg(test)]
mod tests {
    use log::{Level, Log, MetadataBuilder};

    use super::*;

    #[test]
    fn libraries_are_silent_below_a_warning_at_any_level() {
        for level in [LevelFilter::Trace, LevelFilter::Debug, LevelFilter::Info, LevelFilter::Error] {
            let logger = builder(level).build();
            let is_logged =
                |target: &str, at: Level| logger.enabled(&MetadataBuilder::new().target(target).level(at).build());
            for ours in ["isitup_producer::checker", "isitup_shared", "isitup_consumer_failpoints"] {
                assert!(is_logged(ours, level.to_level().unwrap()), "{ours} at {level}");
            }
            let libraries = [
                "cookie_store::cookie_store",
                "reqwest::connect",
                "hyper_util::client",
                "hyper::proto",
                "h2::client",
                "rustls::client",
                "kafka::client",
                "tracing::span",
                "tokio_postgres::connection",
                "postgres",
                "mio",
                "hickory_proto",
                "want",
                "config",
                "isitu",
            ];
            for library in libraries {
                for at in [Level::Info, Level::Debug, Level::Trace] {
                    assert!(!is_logged(library, at), "{library} at {level}");
                }
            }
            assert!(!is_logged("reqwest", Level::Error) && !is_logged("cookie_store", Level::Warn));
            assert_eq!(is_logged("kafka::client", Level::Warn), level >= LevelFilter::Warn);
        }
    }
}
