//! Events of every kind.

use isitup_shared::config::Format;
use isitup_shared::event::{
    Body, Check, ClockStep, Draft, Envelope, Event, Failure, FailureKind, Gap, GapReason, HIGHEST_NUMBER, HopReport,
    List, Outcome, ProducerReport, ProducerState, SCHEMA_VERSION, Sealer, SeqRange, Text, TimeSpan, Timings,
};
use isitup_shared::time::UtcTime;
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

/// The message of `event`.
pub(crate) fn sealed(event: &Event, format: Format) -> Vec<u8> {
    let Envelope { producer_id, seq, location, .. } = &event.envelope;
    Sealer::new(*producer_id, location).seal(&Draft::new(&event.body, format), *seq)
}

/// A check that says all that a check can say.
pub(crate) fn check_of_every_field() -> Event {
    let time = UtcTime::from_micros(1_795_228_000_000_000);
    let timings = Timings {
        dns: Some(1_204),
        connect: Some(20_480),
        tls: Some(30_112),
        first_byte: Some(18_003),
        body: Some(412),
        total: 80_000,
    };
    let hop = |url: &str| HopReport {
        url: url.into(),
        status: Some(302),
        remote_addr: Some("93.184.215.14:443".into()),
        timings_us: timings,
    };
    let check = Check {
        group: Some("web".into()),
        finished_at: UtcTime::from_micros(1_795_228_000_080_000),
        outcome: Outcome::down(FailureKind::Status, "status 503, expected 200-299"),
        status: Some(503),
        body_matched: Some(true),
        body_bytes: Some(1_256),
        http_version: Some("HTTP/2.0".into()),
        remote_addr: Some("93.184.215.14:443".into()),
        final_url: Some("https://example.com/login/".into()),
        redirects: 1,
        timings_us: timings,
        hops: [hop("https://example.com/login"), hop("https://example.com/login/")].into(),
        further_failures: [Failure { kind: FailureKind::BodyMismatch, detail: "no \"Sign in\"".into() }].into(),
        certificate_expires_at: Some(time),
        certificate_subject: Some("CN=example.com".into()),
        certificate_issuer: Some("C=US, O=Let's Encrypt, CN=R11".into()),
        insecure: true,
        dns_code: Some("NOERROR".into()),
        queue_us: Some(40),
        reference_answered: Some(false),
        prober_fault: Some("too many open files".into()),
        maintenance: true,
        confirmation: Some(1),
        confirmed: Some(true),
        config_hash: "0123456789abcdef".into(),
        ..Check::up("login", "https://example.com/login", time)
    };
    let envelope = Envelope { v: SCHEMA_VERSION, producer_id: Uuid::from_u128(7), seq: 4_711, location: "here".into() };
    Event { envelope, body: Body::Check(Box::new(check)) }
}

/// What both formats can say: numbers up to the highest that is signed.
pub(crate) fn any_event() -> impl Strategy<Value = Event> {
    let body = prop_oneof![
        4 => any_check().prop_map(|check| Body::Check(Box::new(check))),
        1 => any_gap().prop_map(Body::Gap),
        1 => (select(ProducerState::ALL), time(), number(), text(), text()).prop_map(
            |(state, at, site_count, config_hash, version)| {
                Body::Producer(ProducerReport { state, at, site_count, config_hash, version })
            }
        ),
        1 => (time(), -(HIGHEST_NUMBER as i64)..=HIGHEST_NUMBER as i64).prop_map(|(at, step_us)| Body::ClockStep(ClockStep { at, step_us })),
    ];
    (body, any::<u128>(), 1..=HIGHEST_NUMBER, text()).prop_map(|(body, producer_id, seq, location)| Event {
        envelope: Envelope { v: SCHEMA_VERSION, producer_id: Uuid::from_u128(producer_id), seq, location },
        body,
    })
}

/// Cleaned as it enters, whatever it is.
fn text<const CHARS: usize, const BYTES: usize>() -> impl Strategy<Value = Text<CHARS, BYTES>> {
    prop_oneof![6 => "[a-z:/. -]{0,40}", 2 => ".*", 1 => "(?s:.{200,300})"].prop_map(Text::from)
}

fn list<T: std::fmt::Debug, const MAX: usize>(
    item: impl Strategy<Value = T>,
    most: usize,
) -> impl Strategy<Value = List<T, MAX>> {
    prop::collection::vec(item, 0..most).prop_map(|items| items.try_into().unwrap())
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 0..100_000_u64, 1 => 0..=HIGHEST_NUMBER]
}

fn time() -> impl Strategy<Value = UtcTime> {
    prop_oneof![3 => 0..4_000_000_000_000_000_i64, 1 => any::<i64>()].prop_map(UtcTime::from_micros)
}

fn maybe<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    prop::option::of(value)
}

fn timings() -> impl Strategy<Value = Timings> {
    (maybe(number()), maybe(number()), maybe(number()), maybe(number()), maybe(number()), number())
        .prop_map(|(dns, connect, tls, first_byte, body, total)| Timings { dns, connect, tls, first_byte, body, total })
}

fn failure() -> impl Strategy<Value = Failure> {
    (select(FailureKind::ALL), text()).prop_map(|(kind, detail)| Failure { kind, detail })
}

fn hop() -> impl Strategy<Value = HopReport> {
    (text(), maybe(any::<u16>()), maybe(text()), timings())
        .prop_map(|(url, status, remote_addr, timings_us)| HopReport { url, status, remote_addr, timings_us })
}

fn any_check() -> impl Strategy<Value = Check> {
    let site = (text(), text(), maybe(text()), text(), time(), time(), time());
    let answer = (maybe(failure()), maybe(any::<u16>()), maybe(any::<bool>()), maybe(number()), maybe(text()));
    let way = (maybe(text()), maybe(text()), 0..=i32::MAX as u32, timings(), list(hop(), 4));
    let certificate = (maybe(time()), maybe(text()), maybe(text()), any::<bool>());
    let rest = (list(failure(), 3), maybe(text()), maybe(number()), maybe(any::<bool>()));
    let verdict = (maybe(text()), any::<bool>(), maybe(1..=i32::MAX as u32), maybe(any::<bool>()));
    (site, answer, way, certificate, rest, verdict).prop_map(|(site, answer, way, certificate, rest, verdict)| {
        let outcome = answer.0.map_or(Outcome::Up, |failure| Outcome::Down { failure });
        Check {
            group: site.2,
            config_hash: site.3,
            started_at: site.5,
            finished_at: site.6,
            outcome,
            status: answer.1,
            body_matched: answer.2,
            body_bytes: answer.3,
            http_version: answer.4,
            remote_addr: way.0,
            final_url: way.1,
            redirects: way.2,
            timings_us: way.3,
            hops: way.4,
            certificate_expires_at: certificate.0,
            certificate_subject: certificate.1,
            certificate_issuer: certificate.2,
            insecure: certificate.3,
            further_failures: rest.0,
            dns_code: rest.1,
            queue_us: rest.2,
            reference_answered: rest.3,
            prober_fault: verdict.0,
            maintenance: verdict.1,
            confirmation: verdict.2,
            confirmed: verdict.3,
            ..Check::up(site.0, site.1, site.4)
        }
    })
}

fn any_gap() -> impl Strategy<Value = Gap> {
    let seqs = (1..1_000_u64, 0..1_000_u64).prop_map(|(first, more)| SeqRange { first, last: first + more });
    let sites = maybe(list(text(), 4));
    let span = (0..1_000_000_i64, 0..1_000_000_i64, sites).prop_map(|(from, more, sites)| TimeSpan {
        from: UtcTime::from_micros(from),
        to: UtcTime::from_micros(from + more),
        sites,
    });
    let says_something = |gap: &Gap| gap.seqs.is_some() || gap.span.is_some();
    (select(GapReason::ALL), maybe(seqs), maybe(span))
        .prop_map(|(reason, seqs, span)| Gap { reason, seqs, span })
        .prop_filter("a gap of nothing", says_something)
}
