//! Authorities that sign certificates, well and badly.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// Who signs.
pub(crate) struct Authority {
    /// Its own certificate.
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) cert: String,
    pub(crate) key: String,
}

/// When a certificate holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dates {
    Now,
    /// Until 2020-02-01.
    Past,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        Self::valid(name, Dates::Now)
    }

    pub(crate) fn valid(name: &str, dates: Dates) -> Self {
        let mut params = params(&[], name, dates);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for these hosts, or for whoever has this name.
    pub(crate) fn sign(&self, hosts: &[&str], name: &str, dates: Dates) -> Signed {
        let key = KeyPair::generate().unwrap();
        let cert = params(hosts, name, dates).signed_by(&key, &self.issuer).unwrap().pem();
        Signed { cert, key: key.serialize_pem() }
    }
}

/// One that signs itself and calls itself an authority, as `openssl req -x509` makes it.
pub(crate) fn self_signed(hosts: &[&str], name: &str) -> Signed {
    let mut params = params(hosts, name, Dates::Now);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    Signed { cert: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

impl Signed {
    /// Writes both files, and gives their paths.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (cert, key) = (folder.join(format!("{name}.cert")), folder.join(format!("{name}.key")));
        fs::write(&cert, &self.cert).unwrap();
        fs::write(&key, &self.key).unwrap();
        (cert, key)
    }
}

fn params(hosts: &[&str], name: &str, dates: Dates) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    if dates == Dates::Past {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 2, 1);
    }
    params
}
