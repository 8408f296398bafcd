//! Everything dies at once, as when the power fails.

use crate::harness::{OwnServers, Pipeline, eventually, site};

#[test]
fn after_everything_was_killed_at_once_each_slot_is_a_row_or_declared() {
    let (servers, site) = (OwnServers::start(), site::well("hello"));
    let pipeline = Pipeline::on(&servers, "power_cut").busy_with(&site);
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(900);

    servers.kill("kafka").unwrap();
    producer.kill9();
    servers.kill("postgres").unwrap();
    consumer.kill9();

    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    let asked = site.asked();
    eventually("checks go on before the servers are back", || site.asked() >= asked + 300);
    for part in ["postgres", "kafka"] {
        servers.start_part(part).unwrap();
    }
    pipeline.wait_for_more_rows(900);
    pipeline.prove(producer);
    assert_eq!(pipeline.count("gap WHERE reason = 'producer_down'"), 1);
}
