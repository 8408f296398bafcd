//! `PgBouncer` before a database.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use postgres::{Config, NoTls};
use rustix::process::geteuid;
use tempfile::TempDir;

use super::postgres::free_port;
use super::secured;
use super::waiting::eventually;

/// A pooler in transaction mode, all else as it comes. Killed when dropped, and with the thread that starts it.
pub(crate) struct PgBouncer {
    folder: TempDir,
    port: u16,
    process: Child,
}

impl PgBouncer {
    /// One that passes on to the database at `url`.
    pub(crate) fn before(url: &str) -> Self {
        Self::with("", url)
    }

    /// The same with one more line of settings.
    pub(crate) fn with(setting: &str, url: &str) -> Self {
        let server: Config = url.parse().unwrap();
        let (folder, port) = (tempfile::tempdir_in("/var/tmp").unwrap(), free_port());
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let users = folder.path().join("users");
        fs::write(&users, "\"isitup\" \"isitup\"\n").unwrap();
        let tls = tls(folder.path(), url, port);
        let settings = format!(
            "[databases]\nisitup = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = transaction\n{tls}{setting}\n",
            server.get_ports()[0],
            users.display()
        );
        fs::write(folder.path().join("settings"), settings).unwrap();
        let process = start(&folder);
        let pooler = Self { folder, port, process };
        pooler.wait();
        pooler
    }

    /// How the database is reached through it.
    pub(crate) fn url(&self) -> String {
        format!("postgres://isitup:isitup@127.0.0.1:{}/isitup", self.port)
    }

    /// kill -9, and a new one in its place.
    pub(crate) fn restart(&mut self) {
        self.end();
        self.process = start(&self.folder);
        self.wait();
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn wait(&self) {
        eventually("the pooler answers", || self.url().parse::<Config>().unwrap().connect(NoTls).is_ok());
    }

    fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        self.end();
    }
}

/// Offers TLS with the server's own certificate, beside plaintext, where the server has one; and speaks it with the server.
fn tls(folder: &Path, url: &str, port: u16) -> String {
    let Some(certificates) = secured::certificates_of(url) else { return String::new() };
    for name in ["server.cert", "server.key", "ca.pem"] {
        fs::copy(certificates.join(name), folder.join(name)).unwrap();
        fs::set_permissions(folder.join(name), Permissions::from_mode(0o644)).unwrap();
    }
    secured::note(port, &certificates);
    let folder = folder.display();
    format!(
        "client_tls_sslmode = allow\nclient_tls_cert_file = {folder}/server.cert\nclient_tls_key_file = {folder}/server.key\n\
         server_tls_sslmode = verify-full\nserver_tls_ca_file = {folder}/ca.pem\n"
    )
}

fn start(folder: &TempDir) -> Child {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if geteuid().is_root() {
        // It refuses to run as root.
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    let log = File::options().create(true).append(true).open(folder.path().join("log")).unwrap();
    // Debian has it where only root looks.
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    command.args(["--", "pgbouncer"]).arg(folder.path().join("settings")).env("PATH", path).current_dir("/");
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    command.spawn().unwrap()
}
