//! `setup-database`: an owner, a user that stores and one that reads, each with the least rights; and what is told where
//! rights or versions are not as they must be.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use postgres::{Config, NoTls};

use crate::harness::{Database, Finished, Pipeline, Service, eventually, shared_servers, site};
use crate::postgres_tls::is_told;

pub(crate) const PASSWORD: &str = "pa55w0rd-of-ingest";

/// Where the shared server has its database `name`, for `user`.
pub(crate) fn url_of(user: &str, password: &str, database: &str) -> String {
    let server = shared_servers().postgres_url().rsplit('@').next().unwrap().split('/').next().unwrap();
    format!("postgres://{user}:{password}@{server}/{database}")
}

pub(crate) fn admin_url() -> String {
    url_of("isitup", "isitup", "postgres")
}

/// A pipeline in a database of its own, of its own name, that stores as a user of its own who has nothing yet.
pub(crate) fn as_ingest(name: &str) -> Pipeline<'static> {
    let pipeline = Pipeline::new(name);
    let (database, ingest) = (pipeline.name().to_owned(), format!("{}_ingest", pipeline.name()));
    pipeline.postgres_url(url_of(&ingest, PASSWORD, &database)).proved_at(url_of("isitup", "isitup", &database))
}

pub(crate) fn set_up(pipeline: &Pipeline<'_>, more: &[&str]) -> Finished {
    let args: Vec<&str> = ["setup-database"].iter().chain(more).copied().collect();
    let mut command = pipeline.command("isitup-consumer", &args);
    command.env("ISITUP_ADMIN_URL", admin_url());
    Service::start("the setup", command).wait()
}

/// Runs SQL as `user`; the server's words where it refuses.
fn as_user(pipeline: &Pipeline<'_>, user: &str, password: &str, sql: &str) -> Result<(), String> {
    let mut database = Database::connect(&url_of(user, password, pipeline.name()), pipeline.name()).unwrap();
    database.try_run(sql).map_err(|error| error.as_db_error().unwrap().message().to_owned())
}

/// Removes what outlives a schema.
pub(crate) struct Gone(pub(crate) String);

impl Drop for Gone {
    fn drop(&mut self) {
        let mut admin = admin_url().parse::<Config>().unwrap().connect(NoTls).unwrap();
        let name = &self.0;
        // The test may have failed before any of it was made.
        let _ = admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        for end in ["owner", "ingest", "reader", "stranger"] {
            let _ = admin.batch_execute(&format!("DROP ROLE IF EXISTS {name}_{end}"));
        }
    }
}

#[test]
fn the_whole_pipeline_runs_as_ingest_with_days_made_and_dropped() {
    let site = site::well("hello");
    let pipeline = as_ingest("ingest").busy_with(&site);
    let _gone = Gone(pipeline.name().to_owned());
    // There already, as a migration elsewhere on this server makes it.
    let mut admin = admin_url().parse::<Config>().unwrap().connect(NoTls).unwrap();
    admin.batch_execute(&format!("CREATE ROLE {}_ingest NOLOGIN", pipeline.name())).unwrap();
    let made = set_up(&pipeline, &["--apply", "--log-level", "trace"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.output.contains("applied V6__rights") && made.output.contains("database"), "{made:?}");
    let said = made.output + &made.log;
    assert!(!said.contains(PASSWORD) && !said.contains("SCRAM-SHA-256$"), "{said}");

    // A day far beyond retention, closed and not: one partition goes, with all that storing does around it.
    let mut owner = pipeline.database();
    owner.run("SELECT make_result_day(DATE '2024-03-01')");
    owner.run("INSERT INTO result_day VALUES ('2024-03-01')");
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    consumer.wait_for_log("results of 2024-03-01 dropped");
    assert_eq!(owner.count("pg_class WHERE relname = 'result_20240301'"), 0);
    assert_eq!(owner.count("audit_day WHERE day = '2024-03-01'"), 1);
    let ahead = "result_day WHERE day > (now() AT TIME ZONE 'UTC')::date";
    eventually("days are made ahead", || owner.count(ahead) >= 2);
    let owns =
        format!("pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname = '{}_ingest'", pipeline.name());
    assert_eq!(owner.count(&owns), 0);
    assert!(owner.count(&format!("pg_stat_activity WHERE usename = '{}_ingest'", pipeline.name())) > 0);

    // Done again while it runs, it changes nothing.
    assert_eq!(set_up(&pipeline, &["--apply"]).code, Some(0));
    pipeline.wait_for_more_rows(300);
    for question in [&["peek"][..], &["report"], &["audit"], &["migrate"]] {
        let answer = pipeline.ask(question);
        assert_eq!(answer.code, Some(0), "{answer:?}");
    }
    assert!(!consumer.has_logged("42501"), "{:?}", consumer.said());
    pipeline.prove(producer);
}

#[test]
fn each_role_may_do_what_it_is_for_and_no_more() {
    let pipeline = as_ingest("roles");
    let name = pipeline.name().to_owned();
    let _gone = Gone(name.clone());
    let file = pipeline.folder().join("password");
    fs::write(&file, "read-0nly\n").unwrap();
    let made = set_up(&pipeline, &["--apply", "--reader-password-file", file.to_str().unwrap()]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let (ingest, reader) = (format!("{name}_ingest"), format!("{name}_reader"));
    for view in ["check_result", "latest_status", "uptime", "audit"] {
        as_user(&pipeline, &reader, "read-0nly", &format!("SELECT * FROM {view}")).unwrap();
    }
    for (user, password, sql, refused) in [
        (&reader, "read-0nly", "SELECT * FROM rejected", "permission denied for table rejected"),
        (&reader, "read-0nly", "SELECT * FROM result", "permission denied for table result"),
        (
            &reader,
            "read-0nly",
            "SELECT drop_result_day('2024-01-01')",
            "permission denied for function drop_result_day",
        ),
        (&reader, "read-0nly", "INSERT INTO site (name, url) VALUES ('a', 'b')", "permission denied for table site"),
        (&ingest, PASSWORD, "DROP TABLE result", "must be owner of table result"),
        (&ingest, PASSWORD, "DELETE FROM result", "permission denied for table result"),
        (&ingest, PASSWORD, "TRUNCATE result", "permission denied for table result"),
        (&ingest, PASSWORD, "UPDATE result SET location = 'x'", "permission denied for table result"),
        (&ingest, PASSWORD, "DELETE FROM gap", "permission denied for table gap"),
        (&ingest, PASSWORD, "DELETE FROM partition_offset", "permission denied for table partition_offset"),
        (
            &ingest,
            PASSWORD,
            "DELETE FROM refinery_schema_history",
            "permission denied for table refinery_schema_history",
        ),
        (&ingest, PASSWORD, "CREATE TABLE mine ()", &format!("permission denied for schema {name}")),
        (&ingest, PASSWORD, "CREATE SCHEMA mine", &format!("permission denied for database {name}")),
        (&ingest, PASSWORD, "SELECT drop_result_day('2024-01-01')", "the day 2024-01-01 is not closed"),
        (&ingest, PASSWORD, "SELECT make_result_day('infinity')", "no day to make: infinity"),
    ] {
        assert_eq!(as_user(&pipeline, user, password, sql), Err(refused.to_owned()), "{user}: {sql}");
    }
    // Nobody else of the server is let in.
    let stranger = format!("{name}_owner_not");
    let mut admin = admin_url().parse::<Config>().unwrap().connect(NoTls).unwrap();
    admin.batch_execute(&format!("CREATE ROLE {stranger} LOGIN PASSWORD 'x'")).unwrap();
    let refused = Database::connect(&url_of(&stranger, "x", &name), &name).err().unwrap();
    admin.batch_execute(&format!("DROP ROLE {stranger}")).unwrap();
    assert_eq!(refused.as_db_error().unwrap().message(), format!("permission denied for database \"{name}\""));
}

#[test]
fn the_printed_sql_makes_the_same_with_psql_by_an_administrator_who_is_no_superuser() {
    let site = site::well("hello");
    let pipeline = as_ingest("printed").site("hello", site.url());
    let name = pipeline.name().to_owned();
    let _gone = Gone(name.clone());
    let printed = set_up(&pipeline, &[]);
    assert_eq!(printed.code, Some(0), "{printed:?}");
    assert!(!printed.output.contains(PASSWORD));
    let administrator = format!("{name}_admin");
    let mut admin = admin_url().parse::<Config>().unwrap().connect(NoTls).unwrap();
    admin.batch_execute(&format!("CREATE ROLE {administrator} LOGIN CREATEDB CREATEROLE PASSWORD 'x'")).unwrap();
    for round in 0..2 {
        let psql = Command::new("psql")
            .args([&url_of(&administrator, "x", "postgres"), "-v", "ON_ERROR_STOP=1", "--no-psqlrc", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut psql = psql.unwrap();
        psql.stdin.take().unwrap().write_all(printed.output.as_bytes()).unwrap();
        let ended = psql.wait_with_output().unwrap();
        assert!(ended.status.success(), "round {round}: {}", String::from_utf8_lossy(&ended.stderr));
    }
    admin.batch_execute(&format!("ALTER ROLE {name}_ingest PASSWORD '{PASSWORD}'")).unwrap();
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(6);
    pipeline.prove(producer);
    // The program finds it as if it had made it itself.
    let applied = set_up(&pipeline, &["--apply"]);
    assert!(applied.code == Some(0) && !applied.output.contains("applied"), "{applied:?}");
    drop(_gone);
    admin.batch_execute(&format!("DROP ROLE {administrator}")).unwrap();
}

#[test]
fn a_user_who_owns_only_a_schema_is_enough() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("schema_only").busy_with(&site);
    let name = pipeline.name().to_owned();
    let mut admin = shared_servers().postgres_url().parse::<Config>().unwrap().connect(NoTls).unwrap();
    admin
        .batch_execute(&format!("CREATE ROLE {name} LOGIN PASSWORD 'x'; CREATE SCHEMA {name} AUTHORIZATION {name}"))
        .unwrap();
    let pipeline = pipeline.postgres_url(url_of(&name, "x", "isitup"));
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    eventually("days are made ahead", || pipeline.count("result_day") >= 3);
    assert!(!consumer.has_logged("42501"), "{:?}", consumer.said());
    pipeline.prove(producer);
}

#[test]
fn what_is_missing_to_set_a_database_up_is_told() {
    let pipeline = as_ingest("setup_wrong");
    let name = pipeline.name().to_owned();
    let _gone = Gone(name.clone());
    let ask = |args: &[&str], admin: &str| {
        let args: Vec<&str> = ["setup-database", "--apply"].iter().chain(args).copied().collect();
        let mut command = pipeline.command("isitup-consumer", &args);
        command.env("ISITUP_ADMIN_URL", admin);
        let ended = Service::start("the setup", command).wait();
        (ended.code, ended.log.lines().last().unwrap_or_default().to_owned())
    };
    let at = admin_url().rsplit('@').next().unwrap().split('/').next().unwrap().to_owned();
    for (args, admin, code, told) in [
        (vec![], "http://x", 2, "--admin-url: the value (not shown) is not a PostgreSQL URL, such as postgres://isitup@postgres:5432/isitup".to_owned()),
        (
            vec!["--owner", "x", "--reader", "x"],
            &admin_url(),
            2,
            "owner, reader and the user in postgres.url must be three: see --owner and --reader".to_owned(),
        ),
        (
            vec![],
            &url_of("isitup", "wrong", "postgres"),
            3,
            format!(
                "PostgreSQL refused: password authentication failed for user \"isitup\" [28P01]; check the user in \
                 --admin-url, and the password, which comes from the URL (at {at})"
            ),
        ),
        (
            vec![],
            &url_of("isitup", "", "postgres").replace("isitup:@", "isitup@"),
            3,
            format!(
                "PostgreSQL demands a password for user \"isitup\", and none is configured: give --admin-password-file or \
                 PGPASSWORD, or add a line to HOME/.pgpass (at {at})"
            ),
        ),
        (
            vec!["--admin-password-command", "echo no >&2; exit 1"],
            &admin_url(),
            2,
            "--admin-password-command: the command failed (exit status: 1): no".to_owned(),
        ),
    ] {
        let (found, said) = ask(&args, admin);
        let home = std::env::var("HOME").unwrap();
        assert_eq!((found, said), (Some(code), format!("isitup-consumer: {}", told.replace("HOME", &home))));
    }
    let mut admin = admin_url().parse::<Config>().unwrap().connect(NoTls).unwrap();
    admin.batch_execute(&format!("CREATE ROLE {name}_ingest LOGIN PASSWORD 'x'")).unwrap();
    let (code, said) = ask(&[], &url_of(&format!("{name}_ingest"), "x", "postgres"));
    assert_eq!(
        (code, &*said),
        (
            Some(3),
            "isitup-consumer: PostgreSQL refused: permission denied to create role [42501]; the administrator must be allowed to create roles and databases (CREATEROLE, CREATEDB), and to change those roles that are there already (WITH ADMIN OPTION)"
        )
    );
}

#[test]
fn wrong_rights_and_versions_are_told_with_the_remedy_and_the_service_waits() {
    let pipeline = as_ingest("rights_wrong");
    let name = pipeline.name().to_owned();
    let _gone = Gone(name.clone());
    assert_eq!(set_up(&pipeline, &["--apply"]).code, Some(0));
    let mut owner = pipeline.database();
    let at = format!("schema {name} of database {name} (PostgreSQL {}, user {name}_ingest)", version(&mut owner));
    let ask = "let an administrator run: isitup-consumer setup-database";
    let newest: i32 = owner.value("SELECT max(version) FROM refinery_schema_history");
    let before: i32 =
        owner.value(&format!("SELECT max(version) FROM refinery_schema_history WHERE version < {newest}"));

    let mut tells = |spoil: &str, why: String, mend: &str| {
        owner.run(spoil);
        waits_with(&pipeline, &[], &why);
        owner.run(mend);
    };
    tells(
        &format!("REVOKE SELECT ON gap FROM {name}_ingest; REVOKE INSERT ON site FROM {name}_ingest"),
        format!("{at}: {name}_ingest lacks INSERT on site, SELECT on gap; {ask}"),
        "SELECT",
    );
    assert_eq!(set_up(&pipeline, &["--apply"]).code, Some(0));
    tells(
        &format!("REVOKE EXECUTE ON FUNCTION drop_result_day FROM {name}_ingest"),
        format!("{at}: {name}_ingest lacks EXECUTE on drop_result_day; {ask}"),
        &format!("GRANT EXECUTE ON FUNCTION drop_result_day TO {name}_ingest"),
    );
    // As where default privileges let nobody call a function.
    tells(
        &format!("REVOKE EXECUTE ON FUNCTION uptime_between, day_numbers FROM {name}_ingest"),
        format!("{at}: {name}_ingest lacks EXECUTE on day_numbers, EXECUTE on uptime_between; {ask}"),
        &format!("GRANT EXECUTE ON FUNCTION uptime_between, day_numbers TO {name}_ingest"),
    );
    tells(
        &format!("GRANT CREATE ON SCHEMA {name} TO PUBLIC"),
        format!(
            "{at}: everybody may create objects in it, and so run code as its owner: let its owner run REVOKE CREATE ON \
             SCHEMA {name} FROM PUBLIC, or name another one in postgres.schema"
        ),
        &format!("REVOKE CREATE ON SCHEMA {name} FROM PUBLIC"),
    );
    tells(
        &format!("REVOKE USAGE ON SCHEMA {name} FROM {name}_ingest"),
        format!("{at}: {name}_ingest may not look into it; {ask}"),
        &format!("GRANT USAGE ON SCHEMA {name} TO {name}_ingest"),
    );
    tells(
        "INSERT INTO refinery_schema_history SELECT 100, 'later', applied_on, checksum FROM refinery_schema_history WHERE version = 6",
        format!(
            "{at}: version 100, made by a newer release; this one knows versions up to {newest}: run the newer release"
        ),
        "DELETE FROM refinery_schema_history WHERE version = 100",
    );
    tells(
        &format!("DELETE FROM refinery_schema_history WHERE version = {newest}"),
        format!(
            "{at}: version {before}, {newest} is needed, and {name}_ingest does not own it; run as its owner: isitup-consumer migrate (or \
             as an administrator: setup-database --apply)"
        ),
        "SELECT",
    );
    let why = format!(
        "schema {name} is version {before}, version {newest} is needed, and --no-migrate leaves that to somebody else: run \
         isitup-consumer migrate"
    );
    let own = Pipeline::new("left_alone");
    let schema = own.name().to_owned();
    assert_eq!(own.ask(&["migrate"]).code, Some(0));
    own.database().run(&format!("DELETE FROM refinery_schema_history WHERE version = {newest}"));
    waits_with(&own, &["--no-migrate"], &why.replace(&name, &schema));
    own.database().run(&format!("DROP SCHEMA {schema} CASCADE"));
    let why = format!(
        "schema {schema} is not there yet, version {newest} is needed, and --no-migrate leaves that to somebody else: run \
         isitup-consumer migrate"
    );
    waits_with(&own, &["--no-migrate"], &why);

    owner.run(&format!("DROP SCHEMA {name} CASCADE"));
    waits_with(&pipeline, &[], &format!("{at}: not there, and {name}_ingest may not create it; {ask}"));
}

fn version(database: &mut Database) -> i32 {
    database.value("SELECT current_setting('server_version_num')::int / 10000")
}

/// The service says this and waits, and so says health.
#[track_caller]
fn waits_with(pipeline: &Pipeline<'_>, args: &[&str], why: &str) {
    let mut service = pipeline.consumer_with(args);
    let line = format!("waiting for PostgreSQL: {why}");
    eventually(&format!("the service says {line:?}"), || service.said().iter().any(|said| said.ends_with(&line)));
    assert!(service.get("/health/ready").1.contains(&serde_json::to_string(why).unwrap().trim_matches('"').to_owned()));
    assert!(!service.has_ended());
}

#[test]
fn wrong_names_and_passwords_are_told_with_their_setting_and_the_service_waits() {
    let pipeline = as_ingest("names_wrong");
    let name = pipeline.name().to_owned();
    let _gone = Gone(name.clone());
    assert_eq!(set_up(&pipeline, &["--apply"]).code, Some(0));
    let at = admin_url().rsplit('@').next().unwrap().split('/').next().unwrap().to_owned();
    let ingest = format!("{name}_ingest");
    let file = pipeline.folder().join("secret");
    fs::write(&file, "wrong").unwrap();
    let file = file.display().to_string();
    let bare = url_of(&ingest, "", &name).replace(":@", "@");
    let home = std::env::var("HOME").unwrap();
    for (url, settings, why) in [
        (
            url_of(&ingest, "wrong", &name),
            String::new(),
            format!(
                "PostgreSQL refused: password authentication failed for user \"{ingest}\" [28P01]; check the user in \
                 postgres.url, and the password, which comes from the password in postgres.url"
            ),
        ),
        (
            bare.clone(),
            format!("password_file: {file:?}"),
            format!(
                "PostgreSQL refused: password authentication failed for user \"{ingest}\" [28P01]; check the user in \
                 postgres.url, and the password, which comes from postgres.password_file ({file:?})"
            ),
        ),
        (
            bare,
            String::new(),
            format!(
                "PostgreSQL demands a password for user \"{ingest}\", and none is configured: set postgres.password_file, \
                 postgres.password_command or PGPASSWORD, or add a line to {home}/.pgpass"
            ),
        ),
        (
            url_of("nobody", "x", &name),
            String::new(),
            "PostgreSQL refused: password authentication failed for user \"nobody\" [28P01]; check the user in \
             postgres.url, and the password, which comes from the password in postgres.url"
                .to_owned(),
        ),
        (
            url_of(&ingest, PASSWORD, "nowhere"),
            String::new(),
            "PostgreSQL refused: database \"nowhere\" does not exist [3D000]; create the database (isitup-consumer \
             setup-database shows how), or correct postgres.url"
                .to_owned(),
        ),
    ] {
        let wrong = Pipeline::new("names").postgres_url(url);
        let wrong = if settings.is_empty() { wrong } else { wrong.postgres_with(&settings) };
        is_told(&wrong, &format!("{why} (at {at})"));
    }
    // Whoever may not connect to the database.
    let other = format!("{name}_reader");
    pipeline
        .database()
        .run(&format!("REVOKE CONNECT ON DATABASE {name} FROM {other}; ALTER ROLE {other} PASSWORD 'x'"));
    let wrong = Pipeline::new("names").postgres_url(url_of(&other, "x", &name));
    let why = format!(
        "PostgreSQL refused: permission denied for database \"{name}\" [42501]; grant CONNECT on the database to this user \
         (isitup-consumer setup-database shows how) (at {at})"
    );
    is_told(&wrong, &why);
}
