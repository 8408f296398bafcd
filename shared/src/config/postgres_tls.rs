//! `postgres.tls`, in libpq's words and meanings: <https://www.postgresql.org/docs/current/libpq-ssl.html>.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use rustls::pki_types::CertificateDer;
use url::Url;

use super::layers::Origin;
use super::{Scalar, Section, shown};
use crate::percent;
use crate::tls::{self, Identity, IdentityError};

/// How the way to PostgreSQL is protected; the later, the stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsMode {
    /// Plaintext.
    Disable,
    /// Encrypted; whom we speak to is not looked at, unless a CA is given: then as [`TlsMode::VerifyCa`].
    Require,
    /// The server's certificate is signed by the CA.
    VerifyCa,
    /// And it is for the host that we speak to.
    VerifyFull,
}

/// The settings of TLS, as they are named in the file or, in libpq's words, in the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsSetting {
    /// `mode`, `sslmode`
    Mode,
    /// `ca_file`, `sslrootcert`
    Ca,
    /// `cert_file`, `sslcert`
    Certificate,
    /// `key_file`, `sslkey`
    Key,
}

const SETTINGS: [TlsSetting; 4] = [TlsSetting::Mode, TlsSetting::Ca, TlsSetting::Certificate, TlsSetting::Key];

impl TlsSetting {
    fn in_section(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::Ca => "ca_file",
            Self::Certificate => "cert_file",
            Self::Key => "key_file",
        }
    }

    fn in_url(self) -> &'static str {
        match self {
            Self::Mode => "sslmode",
            Self::Ca => "sslrootcert",
            Self::Certificate => "sslcert",
            Self::Key => "sslkey",
        }
    }
}

impl fmt::Display for TlsSetting {
    /// As it is named in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres.tls.{}", self.in_section())
    }
}

/// TLS to PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresTls {
    /// How far it goes.
    pub mode: TlsMode,
    /// Whether nobody said so: it follows from where the server is.
    pub is_default: bool,
    /// The files it takes.
    pub files: TlsFiles,
}

/// The files of TLS; each is read anew for each connection, so that one that is replaced is taken up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authorities that are trusted; without it, the system's.
    pub ca: Option<PathBuf>,
    /// The client's certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// A file of TLS that is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {path} {reason}", path = shown::file(&file.to_string_lossy(), file))]
pub struct TlsFileProblem {
    /// The setting that names it.
    pub setting: TlsSetting,
    /// The file.
    pub file: PathBuf,
    /// Why, in words that complete "the file …".
    pub reason: String,
}

impl TlsFiles {
    /// The certificates of the authorities, where a file is given.
    ///
    /// # Errors
    /// When it is of no use.
    pub fn read_ca(&self) -> Result<Option<Vec<CertificateDer<'static>>>, TlsFileProblem> {
        let read = |file: &PathBuf| {
            let problem = |reason| TlsFileProblem { setting: TlsSetting::Ca, file: file.clone(), reason };
            tls::certificates(file).map_err(problem)
        };
        self.ca.as_ref().map(read).transpose()
    }

    /// The client's certificate and its key, where files are given.
    ///
    /// # Errors
    /// When one of them is of no use.
    pub fn read_identity(&self) -> Result<Option<Identity>, TlsFileProblem> {
        let Some((certificate, key)) = &self.identity else { return Ok(None) };
        let problem = |error| match error {
            IdentityError::Certificate(reason) => {
                TlsFileProblem { setting: TlsSetting::Certificate, file: certificate.clone(), reason }
            }
            IdentityError::Key(reason) => TlsFileProblem { setting: TlsSetting::Key, file: key.clone(), reason },
        };
        tls::identity(certificate, key).map(Some).map_err(problem)
    }
}

/// What of TLS stands in the URL.
#[derive(Debug, Default)]
pub(super) struct UrlTls {
    mode: Option<String>,
    ca: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

impl UrlTls {
    /// Takes libpq's settings of TLS out of `url`, of which the driver knows but some.
    pub(super) fn take(url: &mut Url) -> Self {
        let mut take = |setting: TlsSetting| take_from_query(url, setting.in_url());
        let [mode, ca, certificate, key] = SETTINGS.map(&mut take);
        Self { mode, ca, certificate, key }
    }

    /// What it says of the mode.
    pub(super) fn mode(&self) -> Option<&str> {
        self.mode.as_deref()
    }

    pub(super) const fn names_files(&self) -> bool {
        self.ca.is_some() || self.certificate.is_some() || self.key.is_some()
    }

    fn place(&mut self, setting: TlsSetting) -> &mut Option<String> {
        match setting {
            TlsSetting::Mode => &mut self.mode,
            TlsSetting::Ca => &mut self.ca,
            TlsSetting::Certificate => &mut self.certificate,
            TlsSetting::Key => &mut self.key,
        }
    }
}

/// A setting's value and where it stands, for what is to be said about it.
struct Said {
    value: String,
    origin: Origin,
    /// The key in the file.
    key: String,
    /// What comes before the words about it.
    lead: String,
}

/// Reads the settings from both places.
struct Reader {
    section: Section,
    in_url: UrlTls,
    url_origin: Origin,
}

impl Reader {
    /// What is said of `setting`; in both places it must be the same. Of two modes that protect the stricter counts, as services
    /// hand out URLs with `sslmode=require`.
    fn said(&mut self, setting: TlsSetting) -> Option<Said> {
        let key = setting.in_section();
        let origin = self.section.origin_of_key(key);
        let mut here = self.section.get::<String>(key);
        let there = self.in_url.place(setting).take();
        if let (Some(said), Some(in_url)) = (&here, &there)
            && said != in_url
        {
            match setting {
                TlsSetting::Mode if is_stricter(said, in_url) => {}
                TlsSetting::Mode if is_stricter(in_url, said) => here = None,
                _ => {
                    let from = if self.url_origin == Origin::Environment { " from the environment" } else { "" };
                    // Modes are a few words; the others are paths, in whose place a secret may stand.
                    let (said, said_there) = match (TlsMode::parse(said), TlsMode::parse(in_url)) {
                        (Some(mode), Some(other)) => (format!("\"{mode}\" "), format!("={other}")),
                        _ => (String::new(), String::new()),
                    };
                    let in_url = format!("{}{said_there} in postgres.url{from}", setting.in_url());
                    let message = format!("{said}contradicts {in_url}; keep one of the two");
                    self.section.wrong_at(&origin, &setting.to_string(), &message);
                    return None;
                }
            }
        }
        match (here, there) {
            (Some(value), _) => Some(Said { value, origin, key: setting.to_string(), lead: String::new() }),
            (None, Some(value)) => {
                let lead = format!("{}: ", setting.in_url());
                Some(Said { value, origin: self.url_origin.clone(), key: "postgres.url".into(), lead })
            }
            (None, None) => None,
        }
    }

    fn wrong(&self, said: &Said, message: impl fmt::Display) {
        self.section.wrong_at(&said.origin, &said.key, &format!("{}{message}", said.lead));
    }
}

impl PostgresTls {
    /// Reads the section `tls` of `postgres`, together with what the URL says. Mistakes are noted in it.
    pub(super) fn read(postgres: &mut Section, in_url: UrlTls, url: Option<(&Url, Origin)>) -> Option<Self> {
        let section = postgres.section("tls");
        let (url, url_origin) = url.map_or((None, section.origin_of_key("")), |(url, origin)| (Some(url), origin));
        let mut reader = Reader { section, in_url, url_origin };
        // sslrootcert=system is libpq's word for what is the default here.
        let is_system = reader.in_url.ca.take_if(|ca| ca == "system").is_some();
        let [mode, ca, certificate, key] = SETTINGS.map(|setting| reader.said(setting));
        let is_said = is_system || [&mode, &ca, &certificate, &key].iter().any(|said| said.is_some());
        let read = reader.mode(mode.as_ref());
        let identity = reader.both(certificate.as_ref(), key.as_ref());
        let tls = read.map(|read| Self {
            mode: read.unwrap_or_else(|| if is_said { TlsMode::VerifyFull } else { default_mode(url) }),
            is_default: !is_said,
            files: TlsFiles { ca: ca.as_ref().map(Said::path), identity },
        });
        if let Some(tls) = &tls {
            tls.check(&reader, url, [mode, ca, certificate, key].each_ref().map(Option::as_ref));
        }
        reader.section.finish();
        tls
    }

    /// What does not go together, and what the files are worth as they are now.
    fn check(&self, reader: &Reader, url: Option<&Url>, [mode, ca, certificate, key]: [Option<&Said>; 4]) {
        if self.mode == TlsMode::Disable {
            return;
        }
        if let Some(mode) = mode.filter(|_| self.mode == TlsMode::VerifyCa && self.files.ca.is_none()) {
            let told = "\"verify-ca\" without a ca_file would trust whomever a public authority knows, under any name: \
                        set ca_file, or verify-full";
            reader.wrong(mode, told);
        }
        let any = [mode, ca, certificate, key].into_iter().flatten().next();
        match any {
            _ if !url.is_some_and(has_unix_socket) => {}
            Some(said) => reader.wrong(said, "a Unix socket in postgres.url carries no TLS; take this out"),
            None => {
                let told = "a Unix socket carries no TLS, which a server elsewhere takes: name one of the two, or set \
                            postgres.tls.mode to disable";
                reader.section.wrong_at(&reader.url_origin, "postgres.url", told);
            }
        }
        if reader.section.is_others() {
            return;
        }
        if let Some((_, key)) = &self.files.identity {
            reader.section.note_secret_file(key);
        }
        let read = [self.files.read_ca().err(), self.files.read_identity().err()];
        for TlsFileProblem { setting, file, reason } in read.into_iter().flatten() {
            let said = match setting {
                TlsSetting::Ca => ca,
                TlsSetting::Certificate => certificate,
                TlsSetting::Key => key,
                TlsSetting::Mode => mode,
            };
            if let Some(said) = said {
                reader.wrong(said, format!("{} {reason}", shown::file(&said.value, &file)));
            }
        }
    }
}

impl Reader {
    /// The mode, where one is said; `None` where it is no mode.
    fn mode(&self, said: Option<&Said>) -> Option<Option<TlsMode>> {
        let Some(said) = said else { return Some(None) };
        let mode = TlsMode::parse(&said.value);
        if mode.is_none() {
            self.wrong(said, format!("{} is not {}", shown::word(&said.value), TlsMode::WHAT));
        }
        mode.map(Some)
    }

    fn both(&self, certificate: Option<&Said>, key: Option<&Said>) -> Option<(PathBuf, PathBuf)> {
        match (certificate, key) {
            (Some(certificate), Some(key)) => return Some((certificate.path(), key.path())),
            (None, None) => {}
            (Some(alone), None) => self.wrong(alone, "needs its key beside it, in `key_file`"),
            (None, Some(alone)) => self.wrong(alone, "needs its certificate beside it, in `cert_file`"),
        }
        None
    }
}

impl Said {
    fn path(&self) -> PathBuf {
        self.origin.folder().join(&self.value)
    }
}

/// Takes what the query of `url` says of `name` out of it; all else stays as it is written.
pub(super) fn take_from_query(url: &mut Url, name: &str) -> Option<String> {
    let query = url.query()?.to_owned();
    let (mut taken, mut rest) = (None, Vec::new());
    for piece in query.split('&') {
        match url::form_urlencoded::parse(piece.as_bytes()).next() {
            // A plus is a plus here, as in libpq.
            Some((key, _)) if key == name => {
                taken = Some(percent::decoded(piece.split_once('=').map_or("", |(_, value)| value)));
            }
            _ => rest.push(piece),
        }
    }
    if taken.is_some() {
        url.set_query(Some(rest.join("&")).filter(|rest| !rest.is_empty()).as_deref());
    }
    taken
}

/// Whether one mode protects as another does, and better.
fn is_stricter(one: &str, other: &str) -> bool {
    let modes = TlsMode::parse(one).zip(TlsMode::parse(other));
    modes.is_some_and(|(one, other)| one > other && other != TlsMode::Disable)
}

/// Nobody said anything. What stays on this machine needs no TLS. On any other way libpq would take what it gets
/// (`prefer`), which protects from nobody who can change it on the way; so it is all or nothing.
pub(super) fn default_mode(url: Option<&Url>) -> TlsMode {
    let is_here = |host: &str| {
        let host = host.trim_matches(['[', ']']);
        host == "localhost" || is_socket(host) || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    match url {
        Some(url) if hosts(url).iter().all(|host| is_here(host)) => TlsMode::Disable,
        _ => TlsMode::VerifyFull,
    }
}

fn has_unix_socket(url: &Url) -> bool {
    hosts(url).iter().any(|host| is_socket(host))
}

fn is_socket(host: &str) -> bool {
    host.starts_with('/') || host.starts_with("%2F") || host.starts_with("%2f")
}

/// All hosts of a URL, and the addresses that are to be used for them.
fn hosts(url: &Url) -> Vec<String> {
    let first = url.host_str().map(str::to_owned);
    let others = url.query_pairs().filter(|(name, _)| name == "host" || name == "hostaddr");
    first
        .into_iter()
        .chain(others.flat_map(|(_, value)| value.split(',').map(str::to_owned).collect::<Vec<_>>()))
        .collect()
}

impl Scalar for TlsMode {
    const WHAT: &'static str = "a mode: disable, require, verify-ca or verify-full (prefer and allow protect from nobody who can change what passes)";
    const HARMLESS: bool = true;

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "disable" => Self::Disable,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

impl fmt::Display for TlsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disable => "disable",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        })
    }
}
