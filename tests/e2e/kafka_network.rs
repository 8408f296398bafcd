//! The network between the services and Kafka misbehaves: black holes, slow links, late and half answers. The checks go
//! on meanwhile, as if nothing were.

use std::time::Duration;

use crate::harness::proxy::{Behaviour, Call, Direction, Moment, Proxy, Reached};
use isitup_shared::kafka::Record;
use uuid::Uuid;

use crate::harness::{
    Cluster, Election, Lane, OwnServers, Pipeline, Service, Topic, eventually, shared_servers, site, within,
};

/// How long a call to Kafka is waited for, and what it takes to see that it was given up.
const GIVEN_UP: Duration = Duration::from_secs(15 + 30);

/// Bytes a second: a third of what 300 checks a second make, so that a backlog of 4,000 events takes half a minute.
const SLOW: u32 = 60_000;

/// A pipeline of 300 checks a second whose producer or consumer, or both, have a proxy before Kafka.
struct Bench {
    site: site::Site,
    proxy: Proxy,
    pipeline: Pipeline<'static>,
    producer: Service,
    consumer: Service,
}

impl Bench {
    fn start(name: &str) -> Self {
        let proxy = Proxy::kafka(shared_servers().kafka());
        let site = site::well("hello");
        let pipeline = Pipeline::new(name).busy_with(&site).broker_behind(proxy.address());
        let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
        pipeline.wait_for_rows(300);
        Self { site, proxy, pipeline, producer, consumer }
    }

    /// Waits until nearly all is published, as a busy producer has always some events under way.
    #[track_caller]
    fn wait_for_empty_spool(&self, limit: Duration) {
        within(limit, "the spool is empty again", || self.producer.metric("isitup_spool_events") < 300.0);
    }

    /// Waits until the checks of so many seconds are made.
    #[track_caller]
    fn wait_for_checks(&self, seconds: u64) {
        let asked = self.site.asked();
        let limit = Duration::from_secs(30 + 2 * seconds);
        within(limit, "checks are made", || self.site.asked() >= asked + 300 * seconds);
    }

    /// Waits until the consumer has told by health that it cannot read.
    #[track_caller]
    fn wait_until_consumer_tells(&self) {
        within(GIVEN_UP, "the consumer says that it cannot read", || self.consumer.get("/health/ready").0 == 503);
    }

    /// Waits until the producer has told that events wait, by its log.
    #[track_caller]
    fn wait_until_producer_tells(&self, why: &str) {
        let line = format!("events wait in the spool: {why}");
        within(GIVEN_UP, &line, || self.producer.times_logged(&line) > 0);
    }

    /// Waits until what was sent twice is met. Where the client numbers what it sends, Kafka itself drops what comes again.
    #[track_caller]
    fn wait_for_doubles(&self, at_least: f64) {
        if Lane::current().is_idempotent() {
            self.pipeline.wait_for_more_rows(100);
            assert_eq!(self.consumer.metric("isitup_duplicates_total"), 0.0);
        } else {
            eventually("doubles are met", || self.consumer.metric("isitup_duplicates_total") >= at_least);
        }
    }

    /// Proves that nothing was lost or doubled, and that the schedule did not notice.
    #[track_caller]
    fn prove(self) {
        eventually("the consumer is ready again", || self.consumer.get("/health/ready").0 == 200);
        self.pipeline.prove(self.producer);
        self.pipeline.assert_schedule_undisturbed(0);
    }
}

/// A black hole for as long as it takes the services to notice and tell, then the network is well again.
fn black_hole(name: &str, behaviour: Behaviour) {
    let bench = Bench::start(name);
    bench.proxy.behave(behaviour);
    bench.wait_until_consumer_tells();
    // It does not hang in a new connection either: TCP alone would try for two minutes, or wait for ever.
    bench.wait_until_producer_tells("no Kafka broker answers at");
    bench.proxy.behave(Behaviour::Forward);
    // Neither waits for what is lost: 120 s is what the kafka crate would, and longer still TCP.
    bench.wait_for_empty_spool(GIVEN_UP);
    bench.prove();
}

#[test]
fn requests_to_kafka_that_vanish_are_given_up_in_time_and_cost_nothing() {
    black_hole("kafka_hole_up", Behaviour::Swallow(Direction::Upstream));
}

#[test]
fn answers_of_kafka_that_vanish_are_given_up_in_time_and_cost_nothing() {
    black_hole("kafka_hole_down", Behaviour::Swallow(Direction::Downstream));
}

#[test]
fn a_cable_pulled_from_kafka_is_noticed_in_time_and_costs_nothing() {
    black_hole("kafka_silent", Behaviour::Silence);
}

#[test]
fn while_kafka_refuses_connections_events_wait_in_the_spool() {
    black_hole("kafka_refuses", Behaviour::Refuse);
}

#[test]
fn connections_to_kafka_reset_at_any_moment_lose_and_double_nothing() {
    let bench = Bench::start("kafka_reset");
    for _ in 0..10 {
        bench.proxy.cut();
        bench.pipeline.wait_for_more_rows(60);
    }
    bench.wait_for_empty_spool(GIVEN_UP);
    bench.prove();
}

/// Cuts five such calls at `moment`.
fn cut_five(name: &str, call: Call, moment: Moment) {
    let bench = Bench::start(name);
    for _ in 0..5 {
        let strike = bench.proxy.cut_next(call, moment);
        eventually("a call is cut", || strike.has_happened());
        bench.pipeline.wait_for_more_rows(100);
    }
    bench.wait_for_empty_spool(GIVEN_UP);
    bench.prove();
}

#[test]
fn a_produce_of_which_half_reached_kafka_is_sent_again() {
    cut_five("half_produce", Call::Produce, Moment::InRequest);
}

#[test]
fn a_produce_that_was_never_acknowledged_is_sent_again_and_stored_once() {
    let bench = Bench::start("produce_unanswered");
    for number in 1..=5 {
        let strike = bench.proxy.cut_next(Call::Produce, Moment::BeforeReply);
        eventually("an acknowledgement is cut off", || strike.has_happened());
        // Kafka had these records, as its answer proved; they come again.
        bench.wait_for_doubles(f64::from(number));
    }
    bench.prove();
}

#[test]
fn half_an_acknowledgement_acknowledges_nothing() {
    cut_five("half_acknowledgement", Call::Produce, Moment::InReply);
}

#[test]
fn a_fetch_of_which_half_reached_kafka_is_asked_again() {
    cut_five("half_fetch", Call::Fetch, Moment::InRequest);
}

#[test]
fn half_an_answer_to_a_fetch_is_fetched_again() {
    cut_five("half_records", Call::Fetch, Moment::InReply);
}

#[test]
fn a_late_acknowledgement_is_not_taken_for_another_one() {
    let bench = Bench::start("late_acknowledgement");
    let acknowledged = bench.proxy.answered(Call::Produce);
    bench.proxy.behave(Behaviour::HoldAnswers(Call::Produce));
    bench.wait_until_producer_tells("connection to Kafka lost: no answer within 15 s");
    bench.proxy.behave(Behaviour::Forward);
    eventually("late ones are delivered", || bench.proxy.answered(Call::Produce) > acknowledged + 1);
    bench.wait_for_empty_spool(GIVEN_UP);
    bench.wait_for_doubles(1.0);
    bench.prove();
}

#[test]
fn an_acknowledgement_that_comes_late_acknowledges_nothing_that_was_sent_after_it() {
    let proxy = Proxy::kafka(shared_servers().kafka());
    let name = format!("late_{}", Uuid::new_v4().simple());
    let topic = Topic::at(&[proxy.address()], &name);
    topic.create();
    let mut sender = topic.sender();
    let mut is_acknowledged = |value: &'static [u8]| {
        sender.send(&name, &[Record { partition: 0, key: b"k", value }]).values().all(Result::is_ok)
    };
    assert!(is_acknowledged(b"in time"));
    proxy.behave(Behaviour::HoldAnswers(Call::Produce));
    assert!(!is_acknowledged(b"answered late"));
    // The late answer is delivered now; what is sent from now on vanishes, so nothing can be acknowledged.
    proxy.behave(Behaviour::Swallow(Direction::Upstream));
    assert!(!is_acknowledged(b"vanished"), "the late answer was taken for that of another request");
    proxy.behave(Behaviour::Forward);
    assert!(is_acknowledged(b"in time again"));
    let there = Topic::at(shared_servers().brokers(), &name).messages();
    // librdkafka goes on with what it was given, also after it was reported as not acknowledged; then it comes in order.
    let vanished: &[&[u8]] = if Lane::current().is_idempotent() { &[b"vanished"] } else { &[] };
    assert_eq!(there, [&[&b"in time"[..], b"answered late"], vanished, &[b"in time again"]].concat());
}

#[test]
fn late_records_are_not_taken_for_those_of_another_fetch() {
    let bench = Bench::start("late_records");
    bench.proxy.behave(Behaviour::HoldAnswers(Call::Fetch));
    bench.wait_until_consumer_tells();
    bench.proxy.behave(Behaviour::Forward);
    bench.pipeline.wait_for_more_rows(600);
    bench.prove();
}

#[test]
fn a_link_to_kafka_too_slow_for_the_load_only_delays_events() {
    let bench = Bench::start("kafka_slow");
    bench.proxy.behave(Behaviour::Slow(SLOW));
    eventually("events fall behind", || bench.producer.metric("isitup_spool_events") >= 900.0);
    bench.pipeline.wait_for_more_rows(300);
    bench.proxy.behave(Behaviour::Forward);
    bench.wait_for_empty_spool(GIVEN_UP);
    bench.prove();
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn an_acknowledgement_later_than_the_kafka_crate_itself_waits_is_not_taken_for_another_one() {
    let bench = Bench::start("latest_acknowledgement");
    bench.proxy.behave(Behaviour::HoldAnswers(Call::Produce));
    // After 120 s the crate forgets what it asked for, yet would use the connection again: the answer that comes then is to
    // a request long ago, while the request of that moment vanishes.
    bench.wait_for_checks(125);
    bench.proxy.behave(Behaviour::Swallow(Direction::Upstream));
    bench.wait_for_checks(5);
    bench.proxy.behave(Behaviour::Forward);
    bench.wait_for_empty_spool(Duration::from_secs(60));
    bench.prove();
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn a_black_hole_before_kafka_for_three_minutes_costs_nothing() {
    let bench = Bench::start("kafka_hole");
    bench.proxy.behave(Behaviour::Swallow(Direction::Both));
    bench.wait_until_consumer_tells();
    bench.wait_until_producer_tells("");
    bench.wait_for_checks(180);
    bench.proxy.behave(Behaviour::Forward);
    bench.wait_for_empty_spool(Duration::from_secs(60));
    bench.prove();
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn a_backlog_gets_through_a_slow_link_to_kafka() {
    let bench = Bench::start("kafka_backlog");
    bench.proxy.behave(Behaviour::Refuse);
    eventually("events pile up", || bench.producer.metric("isitup_spool_events") >= 4000.0);
    // What the producer would send at once takes longer on this link than it waits for an answer.
    let published = bench.producer.metric("isitup_events_published_total");
    bench.proxy.behave(Behaviour::Slow(SLOW));
    within(Duration::from_secs(120), "some of it is acknowledged", || {
        bench.producer.metric("isitup_events_published_total") >= published + 300.0
    });
    bench.proxy.behave(Behaviour::Forward);
    bench.wait_for_empty_spool(GIVEN_UP);
    bench.prove();
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn a_backlog_on_the_topic_gets_through_a_slow_link_to_the_consumer() {
    let (proxy, site) = (Proxy::kafka(shared_servers().kafka()), site::well("hello"));
    let pipeline = Pipeline::new("topic_backlog").busy_with(&site).broker_behind(proxy.address());
    let mut nearby = pipeline.command("isitup-producer", &[]);
    nearby.env("ISITUP__KAFKA__BROKERS", shared_servers().kafka());
    let producer = Service::start("the producer", nearby);
    producer.wait_until_published(4000);
    // What the consumer would fetch at once takes longer on this link than it waits for an answer.
    proxy.behave(Behaviour::Slow(SLOW));
    let _consumer = pipeline.consumer();
    within(Duration::from_secs(120), "some of it is stored", || pipeline.count("check_result") >= 300);
    proxy.behave(Behaviour::Forward);
    pipeline.wait_for_more_rows(3000);
    pipeline.prove(producer);
}

#[test]
fn a_cluster_behind_proxies_is_reached_by_no_other_way_even_when_its_leaders_move() {
    let (servers, site) = (OwnServers::brokers(3), site::well("hello"));
    let proxies = Proxy::kafka_cluster(servers.brokers());
    let pipeline = Pipeline::with_kafka_of(&servers, "all_proxied").busy_with(&site).brokers_behind(&proxies);
    let cluster = Cluster::of(&servers);
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    let reached = Reached::by([producer.process(), consumer.process()]);
    pipeline.wait_for_rows(300);
    cluster.wait_for_leader(pipeline.name(), 2, |led| led > 0);

    servers.kill("kafka-2").unwrap();
    cluster.wait_for_leader(pipeline.name(), 2, |led| led == 0);
    pipeline.wait_for_more_rows(300);
    servers.start_part("kafka-2").unwrap();
    cluster.wait_for_replicas(pipeline.name(), 3);
    cluster.elect_leaders(pipeline.name(), Election::Preferred);
    cluster.wait_for_leader(pipeline.name(), 2, |led| led > 0);
    let acknowledged = proxies[1].answered(Call::Produce);
    eventually("the leader that came back takes events", || proxies[1].answered(Call::Produce) >= acknowledged + 10);
    pipeline.wait_for_more_rows(300);

    let reached = reached.until_now();
    let straight: Vec<_> = servers.brokers().iter().filter(|broker| reached.contains(*broker)).collect();
    assert!(straight.is_empty(), "connected to without a proxy: {straight:?}");
    assert!(proxies.iter().all(|proxy| reached.contains(&proxy.address())), "proxies passed by: {reached:?}");
    pipeline.prove(producer);
}

/// One of three brokers takes connections and answers all but `call`, as one with a hung disk does; the others are well.
fn a_hung_broker(name: &str, call: Call) {
    let (servers, site) = (OwnServers::brokers(3), site::well("hello"));
    let mut proxies = Proxy::kafka_cluster(servers.brokers());
    let pipeline = Pipeline::with_kafka_of(&servers, name).busy_with(&site).brokers_behind(&proxies);
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);

    // The one that would be asked first, were the order always the same.
    proxies.sort_by_key(Proxy::address);
    let (hung, well) = proxies.split_first().unwrap();
    hung.behave(Behaviour::HoldAnswers(call));
    let answered = || well.iter().map(|proxy| proxy.answered(call)).collect::<Vec<_>>();
    let unnoticed = hung.answered(call);
    site.wait_for_checks(300 * GIVEN_UP.as_secs());
    assert_eq!(hung.answered(call), unnoticed, "the broker is not hung");
    let before = answered();
    within(2 * GIVEN_UP, "the other brokers answer on", || {
        answered().iter().zip(&before).all(|(now, before)| now > before)
    });
    hung.behave(Behaviour::Forward);
    producer.wait_for_empty_spool();
    pipeline.prove(producer);
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn a_broker_that_takes_no_events_holds_up_none_that_are_for_other_brokers() {
    a_hung_broker("hung_produce", Call::Produce);
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn a_broker_that_gives_no_events_holds_up_none_that_are_on_other_brokers() {
    a_hung_broker("hung_fetch", Call::Fetch);
}
