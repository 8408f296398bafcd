//! Reading the merged tree: each value is taken once, mistakes are gathered, and what nobody asked for is unknown.

mod secret;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use config::{Map, Value, ValueKind};

use super::Credential;
use super::Scalar;
use super::layers::{self, Origin};
use super::permissions::Sources;
use super::problems::{Problem, Problems};
use super::shown;

pub use secret::Found;

/// What the sections of one tree share.
#[derive(Debug, Default)]
struct Reading {
    problems: RefCell<Vec<Problem>>,
    /// What the configuration is made of beside its own file.
    sources: RefCell<Sources>,
    /// The section is another service's: what it names on this machine is not looked at.
    is_others: Cell<bool>,
}

/// A mapping of the configuration, read key by key.
///
/// Every read removes its key, so that [`Section::finish`] can tell which keys nobody knows. A read that finds a
/// mistake notes it and gives `None`, as if the key were absent; [`Section::finish_root`] gives all of them.
pub struct Section {
    path: String,
    origin: Origin,
    values: Map<String, Value>,
    asked: BTreeSet<String>,
    reading: Rc<Reading>,
}

impl fmt::Debug for Section {
    /// Without the values, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Section").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A list's item: a bare text, or a mapping.
#[derive(Debug)]
pub enum Entry {
    /// A bare text, such as `https://example.com`.
    Scalar(ScalarEntry),
    /// A mapping.
    Table(Section),
}

/// A bare text in a list, which knows where it stands.
pub struct ScalarEntry {
    /// The text as typed.
    pub text: String,
    path: String,
    origin: Origin,
    reading: Rc<Reading>,
}

impl fmt::Debug for ScalarEntry {
    /// Without the text, which may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScalarEntry").field("path", &self.path).finish_non_exhaustive()
    }
}

impl ScalarEntry {
    /// Where it stands, such as `config.yml:12`.
    pub fn place(&self) -> String {
        self.origin.place(&self.path)
    }

    /// Notes that this text is wrong: `message` says why, without showing the text.
    pub fn refuse(&self, message: impl fmt::Display) {
        self.reading.note(&self.origin, &self.path, message.to_string());
    }
}

impl Section {
    /// The root of a merged tree.
    pub(super) fn root(values: Map<String, Value>, origin: Origin, problems: Vec<Problem>) -> Self {
        let reading = Rc::new(Reading { problems: RefCell::new(problems), ..Reading::default() });
        Self { path: String::new(), origin, values, asked: BTreeSet::new(), reading }
    }

    /// Reads, by `read`, what another service is told: its form is checked, and the files, variables and commands that it
    /// names are left alone, since they need not be on this machine.
    pub fn of_another_service<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.reading.is_others.replace(true);
        let result = read(self);
        self.reading.is_others.set(before);
        result
    }

    /// Whether this is read for its form only, since it is another service's.
    pub fn is_others(&self) -> bool {
        self.reading.is_others.get()
    }

    /// Where this mapping stands in the tree, such as `domains[2]`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where this mapping stands, such as `config.yml:12`.
    pub fn place(&self) -> String {
        self.origin.place(&self.path)
    }

    /// Where the value of `key` stands, while it has not been read.
    pub fn place_of(&self, key: &str) -> String {
        self.origin_of_key(key).place(&self.key_path(key))
    }

    /// The path of the configuration file, where there is one.
    pub fn file(&self) -> Option<&Path> {
        self.origin.file()
    }

    /// What was read so far beside the file itself, in the whole configuration.
    pub fn sources(&self) -> Sources {
        self.reading.sources.borrow().clone()
    }

    /// Notes that `file`, which holds a secret or a private key, is read.
    pub fn note_secret_file(&self, file: &Path) {
        let mut sources = self.reading.sources.borrow_mut();
        sources.files.push(file.to_owned());
        sources.secret_files.push(file.to_owned());
    }

    /// Whether `key` has a value that was not read yet.
    pub fn contains(&self, key: &str) -> bool {
        self.values.get(key).is_some_and(|value| !is_nil(value))
    }

    /// Whether every key has been read.
    pub fn is_read(&self) -> bool {
        self.values.is_empty()
    }

    /// The value of `key`, where it has one and it is well.
    pub fn get<T: Scalar>(&mut self, key: &str) -> Option<T> {
        let value = self.take(key)?;
        self.parse(&self.key_path(key), &value)
    }

    /// The value of `key` where it lies in `range`.
    pub fn get_in<T>(&mut self, key: &str, range: RangeInclusive<T>) -> Option<T>
    where
        T: Scalar + PartialOrd + fmt::Display,
    {
        let allowed = format!("{} to {} is allowed", range.start(), range.end());
        self.get_where(key, |value| range.contains(value), &allowed)
    }

    /// The value of `key` where it is `well`; else `allowed` says what is.
    pub fn get_where<T: Scalar>(&mut self, key: &str, well: impl Fn(&T) -> bool, allowed: &str) -> Option<T> {
        let raw = self.take(key)?;
        let path = self.key_path(key);
        let value = self.parse::<T>(&path, &raw)?;
        if well(&value) {
            return Some(value);
        }
        self.reading.note(&self.origin_of(&raw), &path, format!("{}: {allowed}", shown::value::<T>(&raw)));
        None
    }

    /// The value of `key`, which must be there; `purpose` says what it is for.
    pub fn require<T: Scalar>(&mut self, key: &str, purpose: &str) -> Option<T> {
        if !self.contains(key) {
            // Asked for all the same: it is allowed here, and written without a value it is missing, not unknown.
            self.take(key);
            self.miss(key, purpose);
            return None;
        }
        self.get(key)
    }

    /// The list at `key`: a sequence, a single value, or a text with commas in an environment variable.
    pub fn list<T: Scalar>(&mut self, key: &str) -> Option<Vec<T>> {
        let path = self.key_path(key);
        let items = self.take_items(key)?;
        let parsed: Vec<Option<T>> =
            items.iter().enumerate().map(|(i, item)| self.parse(&format!("{path}[{i}]"), item)).collect();
        parsed.into_iter().collect()
    }

    /// The list at `key`, which must be there and not be empty; `purpose` says what it is for.
    pub fn require_list<T: Scalar>(&mut self, key: &str, purpose: &str) -> Option<Vec<T>> {
        let is_there = self.contains(key);
        let list = self.list(key);
        if !is_there || list.as_ref().is_some_and(Vec::is_empty) {
            self.miss(key, purpose);
            return None;
        }
        list
    }

    /// The mapping at `key`; an empty one where there is none.
    pub fn section(&mut self, key: &str) -> Self {
        self.section_at(key, self.key_path(key))
    }

    fn section_at(&mut self, key: &str, path: String) -> Self {
        let (values, origin) = match self.take(key) {
            None => (Map::new(), self.origin.clone()),
            Some(value) => {
                let origin = self.origin_of(&value);
                match value.kind {
                    ValueKind::Table(values) => (values, origin),
                    _ => {
                        self.reading.note(&origin, &path, format!("{} is not a mapping", shown::kind(&value)));
                        (Map::new(), origin)
                    }
                }
            }
        };
        Self { path, origin, values, asked: BTreeSet::new(), reading: Rc::clone(&self.reading) }
    }

    /// The mappings in the mapping at `key`, by name, in the order of the file.
    pub fn sections(&mut self, key: &str) -> Vec<(String, Self)> {
        let mut outer = self.section(key);
        let names: Vec<String> = outer.values.keys().cloned().collect();
        let path = |name: &str| format!("{}.{}", outer.path, shown::key(name));
        let named: Vec<(String, String)> = names.into_iter().map(|name| (path(&name), name)).collect();
        named
            .into_iter()
            .map(|(path, name)| {
                let section = outer.section_at(&name, path);
                (name, section)
            })
            .collect()
    }

    /// The items at `key`, each a text or a mapping.
    pub fn entries(&mut self, key: &str) -> Vec<Entry> {
        let path = self.key_path(key);
        let items = self.take_items(key).unwrap_or_default();
        items.into_iter().enumerate().filter_map(|(i, item)| self.entry(format!("{path}[{i}]"), item)).collect()
    }

    fn entry(&self, path: String, item: Value) -> Option<Entry> {
        let origin = self.origin_of(&item);
        let reading = Rc::clone(&self.reading);
        match item.kind {
            ValueKind::Table(values) => {
                Some(Entry::Table(Self { path, origin, values, asked: BTreeSet::new(), reading }))
            }
            _ => match text_of(&item) {
                Some(text) => Some(Entry::Scalar(ScalarEntry { text: text.to_owned(), path, origin, reading })),
                None => {
                    reading.note(&origin, &path, format!("{} is neither a text nor a mapping", shown::kind(&item)));
                    None
                }
            },
        }
    }

    /// The pairs of the mapping at `key`, in the order of the file.
    pub fn map(&mut self, key: &str) -> Vec<(String, String)> {
        let section = self.section(key);
        let pairs = section.values.iter().map(|(name, value)| {
            let text = section.parse::<String>(&section.key_path(name), value)?;
            Some((name.clone(), text))
        });
        pairs.collect::<Vec<_>>().into_iter().flatten().collect()
    }

    /// The secret at `key`, which must be there in one of the ways of [`Section::secret`], and how it is had anew;
    /// `purpose` says what it is for.
    pub fn require_credential(&mut self, key: &str, purpose: &str) -> Option<Credential> {
        let credential = self.credential(key);
        if credential.is_none() {
            self.miss(key, purpose);
        }
        credential
    }

    /// The path at `key` of a file that `read` reads well. What it gives for another completes "the file …".
    pub fn file_for<T>(&mut self, key: &str, read: impl FnOnce(&Path) -> Result<T, String>) -> Option<PathBuf> {
        let value = self.take(key)?;
        let path = self.key_path(key);
        let name = self.parse::<String>(&path, &value)?;
        let file = self.beside_file(&value, &name);
        if self.is_others() {
            return Some(file);
        }
        self.reading.sources.borrow_mut().files.push(file.clone());
        match read(&file) {
            Ok(_) => Some(file),
            Err(wrong) => {
                self.reading.note(&self.origin_of(&value), &path, format!("{} {wrong}", shown::file(&name, &file)));
                None
            }
        }
    }

    /// The same where the file holds a private key.
    pub fn key_file<T>(&mut self, key: &str, read: impl FnOnce(&Path) -> Result<T, String>) -> Option<PathBuf> {
        let file = self.file_for(key, read)?;
        if !self.is_others() {
            self.note_secret_file(&file);
        }
        Some(file)
    }

    /// As every path in the file, it starts from the file's folder; in the environment, from the working folder.
    fn beside_file(&self, value: &Value, name: &str) -> PathBuf {
        let folder = self.origin_of(value).file().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
        folder.join(name)
    }

    /// Notes that the value of `key` is wrong, and forgets the value. Without the value: it may be a mapping.
    pub fn refuse(&mut self, key: &str, message: impl fmt::Display) {
        let origin = self.origin_of_key(key);
        self.take(key);
        self.reading.note(&origin, &self.key_path(key), message.to_string());
    }

    /// Notes that a value of `origin`, which was read already, is wrong.
    pub(super) fn wrong_at(&self, origin: &Origin, path: &str, message: &str) {
        self.reading.note(origin, path, message.to_owned());
    }

    /// Notes that what stood at `key`, at a place that was asked for before it was read, is wrong.
    pub fn refuse_at(&mut self, place: &str, key: &str, message: impl fmt::Display) {
        let problem = Problem::new(place.to_owned(), self.key_path(key), message.to_string());
        self.reading.problems.borrow_mut().push(problem);
    }

    /// Leaves out `key`, which is another service's.
    pub fn skip(&mut self, key: &str) {
        self.take(key);
    }

    /// Notes every key that nobody asked for.
    pub fn finish(self) {
        self.note_unknown();
    }

    fn note_unknown(&self) {
        for (key, value) in &self.values {
            let allowed: Vec<&str> = self.asked.iter().map(String::as_str).collect();
            let message = format!("unknown key; allowed here: {}", allowed.join(", "));
            self.reading.note(&self.origin_of(value), &self.key_path(key), message);
        }
    }

    /// Ends the reading of the whole tree: `value`, or all that is wrong.
    ///
    /// # Errors
    /// All mistakes, in the order of the file.
    pub fn finish_root<T>(self, value: Option<T>) -> Result<T, Problems> {
        self.note_unknown();
        self.leave_root(value)
    }

    /// The same where only a part was asked for: `value`, or what is wrong with that part.
    pub(super) fn leave_root<T>(self, value: Option<T>) -> Result<T, Problems> {
        let mut problems = self.reading.problems.take();
        problems.sort_by_key(|problem| layers::line_of(&problem.origin));
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            _ => Err(Problems(problems)),
        }
    }

    fn miss(&mut self, key: &str, purpose: &str) {
        let path = self.key_path(key);
        let already_told = self.reading.problems.borrow().iter().any(|problem| problem.key.starts_with(&path));
        if !already_told {
            let or_set = match self.origin {
                Origin::File { .. } => format!(" (or set {})", layers::variable(&path)),
                Origin::Environment => String::new(),
            };
            self.reading.note(&self.origin.file_only(), &path, format!("missing: {purpose}{or_set}"));
        }
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.asked.insert(key.to_owned());
        self.values.shift_remove(key).filter(|value| !is_nil(value))
    }

    fn take_items(&mut self, key: &str) -> Option<Vec<Value>> {
        let value = self.take(key)?;
        let origin = self.origin_of(&value);
        match (value.kind, &origin) {
            (ValueKind::Array(items), _) => Some(items),
            (ValueKind::String(text), Origin::Environment) => {
                // One a line, as in a file of sites, as well as with commas.
                let items = text.split([',', '\n', '\r']).map(str::trim).filter(|item| !item.is_empty());
                Some(items.map(|item| origin.value(ValueKind::String(item.to_owned()))).collect())
            }
            (kind, _) => Some(vec![origin.value(kind)]),
        }
    }

    fn parse<T: Scalar>(&self, path: &str, value: &Value) -> Option<T> {
        let parsed = text_of(value).and_then(T::parse);
        if parsed.is_none() {
            let shown = shown::value::<T>(value);
            self.reading.note(&self.origin_of(value), path, format!("{shown} is not {}", T::WHAT));
        }
        parsed
    }

    fn origin_of(&self, value: &Value) -> Origin {
        Origin::of(value, &self.origin)
    }

    /// Where the value of `key` comes from, while it has not been read.
    pub(super) fn origin_of_key(&self, key: &str) -> Origin {
        self.values.get(key).map_or_else(|| self.origin.clone(), |value| self.origin_of(value))
    }

    fn key_path(&self, key: &str) -> String {
        let key = shown::key(key);
        if self.path.is_empty() { key } else { format!("{}.{key}", self.path) }
    }
}

impl Reading {
    fn note(&self, origin: &Origin, path: &str, message: String) {
        self.problems.borrow_mut().push(Problem::new(origin.place(path), path.to_owned(), message));
    }
}

fn text_of(value: &Value) -> Option<&str> {
    match &value.kind {
        ValueKind::String(text) => Some(text),
        _ => None,
    }
}

fn is_nil(value: &Value) -> bool {
    matches!(value.kind, ValueKind::Nil)
}
