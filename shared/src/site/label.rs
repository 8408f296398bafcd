//! Names that are published with each result: of a site, of a group, of a location.

use crate::event::Name;

/// What is allowed.
pub const LABEL: &str = "1 to 256 visible characters are allowed, without spaces at its ends";

/// As many characters as the contract has for a name.
pub const LONGEST: usize = Name::MOST_CHARS;

/// Whether `text` may be a name: it stands in a Kafka key, in an index of the database and in one line of a table. Two
/// names are the same when their texts are; so what cannot be seen is not allowed in them.
pub fn is_label(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && Name::strict(text).is_ok() && !text.chars().any(is_hidden)
}

/// Whether a reader cannot see `c`, or it changes the order of what follows: control characters, line and paragraph
/// separators, spaces other than the usual one, marks of direction, and characters without a width.
pub fn is_hidden(c: char) -> bool {
    let is_odd_space = c.is_whitespace() && c != ' ';
    let is_formatting = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e01ef}'
    );
    c.is_control() || is_odd_space || is_formatting
}

/// Whether `text` looks like a URL with a user name or password.
pub(crate) fn has_credentials(text: &str) -> bool {
    let authority = text.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    authority.is_some_and(|authority| authority.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_visible_and_at_most_256_characters_long() {
        for name in ["a", "é ü", "http://h:1", "日本語 ✓", &"é".repeat(256)] {
            assert!(is_label(name), "{name}");
        }
        let long = "é".repeat(257);
        for name in
            ["", " ", " a", "a ", "a\u{a0}b", "a\nb", "a\0", "a\u{85}b", "a\u{202e}b", "a\u{200b}b", "\u{feff}a", &long]
        {
            assert!(!is_label(name), "{name:?}");
        }
    }
}
