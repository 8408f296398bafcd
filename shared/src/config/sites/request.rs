//! Reads what is asked of a site: method, headers, body and credentials.

use std::sync::Arc;

use crate::config::{Found, Section, shown};
use crate::secret::Secret;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT};

use super::settings::{Place, Reader};
use crate::site::endpoint::Kind;
use crate::site::target::basic_authorization;
use crate::site::{MethodName, Request};

const KEYS: [&str; 12] = [
    "method",
    "headers",
    "body",
    "body_file",
    "body_env",
    "body_command",
    "user_agent",
    "basic_auth",
    "bearer_token",
    "bearer_token_file",
    "bearer_token_env",
    "bearer_token_command",
];

/// Headers that belong to the connection, which the checker manages.
const MANAGED_HEADERS: [&str; 8] =
    ["connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

impl Reader<'_> {
    pub(super) fn request(&mut self, section: &mut Section, place: Place<'_>, base: &Request) -> Request {
        if !place.is_for(&[Kind::Http], section, &KEYS) {
            return base.clone();
        }
        let method = section.get::<MethodName>("method").map(|method| method.0);
        let mut headers = self.headers(section, place.path, &base.headers);
        self.user_agent(section, place.path, &mut headers);
        self.authorization(section, place.path, &mut headers);
        let body = section.secret("body").and_then(Found::read).map(Arc::new).or_else(|| base.body.clone());
        Request { method: method.unwrap_or_else(|| base.method.clone()), headers, body }
    }

    fn headers(&mut self, section: &mut Section, path: &str, base: &HeaderMap) -> HeaderMap {
        let place = section.place_of("headers");
        let mut headers = base.clone();
        for (name, value) in section.map("headers") {
            match header(&name, &value) {
                Ok((name, value)) => drop(headers.insert(name, value)),
                // The value may be a secret, and so is not shown.
                Err(message) => {
                    self.refuse(&place, &format!("{path}.headers.{}", shown::key(&name)), message.to_owned());
                }
            }
        }
        headers
    }

    fn user_agent(&mut self, section: &mut Section, path: &str, headers: &mut HeaderMap) {
        let place = section.place_of("user_agent");
        let Some(text) = section.get::<String>("user_agent") else { return };
        match header(USER_AGENT.as_str(), &text) {
            Ok((name, value)) => drop(headers.insert(name, value)),
            Err(message) => self.refuse(&place, &format!("{path}.user_agent"), message.to_owned()),
        }
    }

    /// One of `basic_auth` and `bearer_token`.
    fn authorization(&mut self, section: &mut Section, path: &str, headers: &mut HeaderMap) {
        let place = section.place_of("basic_auth");
        let has_basic = section.contains("basic_auth");
        let mut basic = section.section("basic_auth");
        let username = basic.get::<String>("username");
        let password = basic.secret("password").and_then(Found::read);
        basic.finish();
        let bearer = section.secret("bearer_token");
        match (has_basic, username, bearer) {
            (true, _, Some(_)) => {
                self.refuse(
                    &place,
                    &format!("{path}.basic_auth"),
                    "stands beside bearer_token; keep one of the two".into(),
                );
            }
            (true, None, None) => {
                self.refuse(&place, &format!("{path}.basic_auth.username"), "missing: who logs in".into());
            }
            (true, Some(username), None) => {
                let pair = format!("{username}:{}", password.as_ref().map_or("", Secret::expose));
                headers.insert(AUTHORIZATION, basic_authorization(&pair));
            }
            (false, _, Some(Found::Unread)) => {
                // For what contradicts it; the consumer sends nothing.
                headers.insert(AUTHORIZATION, HeaderValue::from_static("unread"));
            }
            (false, _, Some(Found::Read(token))) => {
                match header(AUTHORIZATION.as_str(), &format!("Bearer {}", token.expose())) {
                    Ok((name, value)) => drop(headers.insert(name, value)),
                    Err(message) => self.refuse(&section.place(), &format!("{path}.bearer_token"), message.to_owned()),
                }
            }
            (false, _, None) => {}
        }
    }
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "is not the name of a header")?;
    if MANAGED_HEADERS.contains(&name.as_str()) {
        return Err("this header belongs to the connection, which isitup manages: leave it out");
    }
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| "its value (not shown) cannot stand in a header: visible ASCII characters, spaces and tabs can")?;
    value.set_sensitive(true);
    Ok((name, value))
}
