//! Output for people: aligned tables, human times, colours only on a terminal.

use std::io::{self, ErrorKind, IsTerminal, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use isitup_shared::event::is_forbidden;
use jiff::Timestamp;

/// A table without lines: the header and the rows, columns two spaces apart.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(header.to_vec());
    table
}

/// Aligns columns of numbers to the right.
pub(crate) fn align_right(table: &mut Table, columns: impl IntoIterator<Item = usize>) {
    for index in columns {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// Writes lines to standard output. A reader that has left, such as `head`, is no error.
///
/// # Errors
/// When standard output cannot be written to for another reason.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    match writeln!(out, "{}", lines.join("\n")).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// How long ago `then` was, in words: `12 s ago`, `3 min ago`.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - then.as_second();
    if seconds < 0 { format!("in {}", span(-seconds)) } else { format!("{} ago", span(seconds)) }
}

fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Microseconds as milliseconds or seconds: `0.4 ms`, `153 ms`, `2.53 s`.
pub(crate) fn duration(micros: i64) -> String {
    match micros {
        ..10_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        10_000..1_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{}.{:02} s", micros / 1_000_000, micros % 1_000_000 / 10_000),
    }
}

/// Whether the text reaches a person who wants colours.
pub(crate) fn wants_colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// `up` in green or `down` in red; plain where no colours are wanted.
pub(crate) fn outcome(is_up: bool, colour: bool) -> String {
    let word = if is_up { "up" } else { "down" };
    match (colour, is_up) {
        (false, _) => word.to_owned(),
        (true, true) => format!("\x1b[32m{word}\x1b[0m"),
        (true, false) => format!("\x1b[31m{word}\x1b[0m"),
    }
}

/// Text from outside, made safe for a terminal: control characters are shown, not obeyed, and what is very long is cut.
pub(crate) fn printable(text: &str) -> String {
    const MOST_CHARS: usize = 200;
    let (shown, is_cut) = match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => (text.get(..end).unwrap_or(text), true),
        None => (text, false),
    };
    let escape = |c: char| if is_forbidden(c) { c.escape_default().to_string() } else { c.to_string() };
    let escaped: String = shown.chars().map(escape).collect();
    if is_cut { escaped + "…" } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_say_them() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let shown = |seconds: i64| ago(Timestamp::from_second(1_000_000 - seconds).unwrap(), now);
        assert_eq!(
            [shown(0), shown(12), shown(180), shown(7_200), shown(259_200)],
            ["0 s ago", "12 s ago", "3 min ago", "2 h ago", "3 d ago"]
        );
        assert_eq!(shown(-5), "in 5 s");
        assert_eq!([duration(412), duration(153_999), duration(2_530_000)], ["0.4 ms", "153 ms", "2.53 s"]);
    }

    #[test]
    fn control_characters_from_outside_do_not_reach_the_terminal() {
        assert_eq!(printable("a\x1b[31mb\nc"), r"a\u{1b}[31mb\nc");
        assert_eq!(printable("a\u{202e}b"), r"a\u{202e}b");
    }
}
