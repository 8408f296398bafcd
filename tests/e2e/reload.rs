//! The configuration changes while the producer runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Pipeline, eventually, site};

/// How many times the producer told of a configuration of so many sites.
fn told_of(pipeline: &Pipeline<'_>, site_count: i64) -> i64 {
    pipeline.count(&format!("producer_event WHERE site_count = {site_count}"))
}

fn results_of(pipeline: &Pipeline<'_>, site: &str) -> i64 {
    pipeline.count(&format!("check_result WHERE site = '{site}'"))
}

#[test]
fn sites_come_change_and_go_and_every_slot_stays_accounted_for() {
    let (well, slow) = (site::well("hello"), site::slow(Duration::from_millis(700)));
    let first =
        Pipeline::new("reloaded").site("stays", well.url()).site("changes", slow.url()).site("goes", well.url());
    let (producer, _consumer) = (first.producer(), first.consumer());
    first.wait_for_each_site();

    let second = first.without("goes").changed("changes", well.url(), "timeout: 3s").site_later("comes", well.url());
    second.write_config();
    eventually("the new site is checked", || results_of(&second, "comes") > 2);
    let went_after = second.count("check_result WHERE site = 'goes'");
    second.wait_for_more_rows(10);
    // A check of it that was in flight may still have come in.
    assert!(results_of(&second, "goes") <= went_after + 1);
    second.prove(producer);

    let mut database = second.database();
    let hashes = "SELECT site || ' ' || count(DISTINCT config_hash) FROM check_result GROUP BY site ORDER BY site";
    let expected = ["changes 2", "comes 1", "goes 1", "stays 1"].map(str::to_owned);
    assert_eq!(database.column::<String>(hashes, &[]), expected);
    let overlapping: i64 = database.value(
        "SELECT count(*) FROM (SELECT started_at, lag(finished_at) OVER (PARTITION BY site ORDER BY started_at) AS ended
                               FROM check_result) c WHERE started_at < ended",
    );
    assert_eq!(overlapping, 0, "never two checks of one site at one time");
    assert_eq!(second.count("producer_event WHERE type = 'producer' AND state = 'started'"), 1);
}

#[test]
fn a_broken_configuration_leaves_the_old_one_running_and_says_why() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("broken_reload").site("a", site.url());
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(2);
    let config = pipeline.folder().join("config.yml");
    let well = fs::read_to_string(&config).unwrap();
    fs::write(&config, well.replace("defaults: {", "defaults: {intervall: 1s, ")).unwrap();
    producer.wait_for_log("the changed configuration is refused, the one before goes on");
    producer.wait_for_log("defaults.intervall: unknown key");
    pipeline.wait_for_more_rows(3);
    fs::write(&config, &well).unwrap();
    producer.wait_for_log("the configuration was read anew: 1 sites");
    pipeline.prove(producer);
}

#[test]
fn a_signal_a_new_file_of_a_pattern_and_a_moved_link_are_taken_up() {
    let site = site::well("hello");
    let pipeline =
        Pipeline::new("many_files").with("domains_file: ['sites.d/*.txt', mounted/sites]").site("a", site.url());
    let folder = pipeline.folder().to_owned();
    for name in ["sites.d", "mounted", "mounted/v1", "mounted/v2"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    let url = |name: &str| format!("{}{name}", site.url());
    let pipeline = ["one", "two", "v1", "v2"].iter().fold(pipeline, |pipeline, name| pipeline.passing(&url(name)));
    fs::write(folder.join("sites.d/one.txt"), url("one")).unwrap();
    for version in ["v1", "v2"] {
        fs::write(folder.join("mounted").join(version).join("sites"), url(version)).unwrap();
    }
    // As a mounted config map: the file is a link through a link that moves.
    symlink("v1", folder.join("mounted/..data")).unwrap();
    symlink("..data/sites", folder.join("mounted/sites")).unwrap();
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    eventually("the producer has begun", || told_of(&pipeline, 3) > 0);

    fs::write(folder.join("sites.d/two.txt"), url("two")).unwrap();
    eventually("the new file's site is checked", || results_of(&pipeline, &url("two")) > 1);
    symlink("v2", folder.join("mounted/..new")).unwrap();
    fs::rename(folder.join("mounted/..new"), folder.join("mounted/..data")).unwrap();
    eventually("the other version's site is checked", || results_of(&pipeline, &url("v2")) > 1);
    let before = told_of(&pipeline, 4);
    producer.signal(Signal::HUP);
    eventually("the signal is answered", || told_of(&pipeline, 4) > before);
    pipeline.prove(producer);
    assert!(results_of(&pipeline, &url("v1")) > 0);
}

#[test]
fn a_change_that_a_sealed_vault_holds_up_is_taken_up_once_it_is_open() {
    let site = site::well("hello");
    let token = "bearer_token_command: '[ -f open ] && echo t0ken'";
    let first = Pipeline::new("sealed_reload").site_with("a", site.url(), token);
    let vault = first.folder().join("open");
    fs::write(&vault, "").unwrap();
    let (producer, _consumer) = (first.producer(), first.consumer());
    first.wait_for_rows(2);
    fs::remove_file(&vault).unwrap();
    let second = first.site_later("b", site.url());
    second.write_config();
    producer.wait_for_log("the one before goes on");
    assert!(producer.has_logged("that is tried again"), "{:?}", producer.said());
    fs::write(&vault, "").unwrap();
    eventually("the new site is checked", || results_of(&second, "b") > 1);
    second.prove(producer);
}
