//! The `postgres` section.

use std::fmt;

use url::Url;

use super::postgres_tls::{UrlTls, default_mode, take_from_query};
use super::{Credential, PostgresTls, Scalar, SecretSource, Section, TlsMode, postgres_options};
use crate::percent;
use crate::secret::Secret;

const DEFAULT_PORT: u16 = 5432;

/// How to reach PostgreSQL, and which schema to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresConfig {
    /// `postgres://user@host:port/database`, its password and what it says of TLS taken out. More servers stand in its
    /// query.
    pub url: Url,
    /// The password, from the URL or one of the settings of the secret `password`.
    pub password: Option<Credential>,
    /// The schema that holds all tables and views.
    pub schema: SchemaName,
    /// How the way there is protected.
    pub tls: PostgresTls,
}

impl PostgresConfig {
    /// Reads the section `postgres` of `root`. The URL may be missing unless it `is_needed`.
    pub fn read(root: &mut Section, is_needed: bool) -> Option<Self> {
        let mut section = root.section("postgres");
        let origin = section.origin_of_key("url");
        let purpose = "where the results are stored, such as postgres://isitup@postgres:5432/isitup";
        let url = if is_needed { section.require("url", purpose) } else { section.get::<PostgresUrl>("url") };
        let (url, in_url, tls_in_url) = match url {
            Some(PostgresUrl { url, password, tls }) => (Some(url), password, tls),
            None => (None, None, UrlTls::default()),
        };
        if let Some(problem) = url.as_ref().and_then(postgres_options::problem) {
            section.wrong_at(&origin, "postgres.url", &problem);
        }
        let beside = in_url.map(|password| ("the password in postgres.url", password, origin.clone()));
        let password = section.credential_beside("password", beside);
        let schema = section.get("schema").unwrap_or_else(|| SchemaName("isitup".into()));
        let tls = PostgresTls::read(&mut section, tls_in_url, url.as_ref().map(|url| (url, origin)));
        section.finish();
        Some(Self { url: url?, password, schema, tls: tls? })
    }

    /// The user that the URL names.
    pub fn user(&self) -> Option<String> {
        Some(percent::decoded(self.url.username())).filter(|user| !user.is_empty())
    }

    /// The database that the URL names.
    pub fn database(&self) -> Option<String> {
        Some(percent::decoded(self.url.path().trim_start_matches('/'))).filter(|name| !name.is_empty())
    }

    /// The same server for another user, named by a URL with what its password is. Its `sslmode` may take TLS out or make it
    /// stricter.
    ///
    /// # Errors
    /// What the URL should be, without repeating it.
    pub fn with_url(&self, text: &str) -> Result<Self, &'static str> {
        let PostgresUrl { url, password, tls: said } = PostgresUrl::parse(text).ok_or(PostgresUrl::WHAT)?;
        if said.names_files() {
            return Err("a URL without sslrootcert, sslcert and sslkey: the files of postgres.tls count");
        }
        let given = |secret| Credential { secret, setting: "the URL".into(), source: SecretSource::Given };
        let mut tls = self.tls.clone();
        if tls.is_default {
            // What nobody said follows from where this server is, not from where the other one is.
            tls.mode = default_mode(Some(&url));
        }
        if let Some(mode) = said.mode() {
            let mode = TlsMode::parse(mode).ok_or(TlsMode::WHAT)?;
            tls.mode = if mode == TlsMode::Disable { mode } else { mode.max(tls.mode) };
        }
        Ok(Self { url, password: password.map(given), schema: self.schema.clone(), tls })
    }
}

/// A schema's name that needs no escaping: `[a-z_][a-z0-9_]{0,62}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaName(String);

impl SchemaName {
    /// The bare name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SchemaName {
    /// The name in double quotes, as SQL wants it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

impl Scalar for SchemaName {
    const WHAT: &'static str = "a schema's name: a-z or _, then up to 62 of a-z, 0-9 and _";
    const HARMLESS: bool = true;

    fn parse(text: &str) -> Option<Self> {
        let mut bytes = text.bytes();
        let well = bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
            && text.len() <= 63
            && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        well.then(|| Self(text.to_owned()))
    }
}

struct PostgresUrl {
    url: Url,
    password: Option<Secret>,
    tls: UrlTls,
}

impl Scalar for PostgresUrl {
    const WHAT: &'static str = "a PostgreSQL URL, such as postgres://isitup@postgres:5432/isitup";

    fn parse(text: &str) -> Option<Self> {
        // A URL's reader drops line breaks and tabs in silence.
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return None;
        }
        let mut url = parse_url(text)?;
        let well =
            matches!(url.scheme(), "postgres" | "postgresql") && url.host_str().is_some_and(|host| !host.is_empty());
        if !well || url.fragment().is_some() {
            return None;
        }
        let password = url.password().map(|encoded| Secret::new(percent::decoded(encoded)));
        url.set_password(None).ok()?;
        let password = take_from_query(&mut url, "password").map(Secret::new).or(password);
        let tls = UrlTls::take(&mut url);
        Some(Self { url, password, tls })
    }
}

/// Reads a URL that may name several servers, `postgres://user@a:5432,b:5432/database`, as those of libpq may. All but
/// the first go where the driver reads them, too: `?host=b&port=5432`.
fn parse_url(text: &str) -> Option<Url> {
    let (scheme, rest) = text.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at_checked(end)?;
    let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
    let Some((first, others)) = hosts.split_once(',') else { return Url::parse(text).ok() };
    let at = if authority.contains('@') { "@" } else { "" };
    let mut url = Url::parse(&format!("{scheme}://{user}{at}{first}{tail}")).ok()?;
    if url.port().is_none() {
        url.set_port(Some(DEFAULT_PORT)).ok()?;
    }
    for other in others.split(',') {
        let other = Url::parse(&format!("postgres://{other}")).ok().filter(|other| other.username().is_empty())?;
        let host = other.host_str().filter(|host| !host.is_empty())?.to_owned();
        let port = other.port().unwrap_or(DEFAULT_PORT).to_string();
        url.query_pairs_mut().append_pair("host", host.trim_matches(['[', ']'])).append_pair("port", &port);
    }
    Some(url)
}
