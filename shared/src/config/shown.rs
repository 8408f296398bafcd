//! What of a value a message may show.
//!
//! Any text of a configuration may be a password that stands in the wrong place. So a text is shown only where the type
//! that was expected makes it harmless ([`Scalar::HARMLESS`]); all else is told by its kind and length, and found by its
//! line and key.

use std::path::Path;

use config::{Value, ValueKind};

use super::Scalar;

/// Longer than any name of a key or of a header that could be meant.
const LONGEST_SHOWN: usize = 40;
/// Longer than any number, duration or word that could be meant.
const LONGEST_WORD: usize = 20;
const LONGEST_UNIT: usize = 4;

/// A text by its length: `a text of 12 characters`.
pub fn text(text: &str) -> String {
    match text.chars().count() {
        0 => "an empty text".into(),
        1 => "a text of 1 character".into(),
        count => format!("a text of {count} characters"),
    }
}

/// A value where a `T` is expected.
pub(super) fn value<T: Scalar>(value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) if T::HARMLESS => word(text),
        _ => kind(value),
    }
}

/// A text where a number, a duration or one of a few words is expected: as written where it looks like a number with a
/// unit or like a plain word. `hunter2` looks like neither.
pub(super) fn word(written: &str) -> String {
    let is_word = written.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, '-' | '_' | ' '));
    let unit = written.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '-' | '+' | ' '));
    let is_number =
        unit.len() < written.len() && unit.len() <= LONGEST_UNIT && unit.bytes().all(|b| b.is_ascii_alphabetic());
    if written.len() <= LONGEST_WORD && (is_word || is_number) { format!("{written:?}") } else { text(written) }
}

/// A value by its kind.
pub(super) fn kind(value: &Value) -> String {
    match &value.kind {
        ValueKind::String(written) => text(written),
        ValueKind::Array(_) => "a list".into(),
        ValueKind::Table(_) => "a mapping".into(),
        _ => "nothing".into(),
    }
}

/// The name of a key: as written where it looks like one of ours or like a header.
pub fn key(name: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '-');
    if (1..=LONGEST_SHOWN).contains(&name.len()) && name.chars().all(is_name) {
        name.to_owned()
    } else {
        format!("<{} as a key>", text(name))
    }
}

/// A name that is published with each result: as written, unless it looks like a URL or a pair of
/// user and password.
pub fn label(name: &str) -> String {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
    if !name.is_empty() && name.chars().count() <= LONGEST_SHOWN && name.chars().all(is_name) {
        name.to_owned()
    } else {
        text(name)
    }
}

/// A JSON pointer, where it is one.
pub(super) fn pointer(name: &str) -> String {
    let is_pointer = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.' | '~');
    if name.starts_with('/') && name.len() <= 2 * LONGEST_SHOWN && name.chars().all(is_pointer) {
        name.to_owned()
    } else {
        key(name)
    }
}

/// A file by its path, `written` as it stands in the configuration: the path only where it, or the folder of an absolute
/// one, exists, since passwords are written in the place of a password file's name.
pub fn file(written: &str, path: &Path) -> String {
    let folder = path.parent().filter(|folder| folder.parent().is_some());
    if path.is_file() || (Path::new(written).is_absolute() && folder.is_some_and(Path::is_dir)) {
        format!("{:?}", path.display().to_string())
    } else {
        "the file it names".into()
    }
}

/// The name of an environment variable, where it looks like one.
pub(super) fn variable(name: &str) -> String {
    let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
    if (1..=LONGEST_SHOWN).contains(&name.len()) && name.contains('_') && name.chars().all(is_name) {
        format!("the variable {name}")
    } else {
        "the variable it names".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_only_where_it_looks_like_what_was_expected() {
        assert_eq!(word("10ms"), "\"10ms\"");
        assert_eq!(word("verify-all"), "\"verify-all\"");
        for secret in ["hunter2", "isitup:hunter2", "p@ss", "0123456789abcdef0123456789abcdef", "1password"] {
            assert_eq!(word(secret), text(secret));
        }
        assert_eq!(key("ca_file"), "ca_file");
        assert_eq!(key("hunter2"), "<a text of 7 characters as a key>");
        assert_eq!(label("EU-1 web"), "EU-1 web");
        assert_eq!(label("https://admin:hunter2@a.test"), "a text of 28 characters");
        assert_eq!(pointer("/items/0/name"), "/items/0/name");
        assert_eq!(variable("VAULT_TOKEN"), "the variable VAULT_TOKEN");
        assert_eq!(variable("hunter2"), "the variable it names");
    }

    #[test]
    fn a_path_is_shown_when_its_folder_exists() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none");
        assert_eq!(file(path.to_str().unwrap(), &path), format!("{:?}", path.display().to_string()));
        for password in ["hunter2", "/hunter2", "/no-such-folder/hunter2"] {
            let shown = file(password, &folder.path().join(password));
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
