//! PostgreSQL over TLS. With `ISITUP_TEST_POSTGRES=verify-full` the services of all tests reach their database so.
//!
//! Except for those whose database has no TLS here, each for its reason:
//! - behind [`Proxy::postgres`](super::proxy::Proxy::postgres), as in `postgres_network` and the storm: that proxy reads the
//!   messages that pass, to cut and hold the right ones. What goes through the opaque one is encrypted;
//! - on [`OwnPostgres::on_small_disk`](super::OwnPostgres::on_small_disk), whose subject is the disk;
//! - in `dev`'s set-up, which is for the own machine.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use postgres::Config;

/// The folder with the certificates of each server that speaks TLS, by its port.
static FOLDERS: Mutex<BTreeMap<u16, PathBuf>> = Mutex::new(BTreeMap::new());

/// Notes that the server at `port` speaks TLS with the certificates in `folder`.
pub(super) fn note(port: u16, folder: &Path) {
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).insert(port, folder.to_owned());
}

/// The folder with the certificates of the server of `url`, where it speaks TLS: `ca.pem`, `server.cert`, `server.key`,
/// `client.cert` and `client.key`.
pub(crate) fn certificates_of(url: &str) -> Option<PathBuf> {
    let ports = url.parse::<Config>().unwrap().get_ports().to_owned();
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).get(ports.first()?).cloned()
}

/// `url` as services get it in this run.
pub(crate) fn as_services_get(url: &str) -> String {
    let mode = env::var("ISITUP_TEST_POSTGRES").unwrap_or_default();
    match mode.as_str() {
        "" => return url.to_owned(),
        "verify-full" => {}
        _ => panic!("ISITUP_TEST_POSTGRES={mode}: verify-full is what there is"),
    }
    match certificates_of(url) {
        Some(folder) => {
            let and = if url.contains('?') { '&' } else { '?' };
            format!("{url}{and}sslmode={mode}&sslrootcert={}", folder.join("ca.pem").display())
        }
        None => url.to_owned(),
    }
}
