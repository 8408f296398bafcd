//! What a site's URL stands for: where to go, with which credentials, and how people may see it.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine};
use super::endpoint::Endpoint;
use super::typed::{self, FORM, Typed};
use crate::config;
use crate::percent;
use http::header::HeaderValue;
use url::Url;


/// A URL that can be checked, its credentials kept apart.
#[derive(Clone, Debug)]
pub struct Target {
    /// What is checked.
    pub endpoint: Endpoint,
    /// As people may see it: the URL without credentials, with a closing `/` only where one was written.
    pub shown: String,
    /// The credentials as a sensitive `Authorization` header.
    pub authorization: Option<HeaderValue>,
}

/// Why a text is no URL that can be checked. Of the text it shows the scheme and host at most, and only where it could be
/// read: anything else may be a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{shown}: {reason}")]
pub struct TargetError {
    shown: String,
    reason: String,
}

impl Target {
    /// Reads a URL, or a bare name such as `example.com`, which means `https://example.com`.
    ///
    /// A text that the URL standard would read as something else than what stands there is refused: line breaks are not
    /// dropped, `8080` is no address, and a host is what it looks like.
    ///
    /// # Errors
    /// When it is no URL, or one of a scheme that cannot be checked.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let text = text.trim_matches(' ');
        Self::read(text).map_err(|reason| TargetError { shown: in_messages(text), reason })
    }

    fn read(text: &str) -> Result<Self, String> {
        typed::check_characters(text)?;
        let typed = Typed::parse(text)?;
        let url = Url::parse(&typed.whole()).map_err(|error| format!("is not a URL: {error}; {FORM}"))?;
        if matches!(url.scheme(), "http" | "https") {
            typed.check_host(&url.host().ok_or("has no host")?.to_owned())?;
            return Ok(Self::http(url, text));
        }
        let endpoint = Endpoint::of_other_scheme(&url)?;
        match &endpoint {
            Endpoint::Tcp(address) | Endpoint::Tls(address) => typed.check_host(&address.host)?,
            Endpoint::Dns(question) => typed.check_host(&question.server.host)?,
            Endpoint::Http(_) => {}
        }
        let shown = endpoint.normal();
        Ok(Self { endpoint, shown, authorization: None })
    }

    fn http(mut url: Url, typed: &str) -> Self {
        let authorization = credentials(&url).map(|pair| basic_authorization(&pair));
        // These fail only for URLs that cannot have credentials, which http and https can.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        let shown = shown(&url, typed);
        Self { endpoint: Endpoint::Http(url), shown, authorization }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// `text` as a message may show it: scheme, host and port where it is a URL of a well-known scheme, without credentials,
/// path and query; else its length.
fn in_messages(text: &str) -> String {
    const KNOWN: [&str; 11] = ["http", "https", "tcp", "tls", "dns", "ftp", "ws", "wss", "udp", "icmp", "file"];
    let url = Typed::parse(text).ok().and_then(|typed| Url::parse(&typed.whole()).ok());
    let cleaned = url.filter(|url| KNOWN.contains(&url.scheme())).and_then(|url| {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let has_more = url.path().len() > 1 || url.query().is_some();
        Some(format!("{}://{}{port}{}", url.scheme(), url.host_str()?, if has_more { "/…" } else { "" }))
    });
    cleaned.map_or_else(|| config::shown::text(text), |cleaned| format!("{cleaned:?}"))
}

/// The URL in its normal form, save that a bare `https://example.com` gets no `/` that nobody wrote: it is the site's
/// name, and people look for it as they typed it.
fn shown(url: &Url, typed: &str) -> String {
    let normal = url.as_str();
    let is_bare = url.path() == "/" && url.query().is_none();
    let typed = typed.split('#').next().unwrap_or_default();
    if is_bare && !typed.ends_with('/') { normal.trim_end_matches('/').to_owned() } else { normal.to_owned() }
}

fn credentials(url: &Url) -> Option<String> {
    let (user, password) = (url.username(), url.password());
    (!user.is_empty() || password.is_some())
        .then(|| format!("{}:{}", percent::decoded(user), percent::decoded(password.unwrap_or_default())))
}

pub(crate) fn basic_authorization(pair: &str) -> HeaderValue {
    // Base64 is always valid in a header; the fallback only spares an `expect`.
    let mut value = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(pair)))
        .unwrap_or_else(|_| HeaderValue::from_static("Basic"));
    value.set_sensitive(true);
    value
}

/// `text` with all that may be credentials replaced, for messages. Rather too much than too little.
pub fn redacted(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((before, after)) => {
            let scheme = before.split_once("://").map(|(scheme, _)| format!("{scheme}://")).unwrap_or_default();
            format!("{scheme}***@{after}")
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_means_https_and_keeps_its_name() {
        for (typed, url, shown) in [
            ("example.com", "https://example.com/", "https://example.com"),
            ("example.com:8443/a", "https://example.com:8443/a", "https://example.com:8443/a"),
            (" HTTP://Example.com/ ", "http://example.com/", "http://example.com/"),
            ("http://example.com:80#top", "http://example.com/", "http://example.com"),
            ("[::1]:80", "https://[::1]:80/", "https://[::1]:80"),
            ("tcp://Example.com:25", "tcp://example.com:25", "tcp://example.com:25"),
            ("tls://[::1]", "tls://[::1]:443", "tls://[::1]:443"),
            (
                "dns://192.0.2.53/example.com",
                "dns://192.0.2.53:53/example.com?type=A",
                "dns://192.0.2.53:53/example.com?type=A",
            ),
            ("dns://ns:5353/a.test?type=mx", "dns://ns:5353/a.test?type=MX", "dns://ns:5353/a.test?type=MX"),
            ("https://bücher.example", "https://xn--bcher-kva.example/", "https://xn--bcher-kva.example"),
        ] {
            let target = Target::parse(typed).unwrap();
            assert_eq!((target.endpoint.normal().as_str(), target.shown.as_str()), (url, shown), "{typed}");
        }
    }

    #[test]
    fn credentials_are_kept_apart_and_never_shown() {
        let target = Target::parse("https://us%65r:p%40ss+&@example.com/x").unwrap();
        assert_eq!(target.endpoint.normal(), "https://example.com/x");
        assert_eq!(target.authorization.as_ref().unwrap().to_str().unwrap(), "Basic dXNlcjpwQHNzKyY=");
        assert!(!format!("{target:?}").contains("dXNl"), "{target:?}");
    }

    #[test]
    fn what_cannot_be_checked_says_why_and_keeps_credentials_to_itself() {
        for (typed, message) in [
            ("ftp://example.com", r#""ftp://example.com": ftp cannot be checked: http, https, tcp, tls and dns can"#),
            ("https:/example.com", r#""https:/example.com": is not a URL: write it like https://example.com"#),
            ("tcp://a.test", r#""tcp://a.test": has no port: write it like tcp://host:port"#),
            ("tls://a.test/x", r#""tls://a.test/x": has more than a host and a port: write it like tls://host:port"#),
            ("dns://ns", r#""dns://ns": asks for no name: write it like dns://server/name?type=A"#),
            (
                "dns://ns/a.test?type=ANY",
                r#""dns://ns/a.test?type=ANY": asks for records of type "ANY": A, AAAA, CAA, CNAME, MX, NS, PTR, SOA, SRV, TXT can be"#,
            ),
            ("", r#""": is not a URL: write it like https://example.com"#),
            (
                "https://u:s3cret@example.com:99999",
                r#""https://***@example.com:99999": is not a URL: invalid port number; write it like https://example.com"#,
            ),
            (
                "exa mple.com",
                r#""exa mple.com": is not a URL: invalid international domain name; write it like https://example.com"#,
            ),
        ] {
            assert_eq!(Target::parse(typed).unwrap_err().to_string(), message);
        }
    }
}
