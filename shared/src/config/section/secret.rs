//! Secrets: each may stand in the file itself, in a file or variable of its own, or be what a command prints.

use std::env::{self, VarError};
use std::path::Path;

use config::{Value, ValueKind};

use super::{Section, note, text_of};
use crate::config::layers::Origin;
use crate::config::problems::Problem;
use crate::config::secrets::{self, Credential, SHELL, SecretCommand, SecretSource};
use crate::secret::Secret;

/// How a secret was given.
enum Way {
    /// As it is.
    Inline(Value),
    /// As the name of a file.
    File(Value),
    /// As the name of an environment variable.
    Variable(Value),
    /// As a command that prints it.
    Command(Value),
    /// As a part of another setting.
    Elsewhere(Secret),
}

/// Why there is none.
struct Why {
    message: String,
    /// A vault that is away now may be there in a minute; a mistake stays.
    is_passing: bool,
}

impl From<String> for Why {
    fn from(message: String) -> Self {
        Self { message, is_passing: false }
    }
}

/// A way and where it stands.
struct Given {
    way: Way,
    /// The setting, for people.
    name: String,
    origin: Origin,
}

impl Section {
    /// The secret at `key`, in the file that `key` + `_file` names, in the environment variable that `key` + `_env` names,
    /// or printed by `key` + `_command`. Two of them in one layer are a mistake; of two layers the environment wins.
    pub fn secret(&mut self, key: &str) -> Option<Secret> {
        self.credential(key).map(|credential| credential.secret)
    }

    /// The same, and how it is had anew.
    pub fn credential(&mut self, key: &str) -> Option<Credential> {
        self.credential_beside(key, None)
    }

    /// The same where the secret may also be a part of another setting: its name, and where that stands.
    pub(in crate::config) fn credential_beside(
        &mut self,
        key: &str,
        elsewhere: Option<(&str, Secret, Origin)>,
    ) -> Option<Credential> {
        let mut given = Vec::new();
        let mut look = |end: &str, way: fn(Value) -> Way| {
            let name = format!("{key}{end}");
            if let Some(value) = self.take(&name) {
                given.push(Given { origin: self.origin_of(&value), way: way(value), name });
            }
        };
        look("", Way::Inline);
        look("_file", Way::File);
        look("_env", Way::Variable);
        look("_command", Way::Command);
        if let Some((name, secret, origin)) = elsewhere {
            given.push(Given { way: Way::Elsewhere(secret), name: name.to_owned(), origin });
        }
        let overrides = given.iter().any(|given| given.origin == Origin::Environment);
        let mut chosen = given.into_iter().filter(|given| !overrides || given.origin == Origin::Environment);
        let first = chosen.next()?;
        if let Some(second) = chosen.next() {
            let message = format!("stands beside {}; keep one of the two", second.name);
            note(&self.found, &first.origin, &self.key_path(&first.name), message);
            return None;
        }
        self.read_secret(first)
    }

    fn read_secret(&self, Given { way, name, origin }: Given) -> Option<Credential> {
        let path = if matches!(way, Way::Elsewhere(_)) { name } else { self.key_path(&name) };
        let read = match way {
            Way::Elsewhere(secret) => Ok((secret, SecretSource::Given)),
            Way::Inline(value) => match text_of(&value) {
                Some(text) => Ok((Secret::new(text), SecretSource::Given)),
                None => Err(Why::from("is not a text".to_owned())),
            },
            Way::File(value) => {
                self.secret_from_file(&self.parse::<String>(&path, &value)?, &origin).map_err(Why::from)
            }
            Way::Variable(value) => secret_from_variable(&self.parse::<String>(&path, &value)?).map_err(Why::from),
            Way::Command(value) => secret_from_command(value, &origin),
        };
        match read {
            Ok((secret, source)) => Some(Credential { secret, setting: path, source }),
            Err(why) => {
                let problem = Problem::new(origin.place(&path), path, why.message);
                self.found.borrow_mut().push(Problem { is_passing: why.is_passing, ..problem });
                None
            }
        }
    }

    fn secret_from_file(&self, name: &str, origin: &Origin) -> Result<(Secret, SecretSource), String> {
        let file = origin.folder().join(name);
        self.files.borrow_mut().push(file.clone());
        let secret = secrets::read_file(&file).map_err(|reason| format!("{name:?} {reason}"))?;
        Ok((secret, SecretSource::File(file)))
    }
}

fn secret_from_variable(name: &str) -> Result<(Secret, SecretSource), String> {
    match env::var(name) {
        Ok(text) if text.is_empty() => Err(format!("{name:?} {}", secrets::EMPTY)),
        Ok(text) => Ok((Secret::new(text), SecretSource::Given)),
        Err(VarError::NotPresent) => Err(format!("{name:?} is not set in the environment")),
        Err(VarError::NotUnicode(_)) => Err(format!("{name:?} is not UTF-8 in the environment")),
    }
}

/// A list is a program and its arguments; a text is run by the shell.
fn secret_from_command(value: Value, origin: &Origin) -> Result<(Secret, SecretSource), Why> {
    const WANTED: &str = "is no command: a text for the shell, or a list of a program and its arguments";
    let argv = match value.kind {
        ValueKind::Array(items) => {
            let words: Option<Vec<String>> = items.iter().map(|item| text_of(item).map(str::to_owned)).collect();
            words.filter(|words| !words.is_empty()).ok_or_else(|| WANTED.to_owned())?
        }
        ValueKind::String(text) => SHELL.map(str::to_owned).into_iter().chain([text]).collect(),
        _ => return Err(WANTED.to_owned().into()),
    };
    let command = SecretCommand { argv, folder: origin.folder().to_owned() };
    let failed = |reason| Why { message: format!("the command {reason}"), is_passing: true };
    let secret = command.run().map_err(failed)?;
    Ok((secret, SecretSource::Command(command)))
}

impl Origin {
    /// As every path in the file, those of secrets start from the file's folder; in the environment, from the working
    /// folder.
    pub(in crate::config) fn folder(&self) -> &Path {
        self.file().and_then(Path::parent).unwrap_or(Path::new(""))
    }
}
