//! Harmless records of every type, written where others fail: whether that works tells a trouble of the whole database
//! from a record that cannot be stored.

use isitup_shared::time::UtcTime;
use serde_json::{Value, json};
use uuid::Uuid;

use super::decode::{Record, decode};
use super::write::{Scope, WriteError, write_again};
use super::{Batch, Directory, Run};
use crate::store::rejected::{self, Rejection};
use crate::store::{StoreError, Tx};

/// Why the control failed.
pub type ControlFailed = WriteError;

/// Writes harmless records of every type in `partition`, through the same code as all others: checks of the day of
/// `scheduled_at` that bring a site up, down and up again, with a certificate; a gap, a report and a clock step; and a
/// message to be set aside. The caller rolls back, so nobody ever sees them.
///
/// # Errors
/// When the database takes one of them no more than the records in question.
pub fn try_control(tx: &mut Tx<'_>, scope: &Scope, partition: i32, scheduled_at: UtcTime) -> Result<(), ControlFailed> {
    let mut directory = Directory::default();
    let mut stored = 0;
    for batch in Control::new(partition, scheduled_at).batches() {
        let (written, rejections) = write_again(tx, scope, &batch, &mut directory)?;
        if let Some(rejection) = rejections.first() {
            log::debug!("a harmless record was rejected: {}", rejection.reason);
            return Err(StoreError::Vanished("a harmless record").into());
        }
        stored += written.stored;
    }
    if stored != RECORDS {
        return Err(StoreError::Vanished("a harmless record").into());
    }
    let reason = "harmless".into();
    let aside = Rejection { partition, offset: -1, raw: b"harmless", reason, number: None, is_doubled: false };
    rejected::insert(tx, &scope.topic, &[aside])?;
    Ok(())
}

/// How many events there are.
const RECORDS: u64 = 6;

/// The events' common parts; each is new, so that none meets a row that is there.
struct Control {
    partition: i32,
    scheduled_at: UtcTime,
    producer_id: Uuid,
    seq: u64,
}

impl Control {
    fn new(partition: i32, scheduled_at: UtcTime) -> Self {
        Self { partition, scheduled_at, producer_id: Uuid::new_v4(), seq: 0 }
    }

    /// In transactions of their own these would be three batches, as each changes what the one before left.
    fn batches(mut self) -> [Batch; 3] {
        let now = UtcTime::now().to_string();
        let up = json!({"outcome": "up", "status": 200});
        let down = json!({"outcome": "down", "failure": {"kind": "status", "detail": "harmless"}});
        let gap = json!({"reason": "overrun", "from": now, "to": now, "first_seq": 1, "last_seq": 1});
        let report = json!({"state": "heartbeat", "at": now, "site_count": 1, "config_hash": "-", "version": "-"});
        let step = json!({"at": now, "step_us": 1});
        let first = vec![self.check(&up), self.event("producer", report), self.event("gap", gap)];
        let second = vec![self.check(&down), self.event("clock_step", step)];
        let third = vec![self.check(&up)];
        [first, second, third]
            .map(|records| Batch { runs: vec![Run { partition: self.partition, epoch: 0, expected: 0, records }] })
    }

    fn check(&mut self, outcome: &Value) -> Record {
        let (name, now) = (format!("harmless {}", self.producer_id), UtcTime::now().to_string());
        let mut check = json!({
            "site": name, "url": "http://localhost/", "group": "harmless", "scheduled_at": self.scheduled_at,
            "started_at": now, "finished_at": now, "redirects": 0, "timings_us": {"total": 1}, "config_hash": "-",
            "certificate_subject": name, "certificate_issuer": "harmless",
        });
        extend(&mut check, outcome);
        self.event("check", check)
    }

    fn event(&mut self, kind: &str, mut body: Value) -> Record {
        self.seq += 1;
        let (v, producer_id, seq) = (isitup_shared::event::SCHEMA_VERSION, self.producer_id, self.seq);
        let envelope = json!({"v": v, "type": kind, "producer_id": producer_id, "seq": seq, "location": "harmless"});
        extend(&mut body, &envelope);
        decode(0, body.to_string().into_bytes())
    }
}

fn extend(object: &mut Value, more: &Value) {
    if let (Some(object), Some(more)) = (object.as_object_mut(), more.as_object()) {
        object.extend(more.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_harmless_records_are_events_of_every_type() {
        let batches = Control::new(3, UtcTime::now()).batches();
        let mut types: Vec<&str> = Vec::new();
        for (_, record) in batches.iter().flat_map(Batch::records) {
            types.push(record.content.as_ref().unwrap_or_else(|refusal| panic!("{refusal:?}")).body.type_name());
        }
        assert_eq!(types.len() as u64, RECORDS);
        types.sort_unstable();
        types.dedup();
        assert_eq!(types, ["check", "clock_step", "gap", "producer"]);
    }
}
