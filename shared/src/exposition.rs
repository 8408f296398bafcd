//! The text of `/metrics`, in the format that is asked for: OpenMetrics 1.0, or Prometheus' text format 0.0.4 for all
//! who do not ask, as exporters do (<https://prometheus.io/docs/instrumenting/content_negotiation/>).
//!
//! The library writes OpenMetrics only. The older format differs in few things: a counter's `# HELP` and `# TYPE` name
//! the series with its `_total`, there is no `info`, no unit, no exemplar and no `# EOF`.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// A format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus' text format 0.0.4, which every tool reads.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Exposition {
    /// The format that the values of a request's `Accept` headers prefer.
    pub fn accepted<'a>(accept: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut open, mut text) = (0.0, 0.0);
        for range in accept.into_iter().flat_map(|value| value.split(',')) {
            let Some((kind, weight)) = media_range(range) else { continue };
            match &*kind {
                "application/openmetrics-text" => open = f32::max(open, weight),
                "text/plain" | "text/*" | "*/*" => text = f32::max(text, weight),
                _ => {}
            }
        }
        if open > 0.0 && open >= text { Self::OpenMetrics } else { Self::Text }
    }

    /// Its `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The metrics of `registry`.
    ///
    /// # Errors
    /// When a metric cannot be written, which none of ours does.
    pub fn render(self, registry: &Registry) -> Result<String, fmt::Error> {
        let mut open_metrics = String::new();
        encode(&mut open_metrics, registry)?;
        Ok(match self {
            Self::OpenMetrics => open_metrics,
            Self::Text => classic(&open_metrics),
        })
    }
}

/// The type of a media range in small letters, and its weight; `None` for a version of OpenMetrics that is not ours.
fn media_range(range: &str) -> Option<(String, f32)> {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next()?.to_ascii_lowercase();
    let mut weight = 1.0;
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "q" => weight = value.parse::<f32>().ok().filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(0.0),
            "version" if kind == "application/openmetrics-text" && !value.starts_with("1.") => return None,
            _ => {}
        }
    }
    Some((kind, weight))
}

/// OpenMetrics text as text of the format 0.0.4.
fn classic(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len() + 1024);
    // The library writes HELP, TYPE and UNIT of a family, then its series. HELP comes before the type is known.
    let mut help = None;
    for line in open_metrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("EOF" | "UNIT"), ..) => {}
            (Some("#"), Some("HELP"), Some(family), told) => help = Some((family, told.unwrap_or_default())),
            (Some("#"), Some("TYPE"), Some(family), Some(kind)) => {
                let (end, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    "stateset" => ("", "gauge"),
                    "gaugehistogram" => ("", "histogram"),
                    "unknown" => ("", "untyped"),
                    other => ("", other),
                };
                if let Some((_, told)) = help.take().filter(|(of, _)| *of == family) {
                    text.push_str(&format!("# HELP {family}{end} {}\n", plain_help(told)));
                }
                text.push_str(&format!("# TYPE {family}{end} {kind}\n"));
            }
            _ => {
                text.push_str(without_exemplar(line));
                text.push('\n');
            }
        }
    }
    text
}

/// OpenMetrics escapes quotation marks in help too, the older format only line breaks and backslashes.
fn plain_help(help: &str) -> String {
    help.replace("\\\"", "\"")
}

/// A series without what comes after its value as ` # {..} 1`.
fn without_exemplar(series: &str) -> &str {
    // A label's value may hold that too: what counts is what stands behind the labels.
    let after_labels = end_of_labels(series);
    let (labels, values) = series.split_at(after_labels);
    match values.split_once(" # ") {
        Some((value, _)) => &series[..labels.len() + value.len()],
        None => series,
    }
}

/// Where the labels of `series` end, quoted braces left aside.
fn end_of_labels(series: &str) -> usize {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, c) in series.char_indices() {
        match c {
            ' ' if !is_quoted && !series[..at].contains('{') => return at,
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '}' if !is_quoted => return at + 1,
            _ => {}
        }
    }
    series.len()
}

/// The lines of `text` that the format 0.0.4 does not have, or that come before their type; for tests.
pub fn broken_lines(text: &str) -> Vec<&str> {
    let mut types: BTreeMap<&str, &str> = BTreeMap::new();
    text.lines().filter(|line| !is_well_formed(line, &mut types)).collect()
}

fn is_well_formed<'a>(line: &'a str, types: &mut BTreeMap<&'a str, &'a str>) -> bool {
    if let Some(told) = line.strip_prefix("# HELP ") {
        return told.split_once(' ').is_some_and(|(family, told)| is_name(family) && !told.is_empty());
    }
    if let Some(told) = line.strip_prefix("# TYPE ") {
        let Some((family, kind)) = told.split_once(' ') else { return false };
        let is_kind = matches!(kind, "counter" | "gauge" | "histogram" | "summary" | "untyped");
        let is_named = is_name(family) && (kind == "counter") == family.ends_with("_total");
        return is_kind && is_named && types.insert(family, kind).is_none();
    }
    let name = line.split(['{', ' ']).next().unwrap_or_default();
    let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
    let is_typed = types.get(name).is_some_and(|kind| *kind != "histogram")
        || of_histogram.is_some_and(|family| types.get(family) == Some(&"histogram"));
    let value = line.get(end_of_labels(line)..).unwrap_or_default().strip_prefix(' ');
    is_name(name) && is_typed && value.is_some_and(|value| value.parse::<f64>().is_ok())
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_for_those_who_prefer_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                          application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                          text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let old_prometheus = "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, expected) in [
            ("", Exposition::Text),
            ("*/*", Exposition::Text),
            ("text/html,*/*;q=0.8", Exposition::Text),
            ("text/plain", Exposition::Text),
            ("application/json", Exposition::Text),
            (prometheus, Exposition::OpenMetrics),
            (old_prometheus, Exposition::Text),
            ("application/openmetrics-text", Exposition::OpenMetrics),
            ("Application/OpenMetrics-Text ; Q=0.5", Exposition::OpenMetrics),
            ("application/openmetrics-text;q=0", Exposition::Text),
            ("application/openmetrics-text;q=0.1,text/plain;q=0.9", Exposition::Text),
            ("application/openmetrics-text;version=\"1.0.0\"", Exposition::OpenMetrics),
            ("application/openmetrics-text;version=2.0.0", Exposition::Text),
        ] {
            assert_eq!(Exposition::accepted([accept]), expected, "{accept}");
        }
        assert_eq!(Exposition::accepted(["text/plain;q=0.1", "application/openmetrics-text"]), Exposition::OpenMetrics);
    }

    #[test]
    fn the_older_format_has_no_words_of_the_newer() {
        let open_metrics = "# HELP a_build Version \\\"x\\\" and \\\\n.\n# TYPE a_build info\na_build_info{version=\"0 # {1\"} 1\n\
                            # HELP a_checks Checks.\n# TYPE a_checks counter\na_checks_total{o=\"}\\\" # \"} 17 # {trace=\"x\"} 1\n\
                            # HELP a_late_seconds Lateness.\n# TYPE a_late_seconds histogram\n# UNIT a_late_seconds seconds\n\
                            a_late_seconds_bucket{le=\"0.1\"} 8 # {} 0.05\na_late_seconds_sum 1.5\na_late_seconds_count 8\n\
                            # HELP a_spool Events.\n# TYPE a_spool gauge\na_spool 3\n# EOF\n";
        let expected = "# HELP a_build_info Version \"x\" and \\\\n.\n# TYPE a_build_info gauge\na_build_info{version=\"0 # {1\"} 1\n\
                        # HELP a_checks_total Checks.\n# TYPE a_checks_total counter\na_checks_total{o=\"}\\\" # \"} 17\n\
                        # HELP a_late_seconds Lateness.\n# TYPE a_late_seconds histogram\n\
                        a_late_seconds_bucket{le=\"0.1\"} 8\na_late_seconds_sum 1.5\na_late_seconds_count 8\n\
                        # HELP a_spool Events.\n# TYPE a_spool gauge\na_spool 3\n";
        assert_eq!(classic(open_metrics), expected);
        assert_eq!(broken_lines(expected), [""; 0]);
        let broken = broken_lines(open_metrics);
        let lines = [
            "# TYPE a_build info",
            "# TYPE a_checks counter",
            "# UNIT a_late_seconds seconds",
            "a_late_seconds_bucket{le=\"0.1\"} 8 # {} 0.05",
            "# EOF",
        ];
        assert!(lines.iter().all(|line| broken.contains(line)), "{broken:?}");
    }
}
