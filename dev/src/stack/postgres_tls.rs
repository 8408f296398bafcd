//! TLS for PostgreSQL: an authority of its own, a certificate for the server and one for a client, made at each start.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use anyhow::{Context as _, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

use super::home::Home;
use crate::process::User;

/// Where the files lie that clients need: `ca.pem`, `client.cert` and `client.key`, and the server's own for others that
/// stand in its place, `server.cert` and `server.key`.
pub(crate) const FOLDER: &str = "conf/postgres-tls";

/// By what names clients reach the server.
const NAMES: [&str; 4] = ["localhost", "127.0.0.1", "::1", "postgres"];

/// Makes the files, and gives the server's to its `user` in its data folder. Returns what the server is started with.
pub(crate) fn prepare(home: &Home, data: &Path, user: Option<User>, client: &str) -> Result<()> {
    let folder = home.root().join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    let authority = Authority::new()?;
    let server = authority.sign(&NAMES, NAMES[0], ExtendedKeyUsagePurpose::ServerAuth)?;
    let client = authority.sign(&[], client, ExtendedKeyUsagePurpose::ClientAuth)?;
    let files = [
        ("ca.pem", authority.pem.clone()),
        ("server.cert", server.0.clone()),
        ("server.key", server.1.clone()),
        ("client.cert", client.0),
        ("client.key", client.1),
    ];
    for (name, text) in files {
        write(&folder.join(name), &text)?;
    }
    for (name, text) in [("root.crt", &authority.pem), ("server.crt", &server.0), ("server.key", &server.1)] {
        let file = data.join(name);
        write(&file, text)?;
        if let Some(User { uid, gid }) = user {
            chown(&file, Some(uid), Some(gid)).with_context(|| format!("could not give {} away", file.display()))?;
        }
    }
    Ok(())
}

/// The server's settings; its files lie in its data folder, where it looks for them.
pub(crate) const SETTINGS: [&str; 2] = ["-cssl=on", "-cssl_ca_file=root.crt"];

/// Who signs.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "isitup-dev PostgreSQL CA");
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { pem, issuer: Issuer::new(params, key) })
    }

    /// A certificate for `names` and its key.
    fn sign(&self, names: &[&str], name: &str, purpose: ExtendedKeyUsagePurpose) -> Result<(String, String)> {
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages.push(purpose);
        let key = KeyPair::generate()?;
        Ok((params.signed_by(&key, &self.issuer)?.pem(), key.serialize_pem()))
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("could not write {}", file.display()))?;
    fs::set_permissions(file, Permissions::from_mode(0o600)).context("could not close a key to others")
}
