//! Secrets: each may stand in the file itself, in a file or variable of its own, or be what a command prints.

use std::env::{self, VarError};
use std::path::Path;

use config::{Value, ValueKind};

use super::{Section, shown, text_of};
use crate::config::layers::Origin;
use crate::config::problems::Problem;
use crate::config::secrets::{self, Credential, SHELL, SecretCommand, SecretSource};
use crate::secret::Secret;

/// A secret that is configured.
#[derive(Clone, Debug)]
pub enum Found {
    /// And was read.
    Read(Secret),
    /// And lies in a file, a variable or a command of another service, which were not looked at.
    Unread,
}

impl Found {
    /// The secret, where it was read.
    pub fn read(self) -> Option<Secret> {
        match self {
            Self::Read(secret) => Some(secret),
            Self::Unread => None,
        }
    }
}

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
    pub fn secret(&mut self, key: &str) -> Option<Found> {
        self.found_beside(key, None).map(|found| match found {
            Some(credential) => Found::Read(credential.secret),
            None => Found::Unread,
        })
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
        self.found_beside(key, elsewhere).flatten()
    }

    /// `None` where there is none, or a wrong one; within it `None` where it is another service's, and not looked at.
    fn found_beside(&mut self, key: &str, elsewhere: Option<(&str, Secret, Origin)>) -> Option<Option<Credential>> {
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
            self.reading.note(&first.origin, &self.key_path(&first.name), message);
            return None;
        }
        self.read_secret(first)
    }

    fn read_secret(&self, Given { way, name, origin }: Given) -> Option<Option<Credential>> {
        let path = if matches!(way, Way::Elsewhere(_)) { name } else { self.key_path(&name) };
        let read = match way {
            Way::Elsewhere(secret) => Ok((secret, SecretSource::Given)),
            Way::Inline(value) => match text_of(&value) {
                Some(text) => Ok((Secret::new(text), SecretSource::Given)),
                None => Err(Why::from(format!("{} is not a text", shown::kind(&value)))),
            },
            Way::File(value) => {
                let name = self.parse::<String>(&path, &value)?;
                if self.is_others() {
                    return Some(None);
                }
                self.secret_from_file(&name, &origin).map_err(Why::from)
            }
            Way::Variable(value) => {
                let name = self.parse::<String>(&path, &value)?;
                if self.is_others() {
                    return Some(None);
                }
                secret_from_variable(&name).map_err(Why::from)
            }
            Way::Command(value) => match command_of(value, &origin) {
                Ok(_) if self.is_others() => return Some(None),
                Ok(command) => {
                    let file = origin.file().map(Path::to_owned);
                    self.reading.sources.borrow_mut().files_with_commands.extend(file);
                    run(command)
                }
                Err(why) => Err(why),
            },
        };
        match read {
            Ok((secret, source)) => Some(Some(Credential { secret, setting: path, source })),
            Err(why) => {
                let problem = Problem::new(origin.place(&path), path, why.message);
                self.reading.problems.borrow_mut().push(Problem { is_passing: why.is_passing, ..problem });
                None
            }
        }
    }

    fn secret_from_file(&self, name: &str, origin: &Origin) -> Result<(Secret, SecretSource), String> {
        let file = origin.folder().join(name);
        self.note_secret_file(&file);
        let secret = secrets::read_file(&file).map_err(|reason| format!("{} {reason}", shown::file(name, &file)))?;
        Ok((secret, SecretSource::File(file)))
    }
}

fn secret_from_variable(name: &str) -> Result<(Secret, SecretSource), String> {
    let shown = shown::variable(name);
    match env::var(name) {
        Ok(text) if text.is_empty() => Err(format!("{shown} {}", secrets::EMPTY)),
        Ok(text) => Ok((Secret::new(text), SecretSource::Given)),
        Err(VarError::NotPresent) => Err(format!("{shown} is not set in the environment")),
        Err(VarError::NotUnicode(_)) => Err(format!("{shown} is not UTF-8 in the environment")),
    }
}

/// A list is a program and its arguments; a text is run by the shell.
fn command_of(value: Value, origin: &Origin) -> Result<SecretCommand, Why> {
    const WANTED: &str = "is no command: a text for the shell, or a list of a program and its arguments";
    let argv = match value.kind {
        ValueKind::Array(items) => {
            let words: Option<Vec<String>> = items.iter().map(|item| text_of(item).map(str::to_owned)).collect();
            words.filter(|words| !words.is_empty()).ok_or_else(|| WANTED.to_owned())?
        }
        ValueKind::String(text) => SHELL.map(str::to_owned).into_iter().chain([text]).collect(),
        _ => return Err(WANTED.to_owned().into()),
    };
    Ok(SecretCommand { argv, folder: origin.folder().to_owned() })
}

fn run(command: SecretCommand) -> Result<(Secret, SecretSource), Why> {
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
