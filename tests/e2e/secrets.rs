//! Secrets stay where they were given.

use crate::harness::{Pipeline, Service, shared_servers, site};

const USER: &str = "u5er-n4me";
const PASSWORD: &str = "pa55w0rd-of-the-site";
/// Of `USER:PASSWORD`.
const BASIC: &str = "dTVlci1uNG1lOnBhNTV3MHJkLW9mLXRoZS1zaXRl";
const TOKEN: &str = "t0ken-in-a-header";
const DATABASE_PASSWORD: &str = "pa55w0rd-of-the-database";

/// Everything that a reader of the database could see, as text.
pub(crate) fn all_tables(pipeline: &Pipeline<'_>) -> String {
    let mut database = pipeline.database();
    let names = "SELECT quote_ident(table_name) FROM information_schema.tables WHERE table_schema = current_schema()";
    let tables: Vec<String> = database.column(names, &[]);
    assert!(tables.len() > 10);
    tables.iter().flat_map(|table| database.column::<String>(&format!("SELECT t::text FROM {table} t"), &[])).collect()
}

/// Everything that a service says: its log, what it prints, its health and its metrics.
pub(crate) fn all_words(service: Service) -> String {
    let pages = ["/health/ready", "/health/live", "/metrics"].map(|path| service.get(path).1);
    let finished = service.sigterm();
    assert_eq!(finished.code, Some(0), "{}", finished.log);
    pages.concat() + &finished.log + &finished.output
}

#[test]
fn no_secret_reaches_a_log_the_topic_the_database_or_a_metric() {
    let guarded = site::answering_by(|head| {
        let is_known = head.contains(&format!("Basic {BASIC}")) && head.contains(TOKEN);
        if is_known { site::ok("", "welcome") } else { b"HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n".to_vec() }
    });
    let moved = site::answering(format!(
        "HTTP/1.1 302 x\r\nLocation: http://{USER}:{PASSWORD}@127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    ));
    let with_credentials = |url: &str| url.replace("http://", &format!("http://{USER}:{PASSWORD}@"));
    let pipeline = Pipeline::new("secrets");
    let role = pipeline.name().to_owned();
    pipeline.database().run(&format!("CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{DATABASE_PASSWORD}'"));
    let server = shared_servers().postgres_url().rsplit('@').next().unwrap();
    let pipeline = pipeline
        .postgres_url(format!("postgres://{role}:{DATABASE_PASSWORD}@{server}"))
        .site_with("guarded", &with_credentials(guarded.url()), &format!("headers: {{X-Token: {TOKEN}}}"))
        .site("unreachable", &with_credentials(site::CLOSED))
        .site("moved", moved.url());
    let start = |program: &str| Service::start(program, pipeline.command(program, &["--log-level", "trace"]));
    let (producer, consumer) = (start("isitup-producer"), start("isitup-consumer"));
    pipeline.wait_for_each_site();
    pipeline.wait_for_rows(6);
    assert_eq!(pipeline.count("latest_status WHERE site = 'guarded' AND outcome = 'up'"), 1, "the secrets are used");

    let mut seen = vec![("the producer's words", all_words(producer))];
    pipeline.wait_until_read();
    seen.push(("the database", all_tables(&pipeline)));
    seen.push(("the consumer's words", all_words(consumer)));
    let topic: Vec<String> =
        pipeline.topic().messages().iter().map(|m| String::from_utf8_lossy(m).into_owned()).collect();
    seen.push(("the topic", topic.concat()));
    for (place, text) in seen {
        assert!(text.len() > 1000, "{place} is empty");
        for secret in [USER, PASSWORD, BASIC, TOKEN, DATABASE_PASSWORD] {
            let found = text.find(secret).map(|at| text[..at + secret.len()].lines().last());
            assert_eq!(found, None, "{secret} is in {place}");
        }
    }
}
