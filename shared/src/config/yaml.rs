//! YAML as a source of the `config` crate, with two differences from the crate's own: every scalar stays the text that
//! was typed (so that `0123` and `1e5` survive as passwords and names), and every value knows its line.

use std::collections::HashMap;
use std::fs;
use std::mem;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use config::{ConfigError, Map, Source, Value, ValueKind};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::problems::{Problem, Problems};
use super::shown;

/// Aliases may unfold to this many values, or to so many times what the file itself has up to there; more is taken for an
/// alias bomb. Thousands of sites that share a mapping stay far below, and a bomb is a few lines.
const MOST_ALIASED: usize = 100_000;
const MOST_UNFOLDING: usize = 20;
/// A text counts once more for each of these bytes: one long text and many aliases make a bomb too.
const BYTES_OF_A_VALUE: usize = 32;
/// Deeper nesting than any configuration needs; the parser's callers recurse.
const MOST_LEVELS: usize = 64;

/// A file that was read and parsed. Its values can be collected once: of a large file they take more memory than all that
/// is made of them, and so are handed over rather than copied.
#[derive(Clone, Debug)]
pub(super) struct YamlFile {
    values: Arc<Mutex<Map<String, Value>>>,
}

impl YamlFile {
    /// Reads and parses `path`.
    pub(super) fn read(path: &Path) -> Result<Self, Problems> {
        let name = path.display().to_string();
        let fail = |origin: String, message: String| Problems(vec![Problem::new(origin, String::new(), message)]);
        let text = fs::read_to_string(path).map_err(|error| fail(name.clone(), format!("cannot be read: {error}")))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        Self::parse(&name, text).map_err(|mistake| fail(format!("{name}:{}", mistake.line), mistake.message))
    }

    fn of(values: Map<String, Value>) -> Self {
        Self { values: Arc::new(Mutex::new(values)) }
    }

    fn parse(name: &str, text: &str) -> Result<Self, Mistake> {
        let mut reader =
            Reader { name, parser: Parser::new_from_str(text), anchors: HashMap::new(), written: 0, aliased: 0 };
        let root = reader.document()?;
        match root.value.kind {
            ValueKind::Table(values) => Ok(Self::of(values)),
            ValueKind::Nil => Ok(Self::of(Map::new())),
            _ => Err(Mistake {
                line: 1,
                message: "the file must be a mapping of keys to values, such as `kafka:`".into(),
            }),
        }
    }
}

impl Source for YamlFile {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(mem::take(&mut *self.values.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

struct Mistake {
    line: usize,
    message: String,
}

/// A value and how many values it holds, long texts counting as several.
#[derive(Clone)]
struct Node {
    value: Value,
    size: usize,
}

struct Reader<'a> {
    name: &'a str,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    /// How many values stand in the file so far.
    written: usize,
    /// How many values all aliases so far stand for.
    aliased: usize,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Node, Mistake> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                _ if root.is_some() => return Err(mistake(span, "a second document; one is allowed")),
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        Ok(root.unwrap_or_else(|| Node { value: Value::new(None, ValueKind::Nil), size: 1 }))
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Mistake> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                // The parser's words name what it waits for, and at most one character of the text.
                Err(Mistake { line: error.marker().line(), message: format!("not YAML: {}", error.info()) })
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, level: usize) -> Result<Node, Mistake> {
        if level > MOST_LEVELS {
            return Err(mistake(span, "nested too deeply"));
        }
        self.written += 1;
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (self.scalar(&text, style, span), anchor),
            Event::SequenceStart(anchor, _) => (self.sequence(span, level)?, anchor),
            Event::MappingStart(anchor, _) => (self.mapping(span, level)?, anchor),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).ok_or_else(|| mistake(span, "an alias without its anchor"))?;
                self.aliased += node.size;
                if self.aliased > MOST_ALIASED.max(self.written * MOST_UNFOLDING) {
                    return Err(mistake(span, "aliases unfold to too many values"));
                }
                (node.clone(), 0)
            }
            _ => return Err(mistake(span, "not YAML: a value is expected here")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn scalar(&self, text: &str, style: ScalarStyle, span: Span) -> Node {
        let is_null = style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL");
        let kind = if is_null { ValueKind::Nil } else { ValueKind::String(text.to_owned()) };
        Node { value: self.value(kind, span), size: 1 + text.len() / BYTES_OF_A_VALUE }
    }

    fn sequence(&mut self, start: Span, level: usize) -> Result<Node, Mistake> {
        let (mut items, mut size) = (Vec::new(), 1);
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => break,
                (event, span) => {
                    let item = self.node(event, span, level + 1)?;
                    size += item.size;
                    items.push(item.value);
                }
            }
        }
        Ok(Node { value: self.value(ValueKind::Array(items), start), size })
    }

    fn mapping(&mut self, start: Span, level: usize) -> Result<Node, Mistake> {
        let (mut values, mut merged, mut size) = (Map::new(), Map::new(), 1);
        loop {
            let (key, span) = match self.next()? {
                (Event::MappingEnd, _) => break,
                (Event::Scalar(key, ..), span) => (key.into_owned(), span),
                (_, span) => return Err(mistake(span, "a key must be a plain text")),
            };
            let (event, value_span) = self.next()?;
            let node = self.node(event, value_span, level + 1)?;
            size += node.size;
            if key == "<<" {
                let ValueKind::Table(base) = node.value.kind else {
                    return Err(mistake(value_span, "`<<` merges a mapping, such as an alias to one"));
                };
                merged.extend(base);
            } else if values.insert(key.clone(), node.value).is_some() {
                return Err(mistake(span, &format!("the key {} stands here twice", shown::key(&key))));
            }
        }
        for (key, value) in merged {
            values.entry(key).or_insert(value);
        }
        Ok(Node { value: self.value(ValueKind::Table(values), start), size })
    }

    fn value(&self, kind: ValueKind, span: Span) -> Value {
        Value::new(Some(&format!("{}:{}", self.name, span.start.line())), kind)
    }
}

fn mistake(span: Span, message: &str) -> Mistake {
    Mistake { line: span.start.line(), message: message.to_owned() }
}
