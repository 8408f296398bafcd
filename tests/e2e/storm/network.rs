//! What strikes on the way between the services and Kafka.

use std::ops::Range;

use fastrand::Rng;

use super::faults::{MOMENTS, cut_once, fault, last};
use super::fleet::Fleet;
use super::lane::Fault;
use crate::harness::proxy::{Behaviour, Call, Direction, Proxy};

/// Milliseconds within which the services still wait for an answer; and after which they have given up, be it a call (15 s)
/// or, where they only look whether a broker is there, a little sooner.
const PATIENT: Range<u64> = 300..6_000;
const PAST_PATIENCE: Range<u64> = 15_500..18_000;

/// The faults of the lane.
pub(super) fn to_kafka<'a>(fleet: &'a Fleet<'a>) -> Vec<(&'static str, Fault<'a>)> {
    let proxies = &fleet.kafka;
    let lasting = |what, behaviour: fn(&mut Rng) -> Behaviour| {
        fault(what, move |rng| {
            let (struck, behaviour) = (some(proxies, rng), behaviour(rng));
            disturb(struck, behaviour, some_time(rng), rng);
        })
    };
    let late = |what, call| {
        fault(what, move |rng| disturb(some(proxies, rng), Behaviour::HoldAnswers(call), PAST_PATIENCE, rng))
    };
    vec![
        lasting("requests to Kafka vanish", |_| Behaviour::Swallow(Direction::Upstream)),
        lasting("answers of Kafka vanish", |_| Behaviour::Swallow(Direction::Downstream)),
        lasting("the cable to Kafka pulled", |_| Behaviour::Silence),
        lasting("Kafka's address refused", |_| Behaviour::Refuse),
        lasting("a slow line to Kafka", |rng| Behaviour::Slow(rng.u32(5_000..100_000))),
        late("acknowledgements held until nobody waits for them", Call::Produce),
        late("records held until nobody waits for them", Call::Fetch),
        fault("cut around a call to Kafka", move |rng| {
            for _ in 0..rng.u32(2..12) {
                let calls = [Call::Produce, Call::Produce, Call::Fetch, Call::Any];
                let (call, moment) = (calls[rng.usize(..calls.len())], MOMENTS[rng.usize(..MOMENTS.len())]);
                cut_once(&proxies[rng.usize(..proxies.len())], call, moment, rng);
            }
        }),
        fault("all connections to Kafka cut", move |rng| {
            for _ in 0..rng.u32(1..6) {
                proxies.iter().for_each(Proxy::cut);
                last(rng, 20..1_500);
            }
        }),
    ]
}

/// All of them or one.
fn some<'a>(proxies: &'a [Proxy], rng: &mut Rng) -> &'a [Proxy] {
    let one = rng.usize(..proxies.len());
    if rng.bool() { proxies } else { &proxies[one..=one] }
}

fn some_time(rng: &mut Rng) -> Range<u64> {
    if rng.u8(..4) == 0 { PAST_PATIENCE } else { PATIENT }
}

/// Has proxies behave so for a while. Afterwards the connections go on as they are, or are cut.
fn disturb(proxies: &[Proxy], behaviour: Behaviour, millis: Range<u64>, rng: &mut Rng) {
    proxies.iter().for_each(|proxy| proxy.behave(behaviour));
    last(rng, millis);
    proxies.iter().for_each(|proxy| proxy.behave(Behaviour::Forward));
    if rng.bool() {
        proxies.iter().for_each(Proxy::cut);
    }
}
