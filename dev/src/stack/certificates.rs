//! Certificates and keys as PEM files: those of the brokers, those of users as hosted services hand them out, and some that
//! are wrong in one way each. Made anew at each start.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType,
    date_time_ymd,
};

type Authority = CertifiedIssuer<'static, KeyPair>;

/// Writes all files into `folder`:
/// - `ca.pem`, whom the brokers trust and who signed their certificates; `other-ca.pem`, who signed nothing of that;
///   `expired-ca.pem`, the first one's certificate from before it was renewed;
/// - `server.pem` for 127.0.0.1 and localhost, `expired-server.pem`, `misnamed-server.pem`: key and certificate of a broker;
/// - `service.cert` and `service.key` of the user `isitup`, `limited.cert` and `limited.key` of the user `limited`;
///   `expired.cert` with the key `expired.key`; `foreign.cert` with the key `foreign.key`, signed by the other authority.
pub(crate) fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))
    };
    let (ca, other) = (authority("isitup-dev CA")?, authority("another CA")?);
    write("ca.pem", ca.as_ref().pem())?;
    write("other-ca.pem", other.as_ref().pem())?;
    let mut before = authority_params("isitup-dev CA")?;
    expire(&mut before);
    write("expired-ca.pem", before.self_signed(ca.key())?.pem())?;

    for (name, host, is_expired) in
        [("server", None, false), ("expired-server", None, true), ("misnamed-server", Some("kafka.example.com"), false)]
    {
        let (certificate, key) = signed(&ca, "broker", host, is_expired)?;
        write(&format!("{name}.pem"), key + &certificate)?;
    }
    for (name, user, authority, is_expired) in [
        ("service", "isitup", &ca, false),
        ("limited", "limited", &ca, false),
        ("expired", "isitup", &ca, true),
        ("foreign", "isitup", &other, false),
    ] {
        let (certificate, key) = signed(authority, user, None, is_expired)?;
        write(&format!("{name}.cert"), certificate)?;
        write(&format!("{name}.key"), key)?;
    }
    Ok(())
}

fn authority_params(name: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn authority(name: &str) -> Result<Authority> {
    Ok(CertifiedIssuer::self_signed(authority_params(name)?, KeyPair::generate()?)?)
}

/// Certificate and key of `name`, for `host` or, where there is none, for this machine.
fn signed(authority: &Authority, name: &str, host: Option<&str>, is_expired: bool) -> Result<(String, String)> {
    let names = vec![host.unwrap_or("localhost").to_owned()];
    let mut params = CertificateParams::new(names)?;
    if host.is_none() {
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    if is_expired {
        expire(&mut params);
    }
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, authority)?.pem(), key.serialize_pem()))
}

fn expire(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
}
