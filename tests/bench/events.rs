//! Made-up results for the store: what a producer with 1,000 sites would have published.

use std::time::Duration;

use anyhow::{Context, Result};
use isitup_shared::config::Format;
use isitup_shared::event::{Body, Check, Draft, FailureKind, Outcome, Sealer, Timings};
use isitup_shared::kafka::{self, Record, partition_for};
use isitup_shared::time::UtcTime;
use uuid::Uuid;

use crate::service::Plan;
use crate::setting::Setting;

pub(crate) const SITES: u64 = 1000;
/// Between two checks of a site; 300,000 events are then 50 minutes.
const INTERVAL: Duration = Duration::from_secs(10);
/// Records handed to the client at a time.
const AT_ONCE: usize = 5000;

/// One producer's results, in the order of their slots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Events {
    pub(crate) producer_id: Uuid,
    pub(crate) count: u64,
    begin: UtcTime,
}

impl Events {
    /// `count` results, the last of them from a moment ago.
    pub(crate) fn until_now(count: u64) -> Self {
        let slots = u32::try_from(count / SITES + 2).unwrap_or(u32::MAX);
        let span = i64::try_from((INTERVAL * slots).as_micros()).unwrap_or(i64::MAX);
        let begin = UtcTime::from_micros(UtcTime::now().as_micros() - span);
        Self { producer_id: Uuid::new_v4(), count, begin }
    }

    /// Each number with its result.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Check)> {
        (1..=self.count).map(|seq| (seq, self.check(seq)))
    }

    fn check(&self, seq: u64) -> Check {
        let (slot, site) = (seq / SITES, seq % SITES);
        let step = INTERVAL / 1000;
        let scheduled_at = self.begin.after(INTERVAL * slot as u32 + step * site as u32);
        let total = 20_000 + seq * 7919 % 50_000;
        let url = format!("https://www.site-{site:04}.example/status");
        Check {
            group: Some(format!("group-{}", site % 10).into()),
            started_at: scheduled_at.after(Duration::from_micros(900)),
            finished_at: scheduled_at.after(Duration::from_micros(900 + total)),
            outcome: outcome(slot, site),
            status: Some(if is_down(slot, site) { 503 } else { 200 }),
            body_matched: Some(true),
            body_bytes: Some(14_321 + seq % 100),
            http_version: Some("HTTP/1.1".into()),
            remote_addr: Some(format!("192.0.2.{}:443", site % 250).into()),
            timings_us: Timings {
                dns: Some(total / 20),
                connect: Some(total / 5),
                tls: Some(total / 4),
                first_byte: Some(total / 3),
                body: Some(total / 10),
                total,
            },
            certificate_expires_at: Some(self.begin.after(Duration::from_secs(60 * 24 * 3600))),
            certificate_subject: Some(format!("CN=www.site-{site:04}.example").into()),
            certificate_issuer: Some("C=US, O=Let's Encrypt, CN=R11".into()),
            queue_us: Some(40 + seq % 50),
            config_hash: format!("{site:016x}").into(),
            ..Check::up(url.clone(), url, scheduled_at)
        }
    }

    /// Puts all of them on the topic of `plan`.
    pub(crate) fn publish(&self, plan: &Plan, setting: &Setting) -> Result<()> {
        let mut sender = kafka::sender(&setting.kafka(&plan.topic()));
        let partitions = sender.partition_count(&plan.topic())?;
        let sealer = Sealer::new(self.producer_id, "bench");
        let drafts: Vec<(u64, Draft)> =
            self.iter().map(|(seq, check)| (seq, Draft::new(&Body::Check(Box::new(check)), Format::Json))).collect();
        for drafts in drafts.chunks(AT_ONCE) {
            let messages: Vec<_> =
                drafts.iter().map(|(seq, draft)| (sealer.key(draft), sealer.seal(draft, *seq))).collect();
            let records: Vec<Record<'_>> = messages
                .iter()
                .map(|(key, value)| Record {
                    partition: partition_for(key.as_bytes(), partitions),
                    key: key.as_bytes(),
                    value,
                })
                .collect();
            for (partition, sent) in sender.send(&plan.topic(), &records) {
                sent.with_context(|| format!("partition {partition} did not take the events"))?;
            }
        }
        Ok(())
    }
}

/// One site in fifty is down, and another one in fifty changes every twenty checks.
fn is_down(slot: u64, site: u64) -> bool {
    site.is_multiple_of(50) || (site % 50 == 7 && slot / 20 % 2 == 1)
}

fn outcome(slot: u64, site: u64) -> Outcome {
    if is_down(slot, site) { Outcome::down(FailureKind::Status, "status 503, expected 200-299") } else { Outcome::Up }
}
