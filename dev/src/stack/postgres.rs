//! PostgreSQL, as installed on this machine.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use super::home::placed_elsewhere;
use super::part::{Context, Program};
use super::ports::Port;
use super::postgres_tls;
use super::probe::{self, Probe};
use crate::process::{Launch, User};
use crate::tools;

/// User, database and password alike; the server is reached from this machine only.
pub(crate) const NAME: &str = "isitup";

/// One database server.
pub(crate) struct Postgres {
    /// Without it a crash of the machine, but no kill -9, loses data. Tests that run in heaps can do without.
    pub(crate) fsync: bool,
    /// Whether it offers TLS, beside plaintext.
    pub(crate) tls: bool,
}

impl Program for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn prepare(&self, context: &Context) -> Result<()> {
        let user = server_user()?;
        let data = folder(context, user)?;
        // Made last by `create`, so that a database left half made is made again.
        if !data.join("isitup-made").exists() {
            create(context, &data, user)?;
        }
        // Made once: who was told of the authority trusts it after a restart, too.
        if self.tls && !context.home.root().join(postgres_tls::FOLDER).exists() {
            postgres_tls::prepare(&context.home, &data, user, NAME)?;
        }
        Ok(())
    }

    fn launch(&self, context: &Context, port: &Port) -> Result<Launch> {
        let user = server_user()?;
        let data = folder(context, user)?;
        let fsync = if self.fsync { "on" } else { "off" };
        Ok(server(context, &data, user)?
            .args(["-D".into(), data.into_os_string()])
            .args(["-p".to_owned(), port.number().to_string()])
            .args([
                "-clisten_addresses=127.0.0.1",
                "-cunix_socket_directories=",
                "-cmax_connections=300",
                // In the data folder instead of /dev/shm, so that nothing is left there after kill -9.
                "-cdynamic_shared_memory_type=mmap",
                "-clog_line_prefix=%m [%p] ",
                "-ctimezone=UTC",
                &format!("-cfsync={fsync}"),
            ])
            .args(if self.tls { &postgres_tls::SETTINGS[..] } else { &[] }))
    }

    fn probe(&self, port: u16) -> Probe {
        probe::postgres(port)
    }

    /// The "fast" shutdown: sessions are ended, nobody is waited for.
    fn stop_signal(&self) -> Signal {
        Signal::INT
    }

    /// The "immediate" shutdown: no checkpoint, but shared memory is freed.
    fn quick_stop_signal(&self) -> Signal {
        Signal::QUIT
    }

    /// After kill -9 the last backends may need a moment to notice.
    fn passing_troubles(&self) -> &'static [&'static str] {
        &["pre-existing shared memory block", "lock file \"postmaster.pid\" already exists"]
    }
}

fn server(context: &Context, folder: &Path, user: Option<User>) -> Result<Launch> {
    let program = tools::postgres_folder()?.join("postgres");
    Ok(Launch::new("postgres", program, folder, &context.home.log("postgres")).user(user).env("LC_ALL", "C.UTF-8"))
}

/// PostgreSQL refuses to run as root; then it runs as its own user, which its package makes.
fn server_user() -> Result<Option<User>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let number = |flag: &str| -> Result<u32> {
        let answer =
            Command::new("id").args([flag, "postgres"]).stderr(Stdio::null()).output().context("could not run id")?;
        let text = String::from_utf8_lossy(&answer.stdout);
        text.trim()
            .parse()
            .context("PostgreSQL does not run as root, and there is no user postgres: `make deps` makes it")
    };
    Ok(Some(User { uid: number("-u")?, gid: number("-g")? }))
}

/// The data folder, made if need be, and reachable by its owner.
fn folder(context: &Context, user: Option<User>) -> Result<PathBuf> {
    let wanted = context.home.data("postgres");
    if let Ok(target) = fs::read_link(&wanted) {
        make(&target, user)?;
        return Ok(target);
    }
    if let Some(user) = user.filter(|user| !can_reach(*user, context.home.root())) {
        let target = placed_elsewhere(&wanted);
        log::info!(
            "{} is closed to PostgreSQL's user: its data goes to {}",
            context.home.root().display(),
            target.display()
        );
        make(&target, Some(user))?;
        symlink(&target, &wanted).with_context(|| format!("could not link {}", wanted.display()))?;
        return Ok(target);
    }
    make(&wanted, user)?;
    Ok(wanted)
}

fn can_reach(user: User, folder: &Path) -> bool {
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={}", user.uid)).arg(format!("--regid={}", user.gid)).arg("--clear-groups");
    command.args(["--", "test", "-x"]).arg(folder.join("data")).current_dir("/");
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn make(folder: &Path, user: Option<User>) -> Result<()> {
    if !folder.exists() {
        fs::create_dir(folder).with_context(|| format!("could not make {}", folder.display()))?;
        fs::set_permissions(folder, Permissions::from_mode(0o700))
            .context("could not close the data folder to others")?;
    }
    let owner = user.map_or_else(|| rustix::process::geteuid().as_raw(), |user| user.uid);
    let meta = folder.symlink_metadata().with_context(|| format!("could not look at {}", folder.display()))?;
    if !meta.is_dir() || (meta.uid() != owner && meta.uid() != 0) {
        bail!("{} belongs to somebody else: remove it, or use another --dir", folder.display());
    }
    match user {
        Some(User { uid, gid }) if meta.uid() != uid => chown(folder, Some(uid), Some(gid))
            .with_context(|| format!("could not give {} to postgres", folder.display())),
        _ => Ok(()),
    }
}

/// initdb, and the database in it.
fn create(context: &Context, data: &Path, user: Option<User>) -> Result<()> {
    empty(data)?;
    // The superuser has no password yet, so TCP lets nobody in; Unix sockets are never opened.
    Launch::new("initdb", tools::postgres_folder()?.join("initdb"), data, &context.home.log("postgres"))
        .args(["--username", NAME, "--auth-host=scram-sha-256", "--auth-local=trust"])
        .args(["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
        .args([format!("--pgdata={}", data.display())])
        .env("LC_ALL", "C.UTF-8")
        .user(user)
        .run(&context.spawner)?;
    create_database(context, data, user)?;
    fs::write(data.join("isitup-made"), "").context("could not mark the database as made")
}

/// Single-user mode needs no server and takes one command a line:
/// <https://www.postgresql.org/docs/current/app-postgres.html>.
fn create_database(context: &Context, data: &Path, user: Option<User>) -> Result<()> {
    const SCRIPT: &str =
        r#"printf '%s\n' "ALTER ROLE $3 PASSWORD '$3'" "CREATE DATABASE $3" | "$1" --single -D "$2" postgres"#;
    let postgres = tools::postgres_folder()?.join("postgres");
    Launch::new("postgres --single", "sh", data, &context.home.log("postgres"))
        .args(["-c", SCRIPT, "sh"])
        .args([postgres.as_os_str(), data.as_os_str(), NAME.as_ref()])
        .user(user)
        .run(&context.spawner)
}

fn empty(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))? {
        let path = entry?.path();
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("could not remove {}", path.display()))?;
    }
    Ok(())
}
