//! Where the password of PostgreSQL may come from, that it may change, and that nobody sees it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::harness::{Pipeline, Service, command, eventually, shared_servers, site};
use crate::secrets::{all_tables, all_words};

const FIRST: &str = "f1rst-pa55w0rd";
const NEXT: &str = "n3xt-pa55w0rd";

/// A pipeline with a user of its own, whose password the configuration does not have.
fn with_user(name: &str, user: &str) -> Pipeline<'static> {
    let server = shared_servers().postgres_url().rsplit('@').next().unwrap();
    let pipeline = Pipeline::new(name);
    pipeline.database().run(&format!("CREATE ROLE {user} SUPERUSER LOGIN PASSWORD '{FIRST}'"));
    pipeline.postgres_url(format!("postgres://{user}@{server}"))
}

fn unique(name: &str) -> String {
    format!("{name}_{}", &uuid::Uuid::new_v4().simple().to_string()[..8])
}

/// The role gets another password, and its sessions end.
fn change_password(pipeline: &Pipeline<'_>, user: &str) {
    pipeline.database().run(&format!("ALTER ROLE {user} PASSWORD '{NEXT}'"));
    end_sessions(pipeline, user);
}

fn end_sessions(pipeline: &Pipeline<'_>, user: &str) {
    let sessions = format!("pg_stat_activity WHERE usename = '{user}'");
    let ended: i64 = pipeline.database().value(&format!("SELECT count(pg_terminate_backend(pid)) FROM {sessions}"));
    assert!(ended > 0);
}

/// Runs with a password that is replaced in the file `secret`, from which `setting` has it.
fn outlives_a_change(name: &str, setting: &str) {
    let (site, user) = (site::well("hello"), unique(name));
    let pipeline = with_user(name, &user).busy_with(&site);
    let secret = pipeline.folder().join("secret");
    fs::write(&secret, format!("{FIRST}\n")).unwrap();
    let pipeline = pipeline.postgres_with(setting);
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer_with(&["--log-level", "trace"]));
    pipeline.wait_for_rows(300);
    change_password(&pipeline, &user);
    consumer.wait_for_log("password authentication failed");
    fs::write(&secret, format!("{NEXT}\n")).unwrap();
    pipeline.wait_for_more_rows(300);
    // Replaced before it is needed, nobody is told of anything.
    pipeline.database().run(&format!("ALTER ROLE {user} PASSWORD '{FIRST}'"));
    fs::write(&secret, format!("{FIRST}\n")).unwrap();
    end_sessions(&pipeline, &user);
    pipeline.wait_for_more_rows(300);
    pipeline.prove(producer);
    let seen = all_tables(&pipeline) + &all_words(consumer);
    assert!(!seen.contains(FIRST) && !seen.contains(NEXT));
}

#[test]
fn a_password_in_a_file_may_change_while_the_consumer_runs() {
    outlives_a_change("password_file", "password_file: secret");
}

#[test]
fn a_password_that_a_command_prints_may_change_while_the_consumer_runs() {
    outlives_a_change("password_command", "password_command: 'echo noise of the vault >&2; cat secret'");
}

#[test]
fn a_failing_command_is_told_without_what_it_wrote_and_waited_for() {
    let (site, user) = (site::well("hello"), unique("sealed"));
    let setting = "password_command: 'cat secret; [ -f open ] || { echo the vault is sealed >&2; exit 5; }'";
    let pipeline = with_user("sealed", &user).site("hello", site.url()).postgres_with(setting);
    let folder = pipeline.folder().to_owned();
    fs::write(folder.join("secret"), FIRST).unwrap();
    let asked = pipeline.ask(&["audit"]);
    let told = format!(
        "isitup-consumer: {}/config.yml:2: postgres.password_command: the command failed (exit status: 5); the 20 bytes that it wrote to its standard error are not shown: run it by hand",
        folder.display()
    );
    assert_eq!((asked.code, &*asked.log), (Some(3), &*told));
    fs::write(folder.join("open"), "").unwrap();
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(2);
    fs::remove_file(folder.join("open")).unwrap();
    change_password(&pipeline, &user);
    consumer.wait_for_log(
        "the password could not be had anew: postgres.password_command: failed (exit status: 5); the 20 bytes that it wrote to its standard error are not shown",
    );
    fs::write(folder.join("secret"), NEXT).unwrap();
    fs::write(folder.join("open"), "").unwrap();
    pipeline.wait_for_more_rows(4);
    pipeline.prove(producer);
    assert!(!all_words(consumer).contains("pa55w0rd"));
}

#[test]
fn libpqs_environment_and_password_file_count_where_nothing_is_configured() {
    let user = unique("pgpass");
    let pipeline = with_user("pgpass", &user);
    let file = pipeline.folder().join("pgpass");
    let line = format!("# of the tests\n*:1:*:*:wrong\n127.0.0.1:*:isitup:{user}:{FIRST}\n");
    fs::write(&file, line).unwrap();
    let ask = |variables: &[(&str, &str)]| {
        let mut command = pipeline.command("isitup-consumer", &["migrate", "--log-level", "trace"]);
        command.env("HOME", "/nonexistent").env_remove("PGPASSWORD").env_remove("PGPASSFILE");
        command.envs(variables.iter().copied());
        let ended = Service::start("the command", command).wait();
        assert!(!(ended.log.clone() + &ended.output).contains("pa55w0rd"), "{ended:?}");
        (ended.code, ended.log)
    };
    let path = file.to_str().unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    let (code, log) = ask(&[("PGPASSFILE", path)]);
    let told = format!("{path} is not read, as others than its owner may: close it with chmod 600 {path}");
    assert!(code == Some(3) && log.contains(&told) && log.contains("demands a password"), "{log}");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(ask(&[("PGPASSFILE", path)]).0, Some(0));
    assert_eq!(ask(&[("PGPASSWORD", FIRST)]).0, Some(0));
    let (code, log) = ask(&[("PGPASSWORD", "wr0ng"), ("PGPASSFILE", path)]);
    assert!(code == Some(3) && log.contains("and the password, which comes from PGPASSWORD (at"), "{log}");
    let home = pipeline.folder().to_str().unwrap();
    fs::rename(&file, pipeline.folder().join(".pgpass")).unwrap();
    assert_eq!(ask(&[("HOME", home)]).0, Some(0));
}

#[test]
fn at_a_terminal_a_command_asks_for_the_password_and_does_not_show_it() {
    let user = unique("asked");
    let pipeline = with_user("asked", &user);
    let program = command("isitup-consumer").get_args().last().unwrap().to_str().unwrap().to_owned();
    let config = pipeline.write_config().display().to_string();
    let typed = pipeline.folder().join("typed").display().to_string();
    // What `script` reads comes from the terminal's keyboard; a moment late, as the prompt throws away what was typed before.
    let session = format!(
        "(while ! grep -q Password {typed}; do sleep 0.1; done; sleep 0.5; echo {FIRST}; sleep 3) | \
         script --quiet --flush --return --command '{program} migrate -c {config}' {typed} >/dev/null"
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &session]).env("HOME", "/nonexistent").env_remove("PGPASSWORD");
    let ended = Service::start("a terminal", shell).wait();
    let seen = fs::read_to_string(&typed).unwrap();
    assert!(ended.code == Some(0) && seen.contains("applied V1__tables"), "{ended:?}: {seen}");
    let address = shared_servers().postgres_url().rsplit('@').next().unwrap().split('/').next().unwrap();
    assert!(seen.contains(&format!("Password of user {user} at {address}: ")), "{seen}");
    assert!(!seen.contains(FIRST), "{seen}");
    eventually("the schema is there", || pipeline.count("refinery_schema_history") > 0);
}
