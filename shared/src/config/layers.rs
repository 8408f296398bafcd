//! The layers of a configuration, merged by the `config` crate: the file, then the environment.

use std::env;
use std::path::{Path, PathBuf};

use config::{Config, Environment, Map, Value, ValueKind};

use super::problems::{Problem, Problems};
use super::section::Section;
use super::yaml::YamlFile;

const PREFIX: &str = "ISITUP";
const SEPARATOR: &str = "__";

/// Where a value comes from. The `config` crate carries it through the merge as the value's origin text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    File { name: PathBuf, line: Option<usize> },
    Environment,
}

/// The origin text that `config` itself gives to environment variables.
const ENVIRONMENT: &str = "the environment";

impl Origin {
    /// Where `value` comes from. A merged mapping has no origin of its own, but that of its first value, else `parent`'s.
    pub(super) fn of(value: &Value, parent: &Self) -> Self {
        match (value.origin(), &value.kind) {
            (None, ValueKind::Table(values)) => {
                values.first().map_or_else(|| parent.clone(), |(_, first)| Self::of(first, parent))
            }
            (None, _) => parent.clone(),
            (Some(ENVIRONMENT), _) => Self::Environment,
            (Some(place), _) => match place.rsplit_once(':') {
                Some((name, line)) => Self::File { name: name.into(), line: line.parse().ok() },
                None => Self::File { name: place.into(), line: None },
            },
        }
    }

    /// A value of this origin.
    pub(super) fn value(&self, kind: ValueKind) -> Value {
        let text = match self {
            Self::File { .. } => self.place(""),
            Self::Environment => ENVIRONMENT.into(),
        };
        Value::new(Some(&text), kind)
    }

    /// For people: `config.yml:12`, or the variable that sets `path`.
    pub(super) fn place(&self, path: &str) -> String {
        match self {
            Self::File { name, line: Some(line) } => format!("{}:{line}", name.display()),
            Self::File { name, line: None } => name.display().to_string(),
            Self::Environment if path.is_empty() => ENVIRONMENT.into(),
            Self::Environment => variable(path),
        }
    }

    /// The file without the line, for what is not there.
    pub(super) fn file_only(&self) -> Self {
        match self {
            Self::File { name, .. } => Self::File { name: name.clone(), line: None },
            Self::Environment => Self::Environment,
        }
    }

    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::File { name, .. } => Some(name),
            Self::Environment => None,
        }
    }
}

/// The environment variable that sets `path`.
pub(super) fn variable(path: &str) -> String {
    let whole = path.split_once('[').map_or(path, |(list, _)| list);
    format!("{PREFIX}{SEPARATOR}{}", whole.replace('.', SEPARATOR).to_uppercase())
}

/// The line in a place such as `config.yml:12`, to sort by.
pub(super) fn line_of(place: &str) -> usize {
    place.rsplit_once(':').and_then(|(_, line)| line.parse().ok()).unwrap_or(0)
}

/// Reads `file`, where one is given, and lays the environment's `ISITUP__` variables over it.
///
/// # Errors
/// When the file cannot be read or is no YAML. Mistakes in values are told by [`Section::finish_root`].
pub fn load(file: Option<&Path>) -> Result<Section, Problems> {
    let (mut variables, mut unreadable) = (Vec::new(), Vec::new());
    for (name, value) in env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => variables.push((name, value)),
            Err(_) if is_ours(&name) => {
                unreadable.push(Problem::new(name, String::new(), "the value of this variable is not UTF-8".into()));
            }
            Err(_) => {}
        }
    }
    if unreadable.is_empty() { load_with(file, variables.into_iter()) } else { Err(Problems(unreadable)) }
}

fn is_ours(variable: &str) -> bool {
    variable.to_uppercase().starts_with(&format!("{PREFIX}{SEPARATOR}"))
}

pub(super) fn load_with(
    file: Option<&Path>,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Section, Problems> {
    let origin = file.map_or(Origin::Environment, |name| Origin::File { name: name.to_owned(), line: None });
    let mut builder = Config::builder();
    if let Some(path) = file {
        builder = builder.add_source(YamlFile::read(path)?);
    }
    let environment = Environment::with_prefix(PREFIX)
        .prefix_separator(SEPARATOR)
        .separator(SEPARATOR)
        .source(Some(variables.collect::<Map<_, _>>()));
    let values = builder.add_source(environment).build().and_then(Config::try_deserialize_table);
    match values {
        Ok(values) => Ok(Section::root(values, origin, Vec::new())),
        Err(_) => {
            // The library's own words would show values.
            let message =
                "an environment variable of ISITUP__ has a name that is no path of keys, such as ISITUP__LOG__LEVEL";
            Err(Problems(vec![Problem::new(Origin::Environment.place(""), String::new(), message.into())]))
        }
    }
}

/// [`Config`]'s merged tree itself.
trait IntoTable {
    fn try_deserialize_table(self) -> Result<Map<String, Value>, config::ConfigError>;
}

impl IntoTable for Config {
    fn try_deserialize_table(self) -> Result<Map<String, Value>, config::ConfigError> {
        self.cache.into_table()
    }
}
