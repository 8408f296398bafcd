//! Reads of a JSON body only what pointers name. A tree of the whole body would take a hundred times its size: `[{"":0},…]` is
//! enough for that.
//!
//! The whole text is first seen to be JSON by the library, which keeps nothing of it, however deep it nests. After that values are
//! found as pieces of the text.

use serde::de::IgnoredAny;
use serde_json::{Number, Value};

use super::words::short;
use crate::site::JsonExpectation;

/// Pieces beyond this are not read into a tree, and so equal no array or object that is expected.
const LARGEST_TREE: usize = 64 << 10;
/// As much of a piece is looked at to show it.
const SHOWN: usize = 1 << 10;

/// A text that is JSON.
#[derive(Clone, Copy, Debug)]
pub(super) struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// `text`, where it is JSON.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        serde_json::from_str::<IgnoredAny>(text).ok().map(|IgnoredAny| Self(text.trim_ascii()))
    }

    /// Why `wanted` is not met; `None` where it is.
    pub(super) fn judge(self, wanted: &JsonExpectation) -> Option<String> {
        let JsonExpectation { pointer, value: expected } = wanted;
        let Some(found) = self.at(pointer) else {
            return Some(format!("nothing at {pointer} in the JSON body, expected {:?}", short(expected)));
        };
        (!found.is(expected)).then(|| {
            let shown = short(&found.shown());
            format!("{shown} at {pointer} in the JSON body, expected {:?}", short(expected))
        })
    }

    /// What stands at `pointer` (RFC 6901). Of several members with one name the last counts.
    fn at(self, pointer: &str) -> Option<Self> {
        pointer.split('/').skip(1).try_fold(self, |json, token| {
            let token = token.replace("~1", "/").replace("~0", "~");
            match json.0.as_bytes().first()? {
                b'{' => json.members().filter(|(name, _)| is_text(name.0, &token)).last().map(|(_, value)| value),
                b'[' => json.items().nth(index(&token)?),
                _ => None,
            }
        })
    }

    /// The parts of an array, or names and values of an object in turn.
    fn items(self) -> impl Iterator<Item = Json<'a>> {
        let mut rest = &self.0[1..];
        std::iter::from_fn(move || {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',' || c == ':');
            if rest.is_empty() || rest.starts_with([']', '}']) {
                return None;
            }
            let (item, after) = rest.split_at(length(rest.as_bytes()));
            rest = after;
            Some(Json(item))
        })
    }

    fn members(self) -> impl Iterator<Item = (Json<'a>, Json<'a>)> {
        let mut items = self.items();
        std::iter::from_fn(move || Some((items.next()?, items.next()?)))
    }

    /// Whether it is `expected`: a text is compared as it is; a number, `true`, `false` and `null` as JSON has them.
    fn is(self, expected: &str) -> bool {
        match self.0.as_bytes().first() {
            Some(b'"') => is_text(self.0, expected),
            Some(b'{' | b'[') => self
                .tree()
                .is_some_and(|found| serde_json::from_str::<Value>(expected).is_ok_and(|expected| expected == found)),
            Some(b't' | b'f' | b'n') => self.0 == expected,
            _ => self.0 == expected || is_number(self.0, expected),
        }
    }

    fn tree(self) -> Option<Value> {
        if self.0.len() > LARGEST_TREE { None } else { serde_json::from_str(self.0).ok() }
    }

    /// For people, in its shortest form where it is short.
    fn shown(self) -> String {
        let begin = &self.0[..self.0.floor_char_boundary(SHOWN)];
        match serde_json::from_str::<Value>(begin) {
            Ok(value) if begin.len() == self.0.len() => value.to_string(),
            _ => begin.to_owned(),
        }
    }
}

/// How many bytes the value at the begin of `json` takes, which is known to be well-formed.
fn length(json: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        match json.get(at) {
            None => return at,
            Some(b'"') => at += string_length(&json[at..]),
            Some(b'{' | b'[') => {
                depth += 1;
                at += 1;
            }
            Some(b'}' | b']') => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            Some(_) if depth > 0 => {
                at += 1;
                continue;
            }
            Some(_) => {
                let is_end = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b':') || byte.is_ascii_whitespace();
                return at + json[at..].iter().position(is_end).unwrap_or(json.len() - at);
            }
        }
        if depth == 0 {
            return at.min(json.len());
        }
    }
}

/// How many bytes the string at the begin of `json` takes, quotes included.
fn string_length(json: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

/// Whether the JSON string `raw` stands for `text`.
fn is_text(raw: &str, text: &str) -> bool {
    let written = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    if !written.contains('\\') {
        return written == text;
    }
    // A byte of the text is written with six at most: a longer string is another one, and is not copied.
    written.len() <= text.len() * 6 && serde_json::from_str::<String>(raw).is_ok_and(|found| found == text)
}

fn is_number(raw: &str, expected: &str) -> bool {
    let (Ok(found), Ok(wanted)) = (raw.parse::<Number>(), expected.parse::<Number>()) else { return false };
    found == wanted || (wanted.as_f64().is_some() && wanted.as_f64() == found.as_f64())
}

/// An index as RFC 6901 writes it: without a sign or leading zeros.
fn index(token: &str) -> Option<usize> {
    let is_plain = !token.starts_with('+') && (token == "0" || !token.starts_with('0'));
    if is_plain { token.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at<'a>(text: &'a str, pointer: &str) -> Option<&'a str> {
        Json::parse(text).unwrap().at(pointer).map(|found| found.0)
    }

    #[test]
    fn a_pointer_finds_what_it_names_in_whatever_way_it_is_written() {
        let text =
            r#" {"a" : [1, {"b":"x,]}\""} ,[ ] ], "a/b":2, "m~n":3, "":4, "caf\u00e9":5, "d":1, "d":{"e":null}} "#;
        for (pointer, found) in [
            ("/a/0", Some("1")),
            ("/a/1/b", Some(r#""x,]}\"""#)),
            ("/a/2", Some("[ ]")),
            ("/a/3", None),
            ("/a/01", None),
            ("/a/+1", None),
            ("/a/-", None),
            ("/a~1b", Some("2")),
            ("/m~0n", Some("3")),
            ("/", Some("4")),
            ("/café", Some("5")),
            ("/d/e", Some("null")),
            ("/d/e/f", None),
            ("/x", None),
        ] {
            assert_eq!(at(text, pointer), found, "{pointer}");
        }
        assert_eq!(at(" 7 ", ""), Some("7"));
        assert!(["", "{", "[1,]", "1 2", "nul", "\"\u{1}\""].into_iter().all(|text| Json::parse(text).is_none()));
    }

    #[test]
    fn values_are_compared_as_json_has_them() {
        let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
        let long = format!("\"{}\"", r"\u0041".repeat(170_000));
        let large = format!("[{}]", vec![r#"{"":0}"#; 140_000].join(","));
        for (found, expected, is_so) in [
            (r#""ok""#, "ok", true),
            (r#""\u006fk""#, "ok", true),
            (r#""ok""#, "\"ok\"", false),
            ("1.0", "1", true),
            ("1e999", "1e999", true),
            ("1e2", "100", true),
            ("true", "true", true),
            ("null", "null", true),
            (r#"[ {"b":1, "a":[]} ]"#, r#"[{"a":[],"b":1}]"#, true),
            (&deep, "[[]]", false),
            (&long, "A", false),
            (&large, r#"[{"":0}]"#, false),
        ] {
            let json = Json::parse(found).unwrap();
            assert_eq!(json.is(expected), is_so, "{expected}");
            assert!(json.shown().len() <= 2 * SHOWN);
        }
    }

    fn arbitrary() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            r#"[a"\\/{}\[\],:é\u{1}]{0,6}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((r#"[ab"/~\\]{0,2}"#, inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// The pointers of all that is in `value`.
    fn pointers(value: &Value, prefix: &str, all: &mut Vec<String>) {
        all.push(prefix.to_owned());
        match value {
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, item)| pointers(item, &format!("{prefix}/{i}"), all));
            }
            Value::Object(members) => members.iter().for_each(|(name, member)| {
                pointers(member, &format!("{prefix}/{}", name.replace('~', "~0").replace('/', "~1")), all);
            }),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn all_parts_of_any_json_are_found(value in arbitrary(), is_pretty in any::<bool>()) {
            let text = if is_pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let mut all = Vec::new();
            pointers(&value, "", &mut all);
            for pointer in all {
                let found = at(&text, &pointer).map(|found| serde_json::from_str::<Value>(found).unwrap());
                prop_assert_eq!(found.as_ref(), value.pointer(&pointer), "{} in {}", pointer, text);
            }
        }
    }
}
