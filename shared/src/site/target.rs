//! What a site's URL stands for: where to go, with which credentials, and how people may see it.

use std::fmt;

use super::endpoint::Endpoint;
use super::typed::{self, FORM, Typed};
use crate::config;
use crate::percent;
use base64::prelude::{BASE64_STANDARD, Engine};
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
    // What a URL's reader would drop or add may be what makes it look like a URL.
    let typed = typed::check_characters(text).and_then(|()| Typed::parse(text)).ok().filter(Typed::has_scheme);
    let url = typed.and_then(|typed| Url::parse(&typed.whole()).ok());
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
    fn what_cannot_be_checked_says_why_and_shows_no_credentials() {
        for (typed, message) in [
            (
                "ftp://u:p@example.com/x",
                r#""ftp://example.com/…": ftp cannot be checked: http, https, tcp, tls and dns can"#,
            ),
            (
                "htps://example.com",
                "a text of 18 characters: htps cannot be checked: http, https, tcp, tls and dns can",
            ),
            (
                "hunter2://example.com",
                "a text of 21 characters: this scheme cannot be checked: http, https, tcp, tls and dns can",
            ),
            ("https:/example.com", "a text of 18 characters: is not a URL: write it like https://example.com"),
            ("http:example.com", "a text of 16 characters: is not a URL: write it like https://example.com"),
            ("http:8080", "a text of 9 characters: is not a URL: write it like https://example.com"),
            ("//example.com", "a text of 13 characters: is not a URL: write it like https://example.com"),
            (
                "https:///example.com",
                "a text of 20 characters: is not a URL: empty host; write it like https://example.com",
            ),
            ("https://", "a text of 8 characters: is not a URL: empty host; write it like https://example.com"),
            ("tcp://a.test", r#""tcp://a.test": has no port: write it like tcp://host:port"#),
            (
                "tcp://u:p@a.test:1",
                r#""tcp://a.test:1": has credentials, which nobody would ask for: write it like tcp://host:port"#,
            ),
            ("tls://a.test/x", r#""tls://a.test/…": has more than a host and a port: write it like tls://host:port"#),
            ("dns://ns", r#""dns://ns": asks for no name: write it like dns://server/name?type=A"#),
            (
                "dns://ns/a.test?type=ANY",
                r#""dns://ns/…": asks for records of a type that is none of A, AAAA, CAA, CNAME, MX, NS, PTR, SOA, SRV, TXT"#,
            ),
            ("", "an empty text: is not a URL: write it like https://example.com"),
            (
                "a.test,b.test",
                "a text of 13 characters: has a host that is no name: letters, digits, `-`, `_` and single dots can stand there",
            ),
            (
                "https://a..test",
                r#""https://a..test": has a host that is no name: letters, digits, `-`, `_` and single dots can stand there"#,
            ),
            (
                "https://u:s3cret@example.com:99999",
                "a text of 34 characters: is not a URL: invalid port number; write it like https://example.com",
            ),
            (
                "https://u:s3/cret@example.com",
                "a text of 29 characters: is not a URL: invalid port number; write it like https://example.com",
            ),
            (
                "https://a@b@c.test",
                "a text of 18 characters: has more than one @ before its path: write those of a user name or password as %40",
            ),
            ("exa mple.com", r"a text of 12 characters: has a space in it: take it out, or write it as %20"),
            ("https://example.com:", "a text of 20 characters: has no port after its colon"),
            ("https://example.com:0", "a text of 21 characters: has port 0, on which nothing can listen"),
            ("https://example.com\\path", r"a text of 24 characters: has a \ in it: write / in its place"),
        ] {
            assert_eq!(Target::parse(typed).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn characters_that_a_url_reader_drops_or_hides_are_refused() {
        for (typed, what) in [
            ("https://a.test\nhttps://b.test", "has a line break in it"),
            ("https://a.test\r\nhttps://b.test", "has a line break in it"),
            ("https://a.test\n", "has a line break in it"),
            ("https://a.test/\tx", "has a tab in it"),
            ("https://a.test/x\0", "U+0000"),
            ("https://a.test/a b", "has a space in it"),
            ("\u{a0}https://a.test", "U+00A0"),
            ("\u{feff}https://a.test", "U+FEFF"),
            ("https://a.test/\u{202e}", "U+202E"),
            ("https://a\u{ad}b.test", "U+00AD"),
            ("https://a.test/\u{2028}", "U+2028"),
        ] {
            let told = Target::parse(typed).unwrap_err().to_string();
            assert!(told.contains(what), "{typed:?}: {told}");
        }
    }

    #[test]
    fn a_host_that_would_be_read_as_another_is_refused() {
        for typed in [
            "8080",
            "127.1",
            "0x7f.1",
            "1.2.3",
            "0x7f000001",
            "http://8080",
            "http://0177.0.0.1",
            "127.0.0.1.",
            "tcp://127.1:25",
            "tls://8080",
            "dns://8080/a.test",
            "\u{ff11}27.0.0.1",
            "http://%31%32%37.0.0.1",
        ] {
            let told = Target::parse(typed).unwrap_err().to_string();
            assert!(told.contains("has a number for a host, which would mean the address"), "{typed}: {told}");
        }
        for (typed, read) in [
            ("https://ex%61mple.com", "example.com"),
            ("https://\u{ff45}xample.com", "example.com"),
            ("https://example\u{3002}com", "example.com"),
            ("https://\u{2115}.test", "n.test"),
        ] {
            let told = Target::parse(typed).unwrap_err().to_string();
            assert!(
                told.contains(&format!("has a host that would be read as {read}: write it like that")),
                "{typed}: {told}"
            );
        }
        for typed in [
            "1.2.3.4",
            "http://127.0.0.1:8080",
            "https://EXAMPLE.com",
            "https://BÜCHER.example",
            "https://faß.de",
            "https://xn--bcher-kva.example",
            "https://日本語.jp",
            "localhost:8080",
            "_dmarc.example.com",
            "https://a.test/?u=http://b.test/",
            "https://medium.com/@user",
            "example.com/?u=http://b.test",
        ] {
            assert!(Target::parse(typed).is_ok(), "{typed}: {}", Target::parse(typed).unwrap_err());
        }
    }
}
