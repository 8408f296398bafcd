//! The texts of events: each has a largest size and holds no character that could fool a terminal, a log or a database.
//!
//! Two ways lead in. What a site, a name server, a proxy or a library says is *cleaned* (`From`): characters that are not
//! allowed become U+FFFD, and what is too long is cut and ends with `…`. What another producer wrote is held to the same
//! limits *strictly* ([`Text::strict`], used by every decoder): an event with a text beyond them is rejected whole.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A name: of a site, a group, a location, or of a certificate's holder.
pub type Name = Text<256, 1024>;
/// A URL without credentials. Of one that is too long the beginning is kept: scheme, host and path say most.
pub type ShownUrl = Text<2048, 2048>;
/// A line for people: why something failed.
pub type Detail = Text<1024, 1024>;
/// A short mark: a version, a hash, an address with its port.
pub type Label = Text<128, 128>;

/// Text of at most `CHARS` characters, `BYTES` bytes of UTF-8, and without the characters of [`is_forbidden`].
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const CHARS: usize, const BYTES: usize>(String);

/// Stands for a character that is not allowed.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;
/// Ends a text that was cut.
const MARK: char = '…';

/// Returns true for the characters that no text of an event holds: controls (C0 with NUL and ESC, DEL, C1), those that
/// change the direction of writing, separators of lines, and invisible ones that make one name look like another. The
/// joiners U+200C and U+200D stay: Persian and Indic names and some emoji need them.
pub const fn is_forbidden(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// [`is_forbidden`] as a regular expression of JSON Schema: it matches a text without such characters.
pub(super) const PATTERN: &str = concat!(
    r"^[^\u0000-\u001f\u007f-\u009f\u061c\u180e\u200b\u200e\u200f",
    r"\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]*$",
);

/// Why a text cannot stand in an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// It has more characters than its field takes.
    #[error("longer than {most} characters")]
    TooManyCharacters {
        /// How many it takes.
        most: usize,
    },
    /// It has more bytes than its field takes.
    #[error("{bytes} bytes long, at most {most} are allowed")]
    TooManyBytes {
        /// How many there are.
        bytes: usize,
        /// How many it takes.
        most: usize,
    },
    /// It holds a character that no text of an event may hold.
    #[error("holds U+{:04X}, a control, direction or invisible character, which is not allowed", u32::from(*.0))]
    Forbidden(char),
}

impl<const CHARS: usize, const BYTES: usize> Text<CHARS, BYTES> {
    /// The most characters.
    pub const MOST_CHARS: usize = CHARS;
    /// The most bytes of UTF-8.
    pub const MOST_BYTES: usize = BYTES;

    /// Takes a text that is within the limits already.
    ///
    /// # Errors
    /// When it is not.
    pub fn strict(text: impl Into<String> + AsRef<str>) -> Result<Self, TextError> {
        Self::check(text.as_ref()).map(|()| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn check(text: &str) -> Result<(), TextError> {
        if text.len() > BYTES {
            return Err(TextError::TooManyBytes { bytes: text.len(), most: BYTES });
        }
        if text.len() <= CHARS && is_printable_ascii(text) {
            return Ok(());
        }
        if let Some(c) = text.chars().find(|c| is_forbidden(*c)) {
            return Err(TextError::Forbidden(c));
        }
        if text.chars().count() > CHARS { Err(TextError::TooManyCharacters { most: CHARS }) } else { Ok(()) }
    }

    /// Replaces what is not allowed, and cuts what is too long. Reads no more of `text` than is kept.
    fn rewritten(text: &str) -> Self {
        let mut kept = String::with_capacity(text.len().min(BYTES));
        let (mut count, mut room_for_mark) = (0, 0);
        for c in text.chars().map(|c| if is_forbidden(c) { REPLACEMENT } else { c }) {
            if count == CHARS || kept.len() + c.len_utf8() > BYTES {
                kept.truncate(room_for_mark);
                kept.push(MARK);
                break;
            }
            kept.push(c);
            count += 1;
            if count < CHARS && kept.len() + MARK.len_utf8() <= BYTES {
                room_for_mark = kept.len();
            }
        }
        Self(kept)
    }
}

/// The common case, without a look at characters. Branches once for all bytes, so that the compiler can look at many at
/// a time.
fn is_printable_ascii(text: &str) -> bool {
    text.bytes().fold(true, |is_printable, byte| is_printable & matches!(byte, b' '..=b'~'))
}

impl<const CHARS: usize, const BYTES: usize> From<&str> for Text<CHARS, BYTES> {
    fn from(text: &str) -> Self {
        if Self::check(text).is_ok() { Self(text.to_owned()) } else { Self::rewritten(text) }
    }
}

impl<const CHARS: usize, const BYTES: usize> From<String> for Text<CHARS, BYTES> {
    fn from(text: String) -> Self {
        if Self::check(&text).is_ok() { Self(text) } else { Self::rewritten(&text) }
    }
}

impl<const CHARS: usize, const BYTES: usize> From<&String> for Text<CHARS, BYTES> {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl<const CHARS: usize, const BYTES: usize> From<Cow<'_, str>> for Text<CHARS, BYTES> {
    fn from(text: Cow<'_, str>) -> Self {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

impl<const CHARS: usize, const BYTES: usize> From<Text<CHARS, BYTES>> for String {
    fn from(text: Text<CHARS, BYTES>) -> Self {
        text.0
    }
}

impl<const CHARS: usize, const BYTES: usize> Deref for Text<CHARS, BYTES> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const CHARS: usize, const BYTES: usize> AsRef<str> for Text<CHARS, BYTES> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<const CHARS: usize, const BYTES: usize> PartialEq<str> for Text<CHARS, BYTES> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl<const CHARS: usize, const BYTES: usize> PartialEq<&str> for Text<CHARS, BYTES> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl<const CHARS: usize, const BYTES: usize> PartialEq<String> for Text<CHARS, BYTES> {
    fn eq(&self, other: &String) -> bool {
        self.0 == *other
    }
}

impl<const CHARS: usize, const BYTES: usize> fmt::Display for Text<CHARS, BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<const CHARS: usize, const BYTES: usize> fmt::Debug for Text<CHARS, BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<const CHARS: usize, const BYTES: usize> Serialize for Text<CHARS, BYTES> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, const CHARS: usize, const BYTES: usize> Deserialize<'de> for Text<CHARS, BYTES> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<const CHARS: usize, const BYTES: usize>;
        impl<const CHARS: usize, const BYTES: usize> de::Visitor<'_> for Visitor<CHARS, BYTES> {
            type Value = Text<CHARS, BYTES>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Text::strict(text).map_err(E::custom)
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
                Text::strict(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_string(Visitor)
    }
}

impl<const CHARS: usize, const BYTES: usize> JsonSchema for Text<CHARS, BYTES> {
    fn schema_name() -> Cow<'static, str> {
        format!("Text{CHARS}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({"type": "string", "maxLength": CHARS, "pattern": PATTERN});
        if BYTES < 4 * CHARS {
            schema.insert("$comment".into(), format!("at most {BYTES} bytes of UTF-8").into());
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Small = Text<4, 8>;

    fn small(text: &str) -> String {
        Small::from(text).into()
    }

    #[test]
    fn a_text_within_its_limits_is_taken_as_it_is() {
        for text in ["", "abcd", "äöüß", "𝄞𝄞", "a\u{200d}b"] {
            assert_eq!(small(text), text);
            assert_eq!(Small::strict(text).unwrap(), text);
        }
        let text = "abcd".to_owned();
        let at = text.as_ptr();
        let taken = Small::from(text);
        assert_eq!(taken.as_ptr(), at, "a clean text is not copied");
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_at_a_character_and_marked() {
        for (text, cut) in [("abcde", "abc…"), ("ääääz", "ää…"), ("𝄞𝄞𝄞", "𝄞…"), ("aaa𝄞𝄞", "aaa…")]
        {
            assert_eq!(small(text), cut, "{text}");
            assert!(Small::strict(text).is_err(), "{text}");
            assert!(Small::strict(cut).is_ok(), "{cut}");
        }
        assert_eq!(Small::strict("abcde"), Err(TextError::TooManyCharacters { most: 4 }));
        assert_eq!(Small::strict("𝄞𝄞𝄞"), Err(TextError::TooManyBytes { bytes: 12, most: 8 }));
    }

    #[test]
    fn forbidden_characters_are_replaced_or_refused() {
        let forbidden = (0..=u32::from(char::MAX)).filter_map(char::from_u32).filter(|c| is_forbidden(*c));
        let mut count = 0;
        for c in forbidden {
            count += 1;
            assert_eq!(small(&format!("a{c}")), "a\u{fffd}", "{c:?}");
            assert_eq!(Small::strict(format!("a{c}")), Err(TextError::Forbidden(c)));
        }
        assert_eq!(count, 32 + 33 + 5 + 7 + 16 + 1 + 3);
        for wanted in
            "\0\x07\x1b\x7f\u{85}\u{9b}\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2028}\u{2029}\u{2066}\u{2069}".chars()
        {
            assert!(is_forbidden(wanted), "{wanted:?}");
        }
        assert_eq!(small("\x1b\x1b\x1b"), "\u{fffd}…", "a replacement takes more bytes");
    }
}
