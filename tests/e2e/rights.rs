//! Who may do what in the database, and that nobody gets more: what the reader, the storing user and strangers try comes to
//! nothing, whether the tables belong to a superuser or to an owner of their own, by the defaults of PostgreSQL 14 and 15.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use postgres::{Config, NoTls};

use crate::harness::{Database, Pipeline, repository};
use crate::setup_database::{Gone, PASSWORD, admin_url, as_ingest, set_up, url_of};

const PINNED: &str = "search_path=pg_catalog, pg_temp";

/// Each function: its name, whether it runs as the owner, its settings, and who may call it beside the owner.
const FUNCTIONS: [(&str, bool, &str, &str); 9] = [
    // Bound when it was made, so that nothing is looked up when it is called.
    ("came_after", false, "", "ingest"),
    ("count_of", false, "", "ingest reader"),
    ("day_numbers", true, PINNED, "ingest reader"),
    ("drop_result_day", true, "search_path=pg_catalog, pg_temp; lock_timeout=100ms", "ingest"),
    ("make_result_day", true, PINNED, "ingest"),
    ("note_offset_jump", false, PINNED, ""),
    ("note_offsets_gone", false, PINNED, ""),
    ("slots_in", false, "", ""),
    ("uptime_between", true, PINNED, "ingest reader"),
];

/// A database with a schema of ours, and those who try.
struct Scene {
    pipeline: Pipeline<'static>,
    owner: String,
    ingest: String,
    reader: String,
    stranger: String,
    _gone: Gone,
}

impl Scene {
    /// As `setup-database` makes it.
    fn set_up(name: &str) -> Self {
        let pipeline = as_ingest(name);
        let scene = Self::of(pipeline, "owner");
        let made = set_up(&scene.pipeline, &["--apply"]);
        assert_eq!(made.code, Some(0), "{made:?}");
        scene.ready()
    }

    /// One user, a superuser, who owns all; the others have the roles that migrations make.
    fn of_one_user(name: &str) -> Self {
        let pipeline = Pipeline::new(name);
        let database = pipeline.name().to_owned();
        let url = url_of("isitup", "isitup", &database);
        let scene = Self::of(pipeline.postgres_url(url.clone()).proved_at(url), "isitup");
        let mut admin = admin();
        admin.batch_execute(&format!("CREATE DATABASE {database}")).unwrap();
        let made = scene.pipeline.ask(&["migrate"]);
        assert_eq!(made.code, Some(0), "{made:?}");
        admin
            .batch_execute(&format!(
                "CREATE ROLE {} LOGIN IN ROLE isitup_ingest; CREATE ROLE {} LOGIN IN ROLE isitup_reader",
                scene.ingest, scene.reader
            ))
            .unwrap();
        scene.ready()
    }

    fn of(pipeline: Pipeline<'static>, owner: &str) -> Self {
        let name = pipeline.name().to_owned();
        let role = |end: &str| format!("{name}_{end}");
        let owner = if owner == "owner" { role(owner) } else { owner.to_owned() };
        let (ingest, reader, stranger) = (role("ingest"), role("reader"), role("stranger"));
        Self { pipeline, owner, ingest, reader, stranger, _gone: Gone(name) }
    }

    /// Lets all of them in, with what PostgreSQL 14 gives to everybody.
    fn ready(self) -> Self {
        let Self { ingest, reader, stranger, pipeline, .. } = &self;
        let database = pipeline.name();
        admin()
            .batch_execute(&format!(
                "CREATE ROLE {stranger} LOGIN; GRANT CONNECT, TEMPORARY ON DATABASE {database} TO PUBLIC;
                 ALTER ROLE {ingest} PASSWORD '{PASSWORD}'; ALTER ROLE {reader} PASSWORD '{PASSWORD}';
                 ALTER ROLE {stranger} PASSWORD '{PASSWORD}'"
            ))
            .unwrap();
        self.superuser().run("GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC");
        self
    }

    fn schema(&self) -> &str {
        self.pipeline.name()
    }

    fn superuser(&self) -> Database {
        Database::connect(&url_of("isitup", "isitup", self.schema()), self.schema()).unwrap()
    }

    fn as_user(&self, user: &str) -> Database {
        Database::connect(&url_of(user, PASSWORD, self.schema()), self.schema()).unwrap()
    }
}

fn admin() -> postgres::Client {
    admin_url().parse::<Config>().unwrap().connect(NoTls).unwrap()
}

/// Both kinds of databases.
fn scenes(name: &str) -> [Scene; 2] {
    [Scene::set_up(&format!("{name}_set")), Scene::of_one_user(&format!("{name}_one"))]
}

fn words(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn each_function_is_pinned_and_closed_to_all_but_those_who_need_it() {
    for scene in scenes("functions") {
        let ends = BTreeMap::from([
            (scene.owner.clone(), "owner"),
            (scene.ingest.clone(), "ingest"),
            (scene.reader.clone(), "reader"),
            ("isitup_ingest".to_owned(), "ingest"),
            ("isitup_reader".to_owned(), "reader"),
        ]);
        let found = scene.superuser().rows(
            "SELECT p.proname::text, p.prosecdef, coalesce(array_to_string(p.proconfig, '; '), ''),
                    ARRAY(SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END
                          FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a ORDER BY 1),
                    pg_get_userbyid(p.proowner)::text
             FROM pg_proc p WHERE p.pronamespace = current_schema()::regnamespace ORDER BY 1",
            &[],
        );
        assert_eq!(found.len(), FUNCTIONS.len(), "a function that is not in the list");
        for (row, (name, is_definer, settings, callers)) in found.iter().zip(FUNCTIONS) {
            assert_eq!(row.get::<_, String>(0), name);
            assert_eq!((row.get::<_, bool>(1), &*row.get::<_, String>(2)), (is_definer, settings), "{name}");
            let granted = row.get::<_, Vec<String>>(3);
            let granted: BTreeSet<String> =
                granted.iter().map(|role| ends.get(role).copied().unwrap_or(role).to_owned()).collect();
            assert_eq!(granted, words(&format!("owner {callers}")), "{name}");
            assert_eq!(row.get::<_, String>(4), scene.owner, "{name}");
        }
    }
}

#[test]
fn the_table_of_rights_in_the_docs_is_what_the_database_says() {
    let page = fs::read_to_string(repository().join("docs/PRODUCTION.md")).unwrap();
    let mut documented = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, objects, reader, ingest, ..] = cells[..] else { continue };
        for object in objects.split('`').skip(1).step_by(2) {
            documented.insert(object.to_owned(), (words(&reader.replace(',', "")), words(&ingest.replace(',', ""))));
        }
    }
    for scene in scenes("documented") {
        let mut superuser = scene.superuser();
        let mut rights_of = |role: &str, object: &str, kind: &str| -> BTreeSet<String> {
            let sql = match kind {
                "f" => format!("SELECT 'EXECUTE' WHERE has_function_privilege('{role}', {object}::oid, 'EXECUTE')"),
                _ => format!(
                    "SELECT r FROM unnest('{{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}}'::text[]) r
                     WHERE has_table_privilege('{role}', {object}::oid, r)"
                ),
            };
            superuser.column::<String>(&sql, &[]).into_iter().collect()
        };
        let objects = scene.superuser().rows(
            "SELECT relname::text, oid::text, 't' FROM pg_class
             WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v') AND NOT relispartition
             UNION ALL SELECT proname || '()', oid::text, 'f' FROM pg_proc
             WHERE pronamespace = current_schema()::regnamespace",
            &[],
        );
        for row in &objects {
            let (name, oid, kind): (String, String, String) = (row.get(0), row.get(1), row.get(2));
            let found = (rights_of(&scene.reader, &oid, &kind), rights_of(&scene.ingest, &oid, &kind));
            assert_eq!(documented.get(&name), Some(&found), "{name} in docs/PRODUCTION.md");
        }
        assert_eq!(
            objects.len(),
            documented.len(),
            "an object in docs/PRODUCTION.md that is not there: {documented:?}"
        );
    }
}

/// Temporary and public objects by which a caller has a function of the schema call what is the caller's: all leave a word in
/// the session when they are run, of whom they were run by.
const TRAPS: &str = "
    CREATE FUNCTION SPOT.trap() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_catalog.set_config('attack.ran_as', current_user, false); RETURN NEW; END $$;
    CREATE FUNCTION SPOT.to_char(date, text) RETURNS text LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_catalog.set_config('attack.ran_as', current_user, false); RETURN '20010101'; END $$;
    CREATE FUNCTION SPOT.to_regclass(text) RETURNS regclass LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_catalog.set_config('attack.ran_as', current_user, false); RETURN NULL; END $$;
    CREATE FUNCTION SPOT.slots_in(interval, bigint) RETURNS bigint LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_catalog.set_config('attack.ran_as', current_user, false); RETURN 1; END $$;
    CREATE FUNCTION SPOT.same(anyelement, anyelement) RETURNS boolean LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_catalog.set_config('attack.ran_as', current_user, false); RETURN true; END $$;
    CREATE FUNCTION SPOT.joined(text, text) RETURNS text LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_catalog.set_config('attack.ran_as', current_user, false); RETURN 'x'; END $$;
    CREATE OPERATOR SPOT.= (LEFTARG = anyelement, RIGHTARG = anyelement, FUNCTION = SPOT.same);
    CREATE OPERATOR SPOT.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = SPOT.joined);
    CREATE DOMAIN SPOT.date AS text;
    CREATE DOMAIN SPOT.regclass AS text;
    CREATE TABLE SPOT.result_day (day pg_catalog.date);
    CREATE TABLE SPOT.audit_day (day pg_catalog.date);
    CREATE TABLE SPOT.audit_sum (day pg_catalog.date, producer_id uuid, seqs int8multirange);
    CREATE TABLE SPOT.retention (keep_days integer);
    CREATE TABLE SPOT.pg_inherits (inhrelid oid, inhdetachpending boolean);
    INSERT INTO SPOT.audit_day SELECT current_date;
    INSERT INTO SPOT.retention VALUES (0);
    CREATE TABLE SPOT.offset_jump (topic text, partition integer, from_offset bigint, to_offset bigint, reason text);
    CREATE TRIGGER trap BEFORE INSERT ON SPOT.offset_jump FOR EACH ROW EXECUTE FUNCTION SPOT.trap();
    CREATE TABLE SPOT.partition_offset (topic text, partition integer, next_offset bigint);
    INSERT INTO SPOT.partition_offset VALUES ('t', 0, 1);
    CREATE TABLE SPOT.bait (topic text, partition integer, next_offset bigint);
    INSERT INTO SPOT.bait VALUES ('t', 0, 1);";

/// What is tried with them.
const TRIES: [&str; 14] = [
    "CREATE TRIGGER hook AFTER DELETE ON SPOT.bait FOR EACH ROW EXECUTE FUNCTION SCHEMA.note_offset_jump('unexplained');
     DELETE FROM SPOT.bait",
    "CREATE TRIGGER hook AFTER UPDATE ON SPOT.partition_offset FOR EACH ROW EXECUTE FUNCTION SCHEMA.note_offset_jump('replay');
     UPDATE SPOT.partition_offset SET next_offset = 7",
    "CREATE TRIGGER gone BEFORE TRUNCATE ON SPOT.partition_offset EXECUTE FUNCTION SCHEMA.note_offsets_gone();
     TRUNCATE SPOT.partition_offset",
    "CREATE TRIGGER hook AFTER DELETE ON SCHEMA.site FOR EACH ROW EXECUTE FUNCTION SPOT.trap()",
    "SELECT SCHEMA.drop_result_day(current_date)",
    "SELECT SCHEMA.drop_result_day('2001-01-01')",
    "SELECT SCHEMA.make_result_day(current_date + 3)",
    "SELECT * FROM SCHEMA.uptime_between(now() - interval '1 h', now())",
    "SELECT * FROM SCHEMA.uptime_between('-infinity', 'infinity')",
    "SELECT * FROM SCHEMA.day_numbers(current_date)",
    "SELECT * FROM SCHEMA.uptime",
    "SELECT * FROM SCHEMA.audit",
    "SELECT SCHEMA.count_of('{[1,5)}')",
    "SELECT SCHEMA.came_after('3'::xid, pg_current_snapshot())",
];

#[test]
fn nothing_that_a_caller_makes_is_run_by_the_owner() {
    for scene in scenes("attack") {
        for user in [&scene.reader, &scene.ingest, &scene.stranger] {
            for spot in ["pg_temp", "public"] {
                let mut session = scene.as_user(user);
                session.run(&TRAPS.replace("SPOT", spot));
                for path in ["pg_temp, public, pg_catalog", "SCHEMA, public, pg_temp", "public, SCHEMA"] {
                    session.run(&format!("SET search_path TO {}", path.replace("SCHEMA", scene.schema())));
                    for attack in TRIES {
                        let attack = attack.replace("SPOT", spot).replace("SCHEMA", scene.schema());
                        // Most of them are refused, each user some others.
                        let _ = session.try_run(&attack);
                        let ran_as: Option<String> =
                            session.value("SELECT nullif(pg_catalog.current_setting('attack.ran_as', true), '')");
                        assert!(ran_as.is_none_or(|who| who == *user), "{user} had code run by the owner: {attack}");
                    }
                }
                session.run("RESET search_path; DROP OWNED BY CURRENT_USER");
                // What was granted to it went along.
                if user != &scene.stranger {
                    restore(&scene);
                }
            }
        }
    }
}

/// Gives the roles their rights again.
fn restore(scene: &Scene) {
    if scene.owner == "isitup" {
        return;
    }
    let made = set_up(&scene.pipeline, &["--apply"]);
    assert_eq!(made.code, Some(0), "{made:?}");
}

#[test]
fn nobody_takes_a_role_an_object_or_the_server() {
    for scene in scenes("takeover") {
        let (schema, owner) = (scene.schema(), &scene.owner);
        for user in [&scene.reader, &scene.ingest, &scene.stranger] {
            let mut session = scene.as_user(user);
            for attempt in [
                format!("SET ROLE {owner}"),
                format!("SET SESSION AUTHORIZATION {owner}"),
                format!("GRANT {owner} TO {user}"),
                format!("ALTER ROLE {user} SUPERUSER"),
                format!("ALTER FUNCTION {schema}.note_offset_jump() SECURITY DEFINER"),
                format!("ALTER FUNCTION {schema}.uptime_between(timestamptz, timestamptz) RESET search_path"),
                format!("CREATE OR REPLACE VIEW {schema}.audit AS SELECT 1 AS a"),
                format!("ALTER VIEW {schema}.audit SET (security_invoker = true)"),
                format!("CREATE TRIGGER mine AFTER INSERT ON {schema}.result EXECUTE FUNCTION pg_notify('a')"),
                format!("CREATE RULE mine AS ON INSERT TO {schema}.site DO ALSO NOTHING"),
                format!("CREATE FUNCTION {schema}.mine() RETURNS integer LANGUAGE sql RETURN 1"),
                format!("CREATE TABLE {schema}.mine ()"),
                format!("UPDATE {schema}.retention SET keep_days = 0"),
                format!("DELETE FROM {schema}.result"),
                format!("TRUNCATE {schema}.result"),
                format!("ALTER TABLE {schema}.result OWNER TO {user}"),
                format!("DROP SCHEMA {schema} CASCADE"),
                "COPY (SELECT 1) TO PROGRAM 'true'".to_owned(),
                "COPY (SELECT 1) TO '/tmp/isitup-taken'".to_owned(),
                "SELECT pg_read_file('PG_VERSION')".to_owned(),
                "LOAD 'plpgsql'; CREATE EXTENSION dblink".to_owned(),
            ] {
                let error = session.try_run(&attempt).err().unwrap_or_else(|| panic!("{user} may: {attempt}"));
                let code = error.code().unwrap().code().to_owned();
                // A view of another shape, and a function that is none for triggers, are refused for that as well.
                assert!(["42501", "42P16", "42883", "42P17"].contains(&&*code), "{user}: {attempt}: {error:?}");
            }
        }
    }
}

#[test]
fn functions_that_note_moved_offsets_serve_their_table_only() {
    let scene = Scene::of_one_user("notes");
    let mut owner = scene.superuser();
    owner.run(
        "CREATE TABLE other (LIKE partition_offset INCLUDING ALL);
         INSERT INTO other (topic, partition, next_offset) VALUES ('t', 0, 1)",
    );
    for (trigger, change) in [
        (
            "AFTER UPDATE ON other FOR EACH ROW EXECUTE FUNCTION note_offset_jump('replay')",
            "UPDATE other SET next_offset = 2",
        ),
        (
            "BEFORE DELETE ON partition_offset FOR EACH ROW EXECUTE FUNCTION note_offset_jump('replay')",
            "DELETE FROM partition_offset",
        ),
        (
            "AFTER DELETE ON partition_offset FOR EACH ROW EXECUTE FUNCTION note_offset_jump()",
            "DELETE FROM partition_offset",
        ),
        ("BEFORE TRUNCATE ON other EXECUTE FUNCTION note_offsets_gone()", "TRUNCATE other"),
        ("BEFORE DELETE ON partition_offset EXECUTE FUNCTION note_offsets_gone()", "DELETE FROM partition_offset"),
    ] {
        owner.run(
            "INSERT INTO partition_offset (topic, partition, next_offset) VALUES ('t', 0, 1) ON CONFLICT DO NOTHING",
        );
        owner.run(&format!("CREATE TRIGGER misplaced {trigger}"));
        let error = owner.try_run(change).unwrap_err();
        assert!(error.as_db_error().unwrap().message().contains(" serves "), "{trigger}: {error:?}");
        owner.run(if trigger.contains("ON other") {
            "DROP TRIGGER misplaced ON other"
        } else {
            "DROP TRIGGER misplaced ON partition_offset"
        });
    }
    owner.run("DELETE FROM offset_jump; UPDATE partition_offset SET next_offset = 7; TRUNCATE partition_offset");
    assert_eq!(owner.count("offset_jump WHERE reason = 'unexplained'"), 2, "their own table's moves are noted");
}

#[test]
fn the_storing_user_drops_no_day_that_is_kept_or_not_summed_up() {
    let scene = Scene::set_up("days");
    let mut ingest = scene.as_user(&scene.ingest);
    let day: String = ingest.value("SELECT ((now() AT TIME ZONE 'UTC')::date - 100)::text");
    let kept: String = ingest.value("SELECT ((now() AT TIME ZONE 'UTC')::date - 90)::text");
    for of_day in [&day, &kept] {
        ingest.run(&format!(
            "SELECT make_result_day('{of_day}'); INSERT INTO result_day VALUES ('{of_day}');
             INSERT INTO result (scheduled_at, seq, started_at, finished_at, total_us, producer_id, site_id, version_id,
                                 redirects, location)
             SELECT '{of_day} 10:00Z', n, now(), now(), 1, '00000000-0000-0000-0000-000000000007', 1, 1, 0, 'x'
             FROM generate_series(1, 5) n;"
        ));
    }
    let refused = |ingest: &mut Database, sql: &str, why: &str| {
        let error = ingest.try_run(sql).unwrap_err();
        let message = error.as_db_error().unwrap().message();
        assert!(message.contains(why), "{sql}: {message}");
        let _ = ingest.try_run("ROLLBACK");
    };
    let drop_it = format!("SELECT drop_result_day('{day}')");
    refused(&mut ingest, &drop_it, "is not closed");
    ingest.run(&format!("DELETE FROM result_day WHERE day IN ('{day}', '{kept}')"));
    ingest.run(&format!("INSERT INTO audit_day VALUES ('{day}'), ('{kept}')"));
    // As if it had been summed up, but with nothing, or not all, or another producer's numbers.
    refused(&mut ingest, &drop_it, "has 5 rows whose numbers are not summed up");
    ingest.run(&format!(
        "INSERT INTO audit_sum VALUES ('{day}', '00000000-0000-0000-0000-000000000008', '{{[1,9)}}', '{{}}')"
    ));
    refused(&mut ingest, &drop_it, "has 5 rows whose numbers are not summed up");
    ingest.run(&format!(
        "INSERT INTO audit_sum VALUES ('{day}', '00000000-0000-0000-0000-000000000007', '{{[1,5)}}', '{{}}')"
    ));
    refused(&mut ingest, &drop_it, "has 1 rows whose numbers are not summed up");
    refused(&mut ingest, &format!("BEGIN ISOLATION LEVEL REPEATABLE READ; {drop_it}"), "READ COMMITTED");
    refused(&mut ingest, &format!("SELECT drop_result_day('{kept}')"), "has recorded a retention of 90 days");
    refused(&mut ingest, "DELETE FROM retention", "permission denied for table retention");
    for (odd, why) in [
        ("NULL", "no day to drop"),
        ("'infinity'", "no day to drop"),
        ("'-infinity'", "no day to drop"),
        ("'4713-01-01 BC'", "no day to drop"),
        ("current_date + 400", "no day to drop"),
        ("'2024-01-01''; DROP TABLE result; --'", "invalid input syntax for type date"),
    ] {
        refused(&mut ingest, &format!("SELECT drop_result_day({odd})"), why);
        refused(&mut ingest, &format!("SELECT make_result_day({odd})"), &why.replace("drop", "make"));
    }
    assert_eq!(ingest.count("result"), 10);
    // Summed up in truth it goes.
    let mut owner = scene.superuser();
    owner.run(&format!("UPDATE audit_sum SET seqs = '{{[1,6)}}' WHERE day = '{day}'"));
    ingest.run(&drop_it);
    assert_eq!(ingest.count("result"), 5);
}
