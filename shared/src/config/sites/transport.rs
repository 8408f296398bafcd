//! Reads what connections to a site are made of: TLS, proxy and HTTP version.

use std::sync::Arc;

use crate::config::{Found, Section, shown};
use crate::tls::IdentityError;

use super::settings::{Place, Reader};
use crate::site::endpoint::Kind;
use crate::site::{HttpVersion, Identity, OwnCa, Proxy, TlsOptions, Transport};

const HTTP_KEYS: [&str; 6] = ["http_version", "proxy", "proxy_file", "proxy_env", "proxy_command", "no_proxy"];

impl Reader<'_> {
    pub(super) fn transport(
        &mut self,
        section: &mut Section,
        place: Place<'_>,
        base: &Arc<Transport>,
        must_be_http1: bool,
    ) -> Arc<Transport> {
        let (mut http_version, mut proxy) = (base.http_version, base.proxy.clone());
        if place.is_for(&[Kind::Http], section, &HTTP_KEYS) {
            http_version = section.get("http_version").unwrap_or(http_version);
            proxy = self.proxy(section, place.path).or(proxy);
        }
        if must_be_http1 && http_version == HttpVersion::Any {
            http_version = HttpVersion::Http1;
        }
        let tls = if place.is_for(&[Kind::Http, Kind::Tls], section, &["tls"]) {
            self.tls(section, place.path, &base.tls)
        } else {
            base.tls.clone()
        };
        let transport = Transport::new(http_version, tls, proxy);
        let known = self.transports.entry(transport.secret_fingerprint().to_owned());
        Arc::clone(known.or_insert_with(|| Arc::new(transport)))
    }

    fn proxy(&mut self, section: &mut Section, path: &str) -> Option<Proxy> {
        let (place, no_proxy_place) = (section.place_of("proxy"), section.place_of("no_proxy"));
        let text = section.secret("proxy");
        let no_proxy = section.list::<String>("no_proxy");
        let text = match text {
            Some(Found::Read(text)) => Some(text),
            // For what contradicts a proxy; nothing is requested through it here.
            Some(Found::Unread) => return Some(Proxy::Environment),
            None => None,
        };
        let Some(text) = text else {
            if no_proxy.is_some() {
                self.refuse(&no_proxy_place, &format!("{path}.no_proxy"), "stands here without a `proxy`".into());
            }
            return None;
        };
        match Proxy::parse(&text, no_proxy.unwrap_or_default()) {
            Ok(proxy) => Some(proxy),
            Err(message) => {
                self.refuse(&place, &format!("{path}.proxy"), message);
                None
            }
        }
    }

    fn tls(&mut self, section: &mut Section, path: &str, base: &TlsOptions) -> TlsOptions {
        let mut tls = section.section("tls");
        let place = tls.place_of("ca_file");
        let ca = tls.get::<String>("ca_file");
        let ca = ca.and_then(|name| self.ca(&name, &place, &format!("{path}.tls.ca_file")));
        let identity = self.identity(&mut tls, path);
        let insecure = tls.get("insecure").unwrap_or(base.insecure);
        tls.finish();
        TlsOptions {
            ca: ca.or_else(|| base.ca.clone()),
            identity: identity.or_else(|| base.identity.clone()),
            insecure,
        }
    }

    fn ca(&mut self, name: &str, place: &str, key: &str) -> Option<Arc<OwnCa>> {
        if self.is_others {
            return None;
        }
        let file = self.path(name);
        if let Some(known) = self.cas.get(&file) {
            return known.clone();
        }
        let read = OwnCa::read(&file).map(Arc::new);
        if let Err(reason) = &read {
            self.refuse(place, key, format!("{} {reason}", shown::file(name, &file)));
        }
        self.sources.push(file.clone());
        self.cas.entry(file).or_insert(read.ok()).clone()
    }

    fn identity(&mut self, tls: &mut Section, path: &str) -> Option<Arc<Identity>> {
        let places = (tls.place_of("cert_file"), tls.place_of("key_file"));
        let (written, key_written) = match (tls.get::<String>("cert_file"), tls.get::<String>("key_file")) {
            (Some(_), Some(_)) if self.is_others => return None,
            (Some(certificate), Some(key)) => (certificate, key),
            (None, None) => return None,
            (Some(_), None) => {
                self.refuse(
                    &places.0,
                    &format!("{path}.tls.cert_file"),
                    "needs its key beside it, in `key_file`".into(),
                );
                return None;
            }
            (None, Some(_)) => {
                self.refuse(
                    &places.1,
                    &format!("{path}.tls.key_file"),
                    "needs its certificate beside it, in `cert_file`".into(),
                );
                return None;
            }
        };
        let (certificate, key) = (self.path(&written), self.path(&key_written));
        tls.note_secret_file(&key);
        if let Some(known) = self.identities.get(&(certificate.clone(), key.clone())) {
            return known.clone();
        }
        let read = Identity::read(&certificate, &key).map(Arc::new);
        match &read {
            Ok(_) => {}
            Err(IdentityError::Certificate(reason)) => {
                let message = format!("{} {reason}", shown::file(&written, &certificate));
                self.refuse(&places.0, &format!("{path}.tls.cert_file"), message);
            }
            Err(IdentityError::Key(reason)) => {
                self.refuse(
                    &places.1,
                    &format!("{path}.tls.key_file"),
                    format!("{} {reason}", shown::file(&key_written, &key)),
                );
            }
        }
        self.sources.extend([certificate.clone(), key.clone()]);
        self.identities.entry((certificate, key)).or_insert(read.ok()).clone()
    }
}
