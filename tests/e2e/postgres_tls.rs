//! TLS to PostgreSQL, in libpq's words: what each mode looks at, and what is told of each wrong set-up.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::harness::authority::{Authority, Dates, self_signed};
use crate::harness::proxy::{Behaviour, Direction, Proxy};
use crate::harness::{OwnPostgres, PgBouncer, Pipeline, eventually, secured, shared_servers, site, within};

/// How soon a wrong set-up is told.
const SOON: Duration = Duration::from_secs(30);

/// Who may come in how: `certified` with a certificate of his own, `guarded` over TLS only.
const RULES: &str = "hostssl all certified 127.0.0.1/32 scram-sha-256 clientcert=verify-full\n\
                     hostnossl all certified 127.0.0.1/32 reject\n\
                     hostssl all guarded 127.0.0.1/32 trust\n\
                     hostnossl all guarded 127.0.0.1/32 reject\n\
                     hostssl all byname 127.0.0.1/32 cert";

const ROLES: &str =
    "CREATE ROLE certified LOGIN PASSWORD 'secret'; CREATE ROLE guarded LOGIN; CREATE ROLE byname LOGIN;
                     CREATE ROLE plain LOGIN PASSWORD 'secret';
                     GRANT CREATE ON DATABASE isitup TO certified, guarded, plain";

/// A server with a certificate for `localhost` alone, by an authority.
fn server() -> (OwnPostgres, Authority) {
    let authority = Authority::new("the right one");
    let server = OwnPostgres::with_tls(&authority.sign(&["localhost"], "server", Dates::Now), &authority.pem, RULES);
    server.client().batch_execute(ROLES).unwrap();
    (server, authority)
}

/// A pipeline whose consumers come as `user` to `host` with `tls` configured so; `DIR` is its folder.
fn pipeline(name: &str, server: &OwnPostgres, user: &str, host: &str, tls: &str) -> Pipeline<'static> {
    let pipeline = Pipeline::new(name);
    let tls = tls.replace("DIR", &pipeline.folder().display().to_string());
    let url = format!("postgres://{user}@{host}:{}/isitup", server.port());
    let tls = if tls.is_empty() { tls } else { format!("tls: {{{tls}}}") };
    let pipeline = pipeline.postgres_url(url).proved_at(server.url());
    if tls.is_empty() { pipeline } else { pipeline.postgres_with(&tls) }
}

/// A command ends with these words, and the service says them and goes on waiting.
#[track_caller]
pub(crate) fn is_told(pipeline: &Pipeline<'_>, why: &str) {
    let mut service = pipeline.consumer();
    let asked = pipeline.ask(&["audit"]);
    assert_eq!(asked.log.lines().last(), Some(&*format!("isitup-consumer: {why}")));
    assert_eq!(asked.code, Some(3));
    let line = format!("waiting for PostgreSQL: {why}");
    within(SOON, &format!("the service says {line:?}, not {:?}", service.said()), || {
        service.said().iter().any(|said| said.ends_with(&line))
    });
    assert!(!service.has_ended());
}

#[test]
fn each_wrong_set_up_of_tls_is_told_with_its_setting_and_remedy_and_the_service_waits() {
    let (server, authority) = server();
    let (other, expired) = (Authority::new("another"), Authority::valid("expired", Dates::Past));
    let (stranger, late) = (other.sign(&[], "certified", Dates::Now), authority.sign(&[], "certified", Dates::Past));
    let wrong_name = authority.sign(&[], "somebody", Dates::Now);
    let port = server.port();
    let at = |why: &str| why.replace("PORT", &port.to_string());
    let cases = [
        (
            "certified:secret",
            "localhost",
            "mode: verify-full, ca_file: DIR/other.pem",
            "TLS to PostgreSQL: the server's certificate is not signed by the authority in postgres.tls.ca_file \
             (\"DIR/other.pem\"): give the one that signed it (at localhost:PORT)",
        ),
        (
            "certified:secret",
            "localhost",
            "mode: require, ca_file: DIR/other.pem",
            "TLS to PostgreSQL: the server's certificate is not signed by the authority in postgres.tls.ca_file \
             (\"DIR/other.pem\"): give the one that signed it (at localhost:PORT)",
        ),
        (
            "guarded",
            "localhost",
            "mode: verify-full",
            "TLS to PostgreSQL: the server's certificate is not signed by an authority that this system trusts: set \
             postgres.tls.ca_file to the one that signed it (at localhost:PORT)",
        ),
        (
            "guarded",
            "localhost",
            "mode: verify-full, ca_file: DIR/expired.pem",
            "TLS to PostgreSQL: postgres.tls.ca_file (\"DIR/expired.pem\"): its certificate expired on 2020-02-01: get \
             the authority's new one (at localhost:PORT)",
        ),
        (
            "guarded",
            "127.0.0.1",
            "mode: verify-full, ca_file: DIR/ca.pem",
            "TLS to PostgreSQL: the server's certificate is for localhost, not for 127.0.0.1: correct the host in \
             postgres.url, or have the certificate made for it (postgres.tls.mode: verify-ca does not look at the name) \
             (at 127.0.0.1:PORT)",
        ),
        (
            "certified:secret",
            "localhost",
            "mode: verify-full, ca_file: DIR/ca.pem",
            "PostgreSQL refused: connection requires a valid client certificate [28000]; set postgres.tls.cert_file and \
             key_file to a certificate for this user (at localhost:PORT)",
        ),
        (
            "certified:secret",
            "localhost",
            "ca_file: DIR/ca.pem, cert_file: DIR/stranger.cert, key_file: DIR/stranger.key",
            "TLS to PostgreSQL: the server refuses our certificate (UnknownCA): postgres.tls.cert_file \
             (\"DIR/stranger.cert\") must be signed by the authority in the server's ssl_ca_file (at localhost:PORT)",
        ),
        (
            "certified:secret",
            "localhost",
            "ca_file: DIR/ca.pem, cert_file: DIR/late.cert, key_file: DIR/late.key",
            "TLS to PostgreSQL: the server refuses our certificate as expired: renew postgres.tls.cert_file \
             (\"DIR/late.cert\") (at localhost:PORT)",
        ),
        (
            "byname",
            "localhost",
            "ca_file: DIR/ca.pem, cert_file: DIR/somebody.cert, key_file: DIR/somebody.key",
            "PostgreSQL refused: certificate authentication failed for user \"byname\" [28000]; postgres.tls.cert_file \
             must be made for this user, by name (at localhost:PORT)",
        ),
        (
            "guarded",
            "127.0.0.1",
            "mode: disable",
            "PostgreSQL refused: pg_hba.conf rejects connection for host \"127.0.0.1\", user \"guarded\", database \
             \"isitup\", no encryption [28000]; the server may demand TLS: set postgres.tls.mode to verify-full and \
             postgres.tls.ca_file, or allow this connection in its pg_hba.conf (at 127.0.0.1:PORT)",
        ),
    ];
    thread::scope(|scope| {
        for (user, host, tls, why) in &cases {
            scope.spawn(|| {
                let pipeline = pipeline("tls_wrong", &server, user, host, tls);
                let folder = pipeline.folder();
                for (name, pem) in [("ca", &authority.pem), ("other", &other.pem), ("expired", &expired.pem)] {
                    fs::write(folder.join(format!("{name}.pem")), pem).unwrap();
                }
                stranger.write(folder, "stranger");
                late.write(folder, "late");
                wrong_name.write(folder, "somebody");
                is_told(&pipeline, &at(&why.replace("DIR", &folder.display().to_string())));
            });
        }
    });

    let pipeline = pipeline("tls_expired", &server, "guarded", "localhost", "ca_file: DIR/ca.pem");
    fs::write(pipeline.folder().join("ca.pem"), &authority.pem).unwrap();
    server.take_certificate(&authority.sign(&["localhost"], "server", Dates::Past));
    let why = "TLS to PostgreSQL: the server's certificate expired on 2020-02-01: it must be renewed there (at localhost:PORT)";
    is_told(&pipeline, &at(why));
    server.offer_tls(false);
    let why = "TLS to PostgreSQL: the server offers no TLS, and postgres.tls.mode is verify-full: switch TLS on there \
               (ssl = on), or set postgres.tls.mode: disable where the way there is a private one (at localhost:PORT)";
    is_told(&pipeline, &at(why));
}

#[test]
fn files_that_are_missing_no_pem_or_do_not_fit_are_mistakes_of_the_configuration() {
    let authority = Authority::new("an authority");
    let (one, other) = (authority.sign(&[], "one", Dates::Now), authority.sign(&[], "other", Dates::Now));
    for (tls, key, why) in [
        ("ca_file: none.pem", "ca_file", "the file it names cannot be read: No such file or directory (os error 2)"),
        (
            "ca_file: text",
            "ca_file",
            "\"DIR/text\" holds no certificate: it must have lines from BEGIN CERTIFICATE to END CERTIFICATE",
        ),
        (
            "cert_file: one.cert, key_file: text",
            "key_file",
            "\"DIR/text\" holds no private key: it must have lines from BEGIN PRIVATE KEY to END",
        ),
        (
            "cert_file: one.cert, key_file: other.key",
            "key_file",
            "\"DIR/other.key\" holds a key that does not fit the certificate",
        ),
        ("cert_file: one.cert", "cert_file", "needs its key beside it, in `key_file`"),
        ("key_file: one.key", "key_file", "needs its certificate beside it, in `cert_file`"),
    ] {
        let pipeline = Pipeline::new("tls_files").postgres_with(&format!("tls: {{{tls}}}"));
        one.write(pipeline.folder(), "one");
        other.write(pipeline.folder(), "other");
        fs::write(pipeline.folder().join("text"), "no PEM\n").unwrap();
        let folder = pipeline.folder().display().to_string();
        let asked = pipeline.ask(&["audit"]);
        let told =
            format!("isitup-consumer: {folder}/config.yml:2: postgres.tls.{key}: {}", why.replace("DIR", &folder));
        assert_eq!((asked.code, &*asked.log), (Some(2), &*told));
    }
}

#[test]
fn each_mode_looks_at_what_libpq_looks_at() {
    let (server, authority) = server();
    let by_itself = self_signed(&["localhost"], "server");
    let other = Authority::new("another");
    let is_let_in = |host: &str, tls: &str, ca: &str| {
        let pipeline = pipeline("tls_modes", &server, "guarded", host, tls);
        fs::write(pipeline.folder().join("ca.pem"), ca).unwrap();
        pipeline.ask(&["migrate", "--wait", "5s"]).code == Some(0)
    };
    assert!(is_let_in("localhost", "mode: verify-full, ca_file: DIR/ca.pem", &authority.pem));
    assert!(is_let_in("localhost", "ca_file: DIR/ca.pem", &(other.pem.clone() + &authority.pem)), "among others");
    assert!(!is_let_in("127.0.0.1", "mode: verify-full, ca_file: DIR/ca.pem", &authority.pem));
    assert!(is_let_in("127.0.0.1", "mode: verify-ca, ca_file: DIR/ca.pem", &authority.pem), "no name is looked at");
    assert!(!is_let_in("127.0.0.1", "mode: verify-ca, ca_file: DIR/ca.pem", &other.pem));
    assert!(is_let_in("127.0.0.1", "mode: require, ca_file: DIR/ca.pem", &authority.pem));
    assert!(!is_let_in("127.0.0.1", "mode: require, ca_file: DIR/ca.pem", &other.pem), "as libpq, with a CA at hand");
    assert!(is_let_in("127.0.0.1", "mode: require", &other.pem), "encrypted only");
    assert!(!is_let_in("127.0.0.1", "mode: disable", &authority.pem));
    assert!(!is_let_in("127.0.0.1", "", &authority.pem), "plaintext where the server is on this machine");
    server.take_certificate(&by_itself);
    assert!(is_let_in("localhost", "ca_file: DIR/ca.pem", &by_itself.cert), "it is its own authority");
    assert!(!is_let_in("localhost", "ca_file: DIR/ca.pem", &authority.pem));
}

#[test]
fn libpqs_words_in_the_url_mean_the_same_with_a_client_certificate_and_channel_binding() {
    let (server, authority) = server();
    let pipeline = Pipeline::new("tls_url").site("hello", site::CLOSED);
    let folder = pipeline.folder().to_owned();
    fs::write(folder.join("ca.pem"), &authority.pem).unwrap();
    authority.sign(&[], "certified", Dates::Now).write(&folder, "own");
    let url = format!(
        "postgres://certified:secret@localhost:{}/isitup?sslmode=verify-full&sslrootcert=ca.pem&sslcert=own.cert\
         &sslkey=own.key&channel_binding=require",
        server.port()
    );
    let pipeline = pipeline.postgres_url(url).proved_at(server.url());
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    consumer.wait_for_log("over TLS (postgres.tls.mode: verify-full)");
    pipeline.wait_for_rows(4);
    let sessions = "pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'certified'";
    assert!(pipeline.count(sessions) > 0);
    assert_eq!(pipeline.count(&format!("{sessions} AND NOT (s.ssl AND s.client_dn = '/CN=certified')")), 0);
    pipeline.prove(producer);
}

#[test]
fn files_replaced_on_disk_are_taken_up_at_the_next_connection() {
    let (server, authority) = server();
    let site = site::well("hello");
    let next = Authority::new("the next one");
    let pipeline = pipeline("tls_replaced", &server, "guarded", "localhost", "mode: verify-full, ca_file: DIR/ca.pem")
        .busy_with(&site);
    let ca = pipeline.folder().join("ca.pem");
    fs::write(&ca, &authority.pem).unwrap();
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    server.take_certificate(&next.sign(&["localhost"], "server", Dates::Now));
    let end_all = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'guarded'";
    server.client().batch_execute(end_all).unwrap();
    consumer.wait_for_log("not signed by the authority in postgres.tls.ca_file");
    fs::write(&ca, "torn").unwrap();
    server.client().batch_execute(end_all).unwrap();
    eventually("health tells of the file", || {
        let (status, text) = consumer.get("/health/ready");
        status == 503 && text.contains("postgres.tls.ca_file") && text.contains("holds no certificate")
    });
    fs::write(&ca, &next.pem).unwrap();
    pipeline.wait_for_more_rows(300);
    pipeline.prove(producer);
}

/// A pipeline that reaches the database of all tests over TLS, through `address`.
fn encrypted(name: &str, url: String) -> Pipeline<'static> {
    let ca = secured::certificates_of(shared_servers().postgres_url()).unwrap().join("ca.pem");
    Pipeline::new(name).postgres_url(url).postgres_with(&format!("tls: {{ca_file: {ca:?}}}"))
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn answers_that_vanish_over_tls_hold_the_consumer_up_for_less_than_a_minute() {
    let (proxy, site) = (Proxy::opaque_postgres(shared_servers().postgres_url()), site::well("hello"));
    let pipeline = encrypted("tls_hole", proxy.url()).busy_with(&site);
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    proxy.behave(Behaviour::Swallow(Direction::Downstream));
    within(Duration::from_secs(60), "the consumer says so", || consumer.get("/health/ready").0 == 503);
    proxy.behave(Behaviour::Forward);
    pipeline.wait_for_more_rows(300);
    pipeline.prove(producer);
}

#[test]
fn a_handshake_that_is_never_answered_is_given_up() {
    let (proxy, site) = (Proxy::opaque_postgres(shared_servers().postgres_url()), site::well("hello"));
    proxy.behave(Behaviour::Swallow(Direction::Downstream));
    let pipeline = encrypted("tls_mute", proxy.url()).busy_with(&site);
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    consumer.wait_for_log("no answer within 10 s, the connection is given up");
    proxy.behave(Behaviour::Forward);
    pipeline.wait_for_rows(300);
    pipeline.prove(producer);
}

#[test]
fn a_slow_line_is_no_dead_one_over_tls() {
    let (proxy, site) = (Proxy::opaque_postgres(shared_servers().postgres_url()), site::well("hello"));
    let pipeline = encrypted("tls_slow", proxy.url()).site("hello", site.url());
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(2);
    proxy.behave(Behaviour::Slow(20_000));
    pipeline.wait_for_more_rows(10);
    assert!(!consumer.has_logged("no answer within"));
    proxy.behave(Behaviour::Forward);
    pipeline.prove(producer);
}

#[test]
fn pgbouncer_may_stand_between_with_tls_on_both_sides() {
    let (pooler, site) = (PgBouncer::before(shared_servers().postgres_url()), site::well("hello"));
    let pipeline = encrypted("tls_pooled", pooler.url()).busy_with(&site);
    let (producer, mut consumer) = (pipeline.producer(), pipeline.consumer());
    consumer.wait_for_log("a pooler stands before PostgreSQL");
    pipeline.wait_for_rows(300);
    assert!(pooler.log().contains("tls=TLSv1.3"), "{}", pooler.log());
    assert!(!consumer.has_ended());
    pipeline.prove(producer);
}

#[test]
fn with_several_hosts_the_one_that_lives_is_found_over_tls() {
    let site = site::well("hello");
    let url = shared_servers().postgres_url().replace("127.0.0.1:", "127.0.0.1:1,localhost:");
    let pipeline = encrypted("tls_hosts", format!("{url}?target_session_attrs=read-write")).site("hello", site.url());
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(4);
    pipeline.prove(producer);
}
