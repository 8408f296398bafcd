//! `PostgreSQL` servers beside those of the stack: a standby, or one whose disk is small.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use postgres::{Client, Config, NoTls};
use rustix::process::{Pid, Signal, getegid, geteuid, kill_process};
use tempfile::TempDir;

use super::authority::Signed;
use super::secured;
use super::waiting::eventually;

/// User, password and database, as in the stack.
const NAME: &str = "isitup";

/// A server of one test. Ended when dropped.
pub(crate) struct OwnPostgres {
    folder: TempDir,
    port: u16,
    server: Option<Child>,
    disk: Option<Disk>,
}

/// A file system of a few megabytes, in a mount namespace of its own: it is gone with the processes that see it,
/// however the test ends.
struct Disk {
    keeper: Child,
}

impl OwnPostgres {
    /// A standby of the server at `url` that follows it, asynchronously.
    pub(crate) fn standby_of(primary: &str) -> Self {
        let standby = Self { folder: folder(), port: free_port(), server: None, disk: None };
        let url: Config = primary.parse().unwrap();
        let backup = standby
            .command("pg_basebackup")
            .args(["-h", "127.0.0.1", "-p", &url.get_ports()[0].to_string(), "-U", NAME, "-D"])
            .arg(standby.data())
            .args(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"])
            .env("PGPASSWORD", NAME)
            .output()
            .unwrap();
        assert!(backup.status.success(), "{backup:?}");
        // Its certificate came along.
        if let Some(folder) = secured::certificates_of(primary) {
            secured::note(standby.port, &folder);
        }
        standby.started()
    }

    /// A server whose data lie on a disk of so many megabytes.
    pub(crate) fn on_small_disk(megabytes: u32) -> Self {
        let folder = folder();
        let disk = Some(Disk::mount(folder.path(), megabytes));
        let own = Self { folder, port: free_port(), server: None, disk };
        own.made().started().with_database()
    }

    /// A server that offers TLS by `certificate`, trusts clients' certificates by `authority`, and lets users in by
    /// `rules`, which are lines of `pg_hba.conf`; whoever has none of those comes in with the password.
    pub(crate) fn with_tls(certificate: &Signed, authority: &str, rules: &str) -> Self {
        let own = Self { folder: folder(), port: free_port(), server: None, disk: None }.made();
        own.give("root.crt", authority);
        own.give("server.crt", &certificate.cert);
        own.give("server.key", &certificate.key);
        own.give(
            "pg_hba.conf",
            &format!("host all {NAME} 127.0.0.1/32 trust\n{rules}\nhost all all 127.0.0.1/32 scram-sha-256\n"),
        );
        own.started().with_database()
    }

    /// Replaces its certificate, for connections from now on.
    pub(crate) fn take_certificate(&self, certificate: &Signed) {
        self.give("server.crt", &certificate.cert);
        self.give("server.key", &certificate.key);
        self.reload("ssl_cert_file");
    }

    /// Switches TLS on or off, for connections from now on.
    pub(crate) fn offer_tls(&self, is_on: bool) {
        self.client().batch_execute(&format!("ALTER SYSTEM SET ssl TO {}", if is_on { "on" } else { "off" })).unwrap();
        self.reload("ssl");
    }

    /// Makes it read its files again, and waits until it has.
    fn reload(&self, what: &str) {
        let loaded = || -> String {
            self.client().query_one("SELECT pg_conf_load_time()::text || current_setting($1)", &[&what]).unwrap().get(0)
        };
        let before = loaded();
        self.client().batch_execute("SELECT pg_reload_conf()").unwrap();
        eventually("the server has read its files again", || loaded() != before);
    }

    /// Writes a file into its data folder, closed to all but the server's user.
    fn give(&self, name: &str, text: &str) {
        let file = self.data().join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let owner = fs::metadata(self.data()).unwrap();
        chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
    }

    fn made(self) -> Self {
        let made = self
            .command("initdb")
            .args(["--username", NAME, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
            .args(["--wal-segsize=1", "--pgdata"])
            .arg(self.data())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        self
    }

    fn with_database(self) -> Self {
        let mut config: Config = self.url().parse().unwrap();
        config.dbname("postgres").connect(NoTls).unwrap().batch_execute(&format!("CREATE DATABASE {NAME}")).unwrap();
        self
    }

    /// How it is reached.
    pub(crate) fn url(&self) -> String {
        format!("postgres://{NAME}:{NAME}@127.0.0.1:{}/{NAME}", self.port)
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A connection to it.
    pub(crate) fn client(&self) -> Client {
        self.url().parse::<Config>().unwrap().connect(NoTls).unwrap()
    }

    /// Ends the stream from the primary: what that commits from now on does not get here.
    pub(crate) fn stop_following(&self) {
        let mut client = self.client();
        client.batch_execute("ALTER SYSTEM SET primary_conninfo = ''").unwrap();
        client.batch_execute("SELECT pg_reload_conf()").unwrap();
        eventually("the standby no longer follows", || {
            client.query("SELECT FROM pg_stat_wal_receiver", &[]).unwrap().is_empty()
        });
    }

    /// Makes a primary of a standby.
    pub(crate) fn promote(&self) {
        self.client().batch_execute("SELECT pg_promote()").unwrap();
    }

    /// The same server at another port: the address of one that is no more.
    pub(crate) fn moved_to(mut self, port: u16) -> Self {
        self.stop();
        self.port = port;
        self.started()
    }

    /// Starts it again, unless it runs.
    pub(crate) fn restart_if_ended(&mut self) {
        if self.has_ended() {
            self.start();
        }
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.server.as_mut().is_none_or(|server| server.try_wait().unwrap().is_some())
    }

    /// Takes all that is left of its disk.
    pub(crate) fn fill_disk(&self) {
        let filled = self.command("sh").args(["-c", "cat /dev/zero >\"$0\"", &self.ballast()]).output().unwrap();
        assert!(String::from_utf8_lossy(&filled.stderr).contains("No space left"), "{filled:?}");
    }

    /// Gives that back.
    pub(crate) fn free_disk(&self) {
        assert!(self.command("rm").arg(self.ballast()).status().unwrap().success());
    }

    /// The end of its log.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn ballast(&self) -> String {
        self.folder.path().join("disk/ballast").display().to_string()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("disk/data")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn started(mut self) -> Self {
        self.start();
        self
    }

    fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        // As in the stack; a standby must allow as many connections as its primary. And what it replays waits for the tests'
        // queries: by default it cancels them (40001) as soon as it is 30 s behind, as on a busy machine.
        let settings = "listen_addresses=127.0.0.1 unix_socket_directories= max_connections=300 fsync=off \
                        dynamic_shared_memory_type=mmap max_wal_size=64MB shared_buffers=16MB max_standby_streaming_delay=-1 \
                        max_standby_archive_delay=-1";
        for setting in settings.split_whitespace() {
            command.args(["-c", setting]);
        }
        if !self.has_small_disk() && self.data().join("server.crt").exists() {
            // By its file, so that it can be switched off.
            command.args(["-c", "ssl_ca_file=root.crt"]);
            self.give("postgresql.auto.conf", &format!("{}ssl = on\n", self.own_settings()));
        }
        self.server = Some(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        eventually("the server of this test answers", || {
            assert!(!self.has_ended(), "it ended while starting: {}", self.log());
            let mut config: Config = self.url().parse().unwrap();
            config.dbname("postgres").connect(NoTls).is_ok()
        });
    }

    fn has_small_disk(&self) -> bool {
        self.disk.is_some()
    }

    /// What `ALTER SYSTEM` and a backup have set.
    fn own_settings(&self) -> String {
        fs::read_to_string(self.data().join("postgresql.auto.conf")).unwrap_or_default()
    }

    fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // The "immediate" shutdown. An error means that it is gone.
            let _ = kill_process(Pid::from_child(&server), Signal::QUIT);
            let _ = server.wait();
        }
    }

    /// A program of `PostgreSQL`, or of the system, as the server's user where its disk is seen; killed with this thread.
    fn command(&self, program: &str) -> Command {
        let mut command = match &self.disk {
            Some(disk) => disk.enter(),
            None => Command::new("setpriv"),
        };
        command.args(["--pdeathsig", "KILL"]);
        if geteuid().is_root() {
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
        }
        let inside = isitup_dev::postgres_folder().unwrap().join(program);
        command.arg("--").arg(if inside.exists() { inside } else { program.into() });
        command.env("LC_ALL", "C.UTF-8").current_dir("/").stdin(Stdio::null());
        command
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Disk {
    fn mount(folder: &Path, megabytes: u32) -> Self {
        let mut command = Command::new("unshare");
        let mut owner = "";
        if geteuid().is_root() {
            owner = ",uid=postgres,gid=postgres";
        } else {
            command.args(["--user", "--map-root-user"]);
        }
        let mount = format!(
            "mount -t tmpfs -o size={megabytes}m,mode=0700{owner} isitup-tests \"$0\"/disk && echo well && exec cat"
        );
        command.args(["--mount", "setpriv", "--pdeathsig", "KILL", "sh", "-c", &mount]).arg(folder);
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut word = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut word).unwrap();
        assert_eq!(
            word, "well\n",
            "this test needs a small disk of its own: run it as root, or where user namespaces are allowed, and in a \
             container with --cap-add SYS_ADMIN"
        );
        Self { keeper }
    }

    /// The beginning of a command that sees the disk: `setpriv`, as ourselves.
    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &self.keeper.id().to_string()]);
        if !geteuid().is_root() {
            // Seen from outside it is the same user; inside it would be root, which the server refuses to run as.
            let (user, group) = (geteuid().as_raw(), getegid().as_raw());
            command.args(["--user", "--preserve-credentials", "unshare", "--user"]);
            command.arg(format!("--map-user={user}")).arg(format!("--map-group={group}"));
        }
        command.arg("setpriv");
        command
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// A folder with a place for data that the server's user owns.
fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("isitup-tests-").tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    if geteuid().is_root() {
        let number = |flag| {
            let answer = Command::new("id").args([flag, "postgres"]).output().unwrap();
            String::from_utf8_lossy(&answer.stdout).trim().parse().unwrap()
        };
        chown(&disk, Some(number("-u")), Some(number("-g"))).unwrap();
    }
    folder
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
