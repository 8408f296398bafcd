//! libpq's password file: <https://www.postgresql.org/docs/current/libpq-pgpass.html>.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use isitup_shared::secret::Secret;

/// A server, a database and a user that a line may be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: String,
    pub(super) user: String,
}

/// Where the file is to be.
pub(super) fn path() -> Option<PathBuf> {
    let told = env::var_os("PGPASSFILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    told.or_else(|| env::home_dir().map(|home| home.join(".pgpass")))
}

/// The password for the first of `places` that has one, and the file that it stands in.
pub(super) fn look_up(places: &[Place]) -> Option<(PathBuf, Secret)> {
    let file = path()?;
    let meta = fs::metadata(&file).ok().filter(fs::Metadata::is_file)?;
    if meta.mode() & 0o077 != 0 {
        static TOLD: AtomicBool = AtomicBool::new(false);
        if !TOLD.swap(true, Ordering::Relaxed) {
            let file = file.display();
            log::warn!("{file} is not read, as others than its owner may: close it with chmod 600 {file}");
        }
        return None;
    }
    let text = fs::read_to_string(&file).ok()?;
    let password = places.iter().find_map(|place| find(&text, place))?;
    Some((file, password))
}

/// The password of the first line that is for `place`.
fn find(text: &str, place: &Place) -> Option<Secret> {
    let port = place.port.to_string();
    let wanted = [&place.host, &port, &place.database, &place.user];
    let matches = |line: &str| {
        let fields = fields(line)?;
        let (password, pattern) = fields.split_last()?;
        let is_for = pattern.iter().zip(wanted).all(|(field, wanted)| field.is_any || field.text == *wanted);
        is_for.then(|| Secret::new(&*password.text))
    };
    text.lines().filter(|line| !line.starts_with('#')).find_map(matches)
}

struct Field {
    text: String,
    /// A bare `*`.
    is_any: bool,
}

/// The five fields of a line; a backslash makes the next character an ordinary one. What follows the fifth is ignored.
fn fields(line: &str) -> Option<[Field; 5]> {
    let mut fields = Vec::new();
    let (mut text, mut is_escaped) = (String::new(), false);
    let mut characters = line.chars();
    while fields.len() < 5 {
        match characters.next() {
            Some('\\') => {
                text.extend(characters.next());
                is_escaped = true;
            }
            Some(':') | None => {
                let is_any = text == "*" && !is_escaped;
                fields.push(Field { text: std::mem::take(&mut text), is_any });
                is_escaped = false;
                if fields.len() < 5 && characters.as_str().is_empty() && !line.ends_with(':') {
                    return None;
                }
            }
            Some(other) => text.push(other),
        }
    }
    fields.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(file: &str) -> Option<String> {
        let place = Place { host: "db".into(), port: 5433, database: "isitup".into(), user: "u:s\\er".into() };
        find(file, &place).map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn the_first_line_that_fits_counts() {
        for (file, expected) in [
            ("db:5433:isitup:u\\:s\\\\er:first\n*:*:*:*:second", Some("first")),
            ("other:*:*:*:no\n*:*:*:*:any", Some("any")),
            ("# db:5433:isitup:u\\:s\\\\er:comment\n*:5433:*:*:port", Some("port")),
            ("*:5432:*:*:another port", None),
            ("*:*:\\*:*:an asterisk is a name when escaped", None),
            ("*:*:*:*:with \\: and \\\\ and blanks ", Some("with : and \\ and blanks ")),
            ("*:*:*:*:word:more", Some("word")),
            ("too:few:fields\n*:*:*:*:well", Some("well")),
            ("*:*:*:*:", Some("")),
            ("", None),
        ] {
            assert_eq!(password(file).as_deref(), expected, "{file}");
        }
    }
}
