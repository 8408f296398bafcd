//! A URL as it was typed, held against what the URL standard makes of it.
//!
//! The standard drops line breaks and tabs, takes `\\` for `/`, `8080` for the address 0.0.31.144 and full-width letters for
//! plain ones. A browser's user sees what became of it; whoever writes a list of sites does not.

use url::Host;

use super::label::is_hidden;

/// What to write.
pub(super) const FORM: &str = "write it like https://example.com";

/// Longer URLs are refused by many servers, and an event has no room for them.
const LONGEST: usize = 2048;

/// Words that are a scheme, and hardly a host.
const SCHEMES: [&str; 6] = ["http", "https", "tcp", "tls", "dns", "ftp"];

/// A URL as typed, in the parts that its host follows from.
pub(super) struct Typed<'a> {
    text: &'a str,
    has_scheme: bool,
    host: &'a str,
}

/// Refuses what cannot be seen, and what separates one URL from the next.
pub(super) fn check_characters(text: &str) -> Result<(), String> {
    if text.len() > LONGEST {
        return Err(format!("has more than {LONGEST} bytes"));
    }
    match text.chars().find(|&c| c == ' ' || is_hidden(c)) {
        None => Ok(()),
        Some('\n' | '\r') => Err("has a line break in it: write each URL as an item of its own".into()),
        Some('\t') => Err("has a tab in it: take it out".into()),
        Some(' ') => Err("has a space in it: take it out, or write it as %20".into()),
        Some(c) => Err(format!("has an invisible character in it (U+{:04X}): take it out", u32::from(c))),
    }
}

impl<'a> Typed<'a> {
    /// Takes `text` apart.
    pub(super) fn parse(text: &'a str) -> Result<Self, String> {
        let is_scheme = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        };
        let after_scheme = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)).map(|(_, rest)| rest);
        let has_scheme = after_scheme.is_some();
        let rest = after_scheme.unwrap_or(text);
        let head = rest.split(['?', '#']).next().unwrap_or_default();
        if head.contains('\\') {
            return Err("has a \\ in it: write / in its place".into());
        }
        let authority = head.split('/').next().unwrap_or_default();
        if authority.matches('@').count() > 1 {
            return Err("has more than one @ before its path: write those of a user name or password as %40".into());
        }
        let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, after)| after);
        let (host, port) = match host_and_port.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (host_and_port, None),
        };
        if has_scheme && host_and_port.is_empty() {
            return Err(format!("is not a URL: empty host; {FORM}"));
        }
        let is_number = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
        if host.is_empty()
            || (!has_scheme
                && (port.is_some_and(|port| port.is_empty() || !is_number(port)) || SCHEMES.contains(&host)))
        {
            return Err(format!("is not a URL: {FORM}"));
        }
        match port {
            Some("") => Err("has no port after its colon".into()),
            Some(port) if is_number(port) && port.bytes().all(|b| b == b'0') => {
                Err("has port 0, on which nothing can listen".into())
            }
            _ => Ok(Self { text, has_scheme, host }),
        }
    }

    /// Whether it has a scheme of its own.
    pub(super) fn has_scheme(&self) -> bool {
        self.has_scheme
    }

    /// With the scheme that a bare name means.
    pub(super) fn whole(&self) -> String {
        if self.has_scheme { self.text.to_owned() } else { format!("https://{}", self.text) }
    }

    /// Refuses a host that was read as another one than it looks like.
    pub(super) fn check_host(&self, read: &Host<String>) -> Result<(), String> {
        let typed = self.host.to_lowercase();
        match read {
            Host::Ipv6(_) => Ok(()),
            Host::Ipv4(address) if typed == address.to_string() => Ok(()),
            Host::Ipv4(address) => Err(format!(
                "has a number for a host, which would mean the address {address}: write the host's name, or the four \
                 numbers of its address, such as http://localhost:8080 or http://192.0.2.1"
            )),
            Host::Domain(name) if !is_host_name(name) => {
                Err("has a host that is no name: letters, digits, `-`, `_` and single dots can stand there".into())
            }
            Host::Domain(name) if *name == typed => Ok(()),
            Host::Domain(name) => {
                let is_itself = !typed.is_ascii() && idna::domain_to_unicode(name).0 == typed;
                if is_itself {
                    Ok(())
                } else {
                    Err(format!("has a host that would be read as {name}: write it like that"))
                }
            }
        }
    }
}

/// Whether `name` could be resolved: the standard lets `a.test,b.test` pass. One dot may stand at its end.
fn is_host_name(name: &str) -> bool {
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    name.strip_suffix('.').unwrap_or(name).split('.').all(is_label)
}
