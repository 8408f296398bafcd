//! Certificates and keys in PEM files, read and checked.

use std::fs;
use std::path::Path;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// The certificates of a PEM file, at least one.
///
/// # Errors
/// Why there are none to be had, in words that complete "the file …".
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(file)?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| "is not PEM: it must hold lines from BEGIN CERTIFICATE to END CERTIFICATE".to_owned())?;
    if certificates.is_empty() {
        return Err("holds no certificate: it must have lines from BEGIN CERTIFICATE to END CERTIFICATE".into());
    }
    Ok(certificates)
}

/// What shows a server who we are.
#[derive(Debug)]
pub struct Identity {
    /// The certificate, then those that signed it.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
}

/// Which file of an identity is wrong, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The file of the certificates.
    #[error("{0}")]
    Certificate(String),
    /// The file of the key.
    #[error("{0}")]
    Key(String),
}

/// Reads the PEM files of a certificate, with those that signed it, and of its key.
///
/// # Errors
/// Which of the files is wrong, with the reason in words that complete "the file …".
pub fn identity(certificate: &Path, key: &Path) -> Result<Identity, IdentityError> {
    let chain = certificates(certificate).map_err(IdentityError::Certificate)?;
    let key = private_key(key).map_err(IdentityError::Key)?;
    let signing = ring::default_provider()
        .key_provider
        .load_private_key(key.clone_key())
        .map_err(|_| IdentityError::Key("holds a private key of a kind that cannot be used".into()))?;
    if let Err(rustls::Error::InconsistentKeys(_)) = CertifiedKey::new(chain.clone(), signing).keys_match() {
        return Err(IdentityError::Key("holds a key that does not fit the certificate".into()));
    }
    Ok(Identity { chain, key })
}

/// The private key of a PEM file.
///
/// # Errors
/// Why there is none to be had, in words that complete "the file …".
pub fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let pem = read(file)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        let is_encrypted = pem.windows(9).any(|word| word == b"ENCRYPTED");
        if is_encrypted {
            "holds a private key that is encrypted, and no password for it can be given: \
             take the encryption off (openssl pkey), and close the file to others instead"
                .into()
        } else {
            "holds no private key: it must have lines from BEGIN PRIVATE KEY to END".into()
        }
    })
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("cannot be read: {error}"))
}
